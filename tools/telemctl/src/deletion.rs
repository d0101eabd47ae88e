//! Deletes what is in a directory, and never anything else: no symbolic link is
//! followed, whoever puts it in the way at whatever moment.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// A directory is opened as itself, or not at all.
const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Something that is still there, and why.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

/// A directory that is to be emptied.
pub(crate) struct Doomed {
    path: PathBuf,
    directory: Dir,
}

impl Doomed {
    /// Opens it. A symbolic link is none.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), directory: Dir::open(path, DIRECTORY, Mode::empty())? })
    }

    /// What the directory that was opened is.
    pub(crate) fn status(&self) -> io::Result<FileStat> {
        Ok(fstat(&self.directory)?)
    }

    /// Deletes all that is in it; goes on after a failure, and tells what is
    /// left.
    pub(crate) fn empty(&mut self) -> Vec<Left> {
        let mut left = Vec::new();
        empty(&mut self.directory, &self.path, &mut left);
        left
    }
}

fn empty(directory: &mut Dir, path: &Path, left: &mut Vec<Left>) {
    let names: Result<Vec<_>, Errno> =
        directory.iter().map(|entry| entry.map(|entry| (entry.file_name().to_owned(), entry.file_type()))).collect();
    let names = match names {
        Ok(names) => names,
        Err(errno) => return left.push(Left { path: path.to_owned(), error: errno.into() }),
    };
    for (name, kind) in names.iter().filter(|(name, _)| !matches!(name.to_bytes(), b"." | b"..")) {
        let entry = path.join(name_of(name));
        match delete(directory.as_fd(), name, *kind, &entry, left) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => left.push(Left { path: entry, error: errno.into() }),
        }
    }
}

fn delete(
    parent: BorrowedFd<'_>,
    name: &CStr,
    kind: Option<Type>,
    path: &Path,
    left: &mut Vec<Left>,
) -> Result<(), Errno> {
    // Not every file system tells with the name.
    let is_directory = match kind {
        Some(kind) => kind == Type::Directory,
        None => {
            let mode = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.st_mode;
            SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFDIR
        }
    };
    if !is_directory {
        return unlinkat(parent, name, UnlinkatFlags::NoRemoveDir);
    }
    let before = left.len();
    empty(&mut Dir::openat(parent, name, DIRECTORY, Mode::empty())?, path, left);
    match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        // What is left in it was said.
        Err(Errno::ENOTEMPTY) if left.len() > before => Ok(()),
        removed => removed,
    }
}

fn name_of(name: &CStr) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn everything_in_a_directory_is_deleted_and_nothing_that_links_lead_to() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("doomed/a/b/c")).unwrap();
        fs::create_dir(path("other")).unwrap();
        fs::write(path("other/precious"), "data").unwrap();
        fs::write(path("doomed/a/file"), "").unwrap();
        fs::write(path("doomed/.hidden"), "").unwrap();
        symlink(path("other"), path("doomed/link")).unwrap();
        symlink(path("other/precious"), path("doomed/a/link")).unwrap();
        symlink("/nonexistent", path("doomed/a/b/dangling")).unwrap();
        assert!(Doomed::open(&path("doomed")).unwrap().empty().is_empty());
        assert_eq!(fs::read_dir(path("doomed")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(path("other/precious")).unwrap(), "data");
    }

    #[test]
    fn a_link_to_a_directory_is_not_opened() {
        let root = tempfile::tempdir().unwrap();
        symlink("/etc", root.path().join("link")).unwrap();
        assert!(Doomed::open(&root.path().join("link")).is_err());
        fs::write(root.path().join("file"), "").unwrap();
        assert!(Doomed::open(&root.path().join("file")).is_err());
    }
}
