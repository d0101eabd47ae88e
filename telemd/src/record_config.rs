//! The configuration file that a sender asked for, by `tm_set_config_file`.
//!
//! Its path comes from any local user, and telemd reads it with its own rights
//! and sends records to the server that it names. So only files count that the
//! administrator, or the daemon itself, stands for.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::statfs::{self, FsType, fstatfs};
use record::config::{ConfigError, FILE_MAX, Settings};
use thiserror::Error;

use crate::{files, users};

/// Write permission of the group and of others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// File systems on which ownership says nothing of who wrote the content.
const MADE_UP_FILE_SYSTEMS: [FsType; 5] = [
    statfs::PROC_SUPER_MAGIC,
    statfs::FUSE_SUPER_MAGIC,
    statfs::CGROUP_SUPER_MAGIC,
    statfs::CGROUP2_SUPER_MAGIC,
    FsType(nix::libc::SYSFS_MAGIC),
];

#[derive(Debug, Error)]
pub(crate) enum RecordConfigError {
    /// The cause may pass.
    #[error("{}: {error}", path.display())]
    Shortage { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error(
        "{}: not trusted; it must be a regular file, reached without symbolic links, \
         owned by root or by the daemon's user, and writable by nobody else",
        path.display()
    )]
    NotTrusted { path: PathBuf },
    #[error("{}:{error}", path.display())]
    Wrong { path: PathBuf, error: ConfigError },
}

/// Reads the settings of a file, if the file can be trusted. `user` is one
/// whose files count, too.
pub(crate) fn load(path: &Path, user: Option<u32>) -> Result<Settings, RecordConfigError> {
    let unreadable = |error: io::Error| match files::is_shortage(&error) {
        true => RecordConfigError::Shortage { path: path.to_owned(), error },
        false => RecordConfigError::Unreadable { path: path.to_owned(), error },
    };
    // A place, not an open file: nothing is started by looking at it, whatever
    // it is.
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let place = openat2(AT_FDCWD, path, how).map_err(|errno| unreadable(errno.into()))?;
    if !is_trusted(&place, user).map_err(unreadable)? {
        return Err(RecordConfigError::NotTrusted { path: path.to_owned() });
    }
    let file = File::open(format!("/proc/self/fd/{}", place.as_raw_fd())).map_err(unreadable)?;
    let content = files::read_open(file, FILE_MAX).map_err(unreadable)?;
    let read = Settings::read(&content);
    read.map(|(settings, _)| settings).map_err(|error| RecordConfigError::Wrong { path: path.to_owned(), error })
}

fn is_trusted(place: &OwnedFd, user: Option<u32>) -> io::Result<bool> {
    let metadata = File::from(place.try_clone()?).metadata()?;
    let file_system = fstatfs(place.as_fd())?.filesystem_type();
    let owner = metadata.uid();
    let is_owned = users::is_trusted(owner) || user == Some(owner);
    let is_writable_by_others = metadata.mode() & WRITABLE_BY_OTHERS != 0;
    Ok(metadata.is_file() && is_owned && !is_writable_by_others && !MADE_UP_FILE_SYSTEMS.contains(&file_system))
}

#[cfg(test)]
mod tests {
    use super::{RecordConfigError, load};
    use nix::unistd::Uid;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    struct Directory(tempfile::TempDir);

    impl Directory {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(name)
        }
        fn file(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.path(name);
            fs::write(&path, "[settings]\nserver=http://other/\n").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    fn is_trusted(path: &Path) -> bool {
        load(path, None).is_ok()
    }

    #[test]
    fn a_file_of_the_daemons_user_that_nobody_else_can_write_is_trusted() {
        let directory = Directory::new();
        assert!(is_trusted(&directory.file("config", 0o644)));
        assert!(is_trusted(&directory.file("secret", 0o600)));
    }

    #[test]
    fn a_file_that_others_can_write_is_not_trusted() {
        let directory = Directory::new();
        for mode in [0o664, 0o646, 0o666] {
            assert!(!is_trusted(&directory.file("config", mode)), "{mode:o}");
        }
    }

    #[test]
    fn links_and_other_types_are_not_trusted() {
        let directory = Directory::new();
        let file = directory.file("config", 0o644);
        symlink(&file, directory.path("link")).unwrap();
        symlink(directory.path("."), directory.path("way")).unwrap();
        assert!(!is_trusted(&directory.path("link")));
        assert!(!is_trusted(&directory.path("way").join("config")));
        assert!(!is_trusted(&directory.path("")));
        assert!(!is_trusted(Path::new("/dev/null")));
        nix::unistd::mkfifo(&directory.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!is_trusted(&directory.path("fifo")));
    }

    /// Who starts a program chooses what is read here, and root owns it.
    #[test]
    fn files_of_proc_are_not_trusted() {
        for path in ["/proc/self/cmdline", "/proc/1/cmdline", "/proc/version"] {
            assert!(!is_trusted(Path::new(path)), "{path}");
        }
    }

    /// Opening a terminal could make it the daemon's own.
    #[test]
    fn a_terminal_is_not_opened() {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let name = nix::unistd::ttyname(&terminal.slave).unwrap();
        assert!(matches!(load(&name, None), Err(RecordConfigError::NotTrusted { .. })));
    }

    #[test]
    fn a_file_of_another_user_is_not_trusted() {
        if !Uid::effective().is_root() {
            return;
        }
        let directory = Directory::new();
        let file = directory.file("config", 0o644);
        std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
        assert!(!is_trusted(&file));
        assert!(load(&file, Some(65534)).is_ok(), "allow_user_config");
        assert!(load(&file, Some(65533)).is_err());
    }

    #[test]
    fn c2_a_malformed_file_is_an_error_that_names_the_line() {
        let directory = Directory::new();
        let file = directory.file("config", 0o644);
        fs::write(&file, "[settings]\nrecord_expiry=abc\n").unwrap();
        assert!(load(&file, None).unwrap_err().to_string().contains("config:2: record_expiry"));
    }
}
