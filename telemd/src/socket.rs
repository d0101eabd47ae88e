//! The socket that clients connect to.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use nix::sys::socket::{Backlog, listen as set_backlog};
use nix::sys::stat::{Mode, umask};
use record::config::SOCKET_PATH_MAX;
use thiserror::Error;

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Another daemon has it.
    #[error("socket {}: another daemon answers there; stop it, or choose another socket_path", path.display())]
    InUse {
        /// Its path.
        path: PathBuf,
    },
    /// It cannot be made.
    #[error("socket {}: {error}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What was passed is of no use.
    #[error(
        "the descriptor that the service manager passed is no listening Unix stream socket ({0}); \
         its socket unit needs ListenStream= with a path"
    )]
    Inherited(io::Error),
}

/// Where connections come from.
pub(crate) enum Socket {
    /// The service manager's (sd_listen_fds(3)), which keeps it when this
    /// process ends.
    Inherited(UnixListener),
    /// Our own, made when it is needed.
    Own,
}

impl Socket {
    /// Looks at what the service manager passed.
    pub(crate) fn find() -> Result<Self, SocketError> {
        let mut inherited = ListenFd::from_env();
        if inherited.len() == 0 {
            return Ok(Self::Own);
        }
        match inherited.take_unix_listener(0) {
            Ok(Some(listener)) => Ok(Self::Inherited(listener)),
            Ok(None) => Err(SocketError::Inherited(io::ErrorKind::NotFound.into())),
            Err(error) => Err(SocketError::Inherited(error)),
        }
    }

    pub(crate) fn is_inherited(&self) -> bool {
        matches!(self, Self::Inherited(_))
    }

    /// A listener; one of our own is at `path`.
    pub(crate) fn listener(&self, path: &Path) -> Result<UnixListener, SocketError> {
        match self {
            Self::Inherited(listener) => listener.try_clone().map_err(SocketError::Inherited),
            Self::Own => listen(path),
        }
    }

    /// Nobody listens for now: who tries to connect to our own socket learns
    /// it at once.
    pub(crate) fn close(&self, path: &Path) {
        if !self.is_inherited() {
            let _ = fs::remove_file(used(path));
        }
    }
}

/// A path as the library cuts it, so that both mean the same socket.
pub fn used(path: &Path) -> &Path {
    let bytes = path.as_os_str().as_bytes();
    Path::new(OsStr::from_bytes(bytes.get(..SOCKET_PATH_MAX).unwrap_or(bytes)))
}

/// Makes the socket, for everybody to write to. One that a daemon left behind
/// is replaced, one on which a daemon answers is not.
pub fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    let path = used(path);
    let failed = |error| SocketError::Io { path: path.to_owned(), error };
    match UnixStream::connect(path) {
        Ok(_) => return Err(SocketError::InUse { path: path.to_owned() }),
        // A file that is no socket refuses connections, too, and is not ours.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && is_socket(path) => {
            fs::remove_file(path).map_err(failed)?;
        }
        // Nothing there, or something that `bind` will report.
        Err(_) => {}
    }
    // Not by chmod(2) afterwards: another file could be there by then.
    let before = umask(Mode::from_bits_truncate(0o111));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound.map_err(failed)?;
    // std asks for 128; records of a burst wait here.
    set_backlog(&listener, Backlog::MAXCONN).map_err(|errno| failed(errno.into()))?;
    Ok(listener)
}

/// Whether a socket is there itself, and no link to one.
pub fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let first = listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert!(matches!(listen(&path), Err(SocketError::InUse { .. })));
        drop(first);
        assert!(listen(&path).is_ok(), "the file is there, and nobody answers");
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("precious");
        fs::write(&path, "data").unwrap();
        assert!(matches!(listen(&path), Err(SocketError::Io { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    }
}
