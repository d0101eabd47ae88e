//! The configuration file that a sender asked for, by `tm_set_config_file`.
//!
//! Its path comes from any local user, and telemd reads it with its own rights
//! and sends records to the server that it names. So only files count that the
//! administrator, or the daemon itself, stands for.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::Uid;
use record::config::{ConfigError, FILE_MAX, Settings};
use thiserror::Error;

/// Write permission of the group and of others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

#[derive(Debug, Error)]
pub(crate) enum RecordConfigError {
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

/// Reads the settings of a file, if the file can be trusted.
pub(crate) fn load(path: &Path) -> Result<Settings, RecordConfigError> {
    let unreadable = |error| RecordConfigError::Unreadable { path: path.to_owned(), error };
    // Neither the last part of the path may be a link, nor any before it. A
    // FIFO must not make the daemon wait.
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let is_direct = path.canonicalize().map_err(unreadable)? == path;
    let is_owned = [0, Uid::effective().as_raw()].contains(&metadata.uid());
    let is_writable_by_others = metadata.mode() & WRITABLE_BY_OTHERS != 0;
    if !(metadata.is_file() && is_direct && is_owned) || is_writable_by_others {
        return Err(RecordConfigError::NotTrusted { path: path.to_owned() });
    }
    let mut content = Vec::new();
    file.take(FILE_MAX as u64 + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() > FILE_MAX {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    let read = Settings::read(&content);
    read.map(|(settings, _)| settings).map_err(|error| RecordConfigError::Wrong { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

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
        load(path).is_ok()
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

    #[test]
    fn a_file_of_another_user_is_not_trusted() {
        if !Uid::effective().is_root() {
            return;
        }
        let directory = Directory::new();
        let file = directory.file("config", 0o644);
        std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
        assert!(!is_trusted(&file));
    }

    #[test]
    fn c2_a_malformed_file_is_an_error_that_names_the_line() {
        let directory = Directory::new();
        let file = directory.file("config", 0o644);
        fs::write(&file, "[settings]\nrecord_expiry=abc\n").unwrap();
        assert!(load(&file).unwrap_err().to_string().contains("config:2: record_expiry"));
    }
}
