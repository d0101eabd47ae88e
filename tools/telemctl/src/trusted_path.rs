//! Opens a directory by its path, and never one that somebody else led to: a
//! symbolic link counts only where root or the caller alone could have made it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::Uid;

const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);

/// What becomes of a link that the path ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastLink {
    /// An error.
    Refused,
    /// It counts as those before it do.
    FollowedIfTrusted,
}

/// Opens a directory for reading.
pub(crate) fn open_directory(path: &Path, last_link: LastLink) -> io::Result<OwnedFd> {
    let start = if path.is_absolute() { "/" } else { "." };
    let mut directory = open(start, OFlag::O_RDONLY | DIRECTORY, Mode::empty())?;
    let mut names = path.components().filter(|part| !matches!(part, Component::RootDir | Component::CurDir)).peekable();
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        let mut flags = DIRECTORY | if is_last { OFlag::O_RDONLY } else { OFlag::O_PATH };
        if (is_last && last_link == LastLink::Refused) || !is_trusted(&directory)? {
            flags |= OFlag::O_NOFOLLOW;
        }
        directory = openat(&directory, name.as_os_str(), flags, Mode::empty())?;
    }
    Ok(directory)
}

/// Whether nobody but root and the caller can make links in a directory.
fn is_trusted(directory: &OwnedFd) -> io::Result<bool> {
    let status = fstat(directory)?;
    let owner = Uid::from_raw(status.st_uid);
    let others = Mode::from_bits_truncate(status.st_mode) & (Mode::S_IWGRP | Mode::S_IWOTH);
    Ok((owner.is_root() || owner == Uid::effective()) && others.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_link_counts_only_where_nobody_else_can_make_one() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("target/inner")).unwrap();
        fs::create_dir(path("open")).unwrap();
        symlink(path("target"), path("link")).unwrap();
        symlink(path("target"), path("open/link")).unwrap();
        fs::set_permissions(path("open"), Permissions::from_mode(0o777)).unwrap();
        let opens = |name: &str, last_link| open_directory(&path(name), last_link).is_ok();
        for last_link in [LastLink::Refused, LastLink::FollowedIfTrusted] {
            assert!(opens("target/inner", last_link) && opens("open", last_link));
            assert!(opens("link/inner", last_link) && !opens("open/link/inner", last_link));
            assert!(!opens("open/link", last_link) && !opens("nothing", last_link));
        }
        assert!(opens("link", LastLink::FollowedIfTrusted) && !opens("link", LastLink::Refused));
    }
}
