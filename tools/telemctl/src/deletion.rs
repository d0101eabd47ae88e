//! Deletes what is in a directory, and never anything else: no symbolic link is
//! followed, whoever puts it in the way at whatever moment.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::trusted_path::{LastLink, open_directory};

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
    /// Opens it.
    pub(crate) fn open(path: &Path, last_link: LastLink) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), directory: Dir::from_fd(open_directory(path, last_link)?)? })
    }

    /// What the directory that was opened is.
    pub(crate) fn status(&self) -> io::Result<FileStat> {
        Ok(fstat(&self.directory)?)
    }

    /// Deletes the regular files in it that have such names; gives their
    /// number, and what is left of them.
    pub(crate) fn remove_files(&mut self, is_meant: impl Fn(&[u8]) -> bool) -> io::Result<(u64, Vec<Left>)> {
        let (mut count, mut left) = (0, Vec::new());
        for (name, kind) in names(&mut self.directory)? {
            if !is_meant(name.to_bytes()) {
                continue;
            }
            let parent = self.directory.as_fd();
            let removed = match is_of_type(parent, &name, kind, Type::File) {
                Ok(true) => unlinkat(parent, name.as_c_str(), UnlinkatFlags::NoRemoveDir).map(|()| 1),
                other => other.map(|_| 0),
            };
            match removed {
                Ok(removed) => count += removed,
                // Somebody else has.
                Err(Errno::ENOENT) => {}
                Err(errno) => left.push(Left { path: self.path.join(name_of(&name)), error: errno.into() }),
            }
        }
        Ok((count, left))
    }

    /// Whether there is something that is no directory in it, at any depth.
    pub(crate) fn has_files(&mut self) -> bool {
        has_files(&mut self.directory)
    }

    /// Deletes all that is in it; goes on after a failure, and tells what is
    /// left.
    pub(crate) fn empty(&mut self) -> Vec<Left> {
        let mut left = Vec::new();
        empty(&mut self.directory, &self.path, &mut left);
        left
    }
}

/// The names in a directory, with their types where the file system tells them.
fn names(directory: &mut Dir) -> Result<Vec<(CString, Option<Type>)>, Errno> {
    directory.iter().map(|entry| entry.map(|entry| (entry.file_name().to_owned(), entry.file_type()))).collect()
}

fn has_files(directory: &mut Dir) -> bool {
    let found = names(directory).unwrap_or_default();
    found.iter().filter(|(name, _)| !is_itself_or_parent(name)).any(|(name, kind)| {
        match is_of_type(directory.as_fd(), name, *kind, Type::Directory) {
            Ok(true) => Dir::openat(directory.as_fd(), name.as_c_str(), DIRECTORY, Mode::empty())
                .is_ok_and(|mut inner| has_files(&mut inner)),
            Ok(false) => true,
            Err(_) => false,
        }
    })
}

fn is_itself_or_parent(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

fn is_of_type(parent: BorrowedFd<'_>, name: &CStr, kind: Option<Type>, wanted: Type) -> Result<bool, Errno> {
    if let Some(kind) = kind {
        return Ok(kind == wanted);
    }
    let mode = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.st_mode;
    Ok(match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => wanted == Type::Directory,
        SFlag::S_IFREG => wanted == Type::File,
        _ => false,
    })
}

fn empty(directory: &mut Dir, path: &Path, left: &mut Vec<Left>) {
    let names = match names(directory) {
        Ok(names) => names,
        Err(errno) => return left.push(Left { path: path.to_owned(), error: errno.into() }),
    };
    for (name, kind) in names.iter().filter(|(name, _)| !is_itself_or_parent(name)) {
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
    if !is_of_type(parent, name, kind, Type::Directory)? {
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
        assert!(Doomed::open(&path("doomed"), LastLink::Refused).unwrap().empty().is_empty());
        assert_eq!(fs::read_dir(path("doomed")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(path("other/precious")).unwrap(), "data");
    }

    #[test]
    fn a_link_to_a_directory_is_not_opened() {
        let root = tempfile::tempdir().unwrap();
        symlink("/etc", root.path().join("link")).unwrap();
        assert!(Doomed::open(&root.path().join("link"), LastLink::Refused).is_err());
        fs::write(root.path().join("file"), "").unwrap();
        assert!(Doomed::open(&root.path().join("file"), LastLink::Refused).is_err());
    }
}
