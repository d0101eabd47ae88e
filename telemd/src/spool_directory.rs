//! The files of the spool. Each appears under its final name when it is
//! complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use record::spool_file;

use crate::spool_name::Name;
use crate::{files, log};

/// Names that start with this are not records yet.
const TEMPORARY_PREFIX: &str = ".new-";

/// A directory that no other telemd uses.
pub(crate) struct SpoolDirectory {
    path: PathBuf,
    /// For `fsync` after a rename; locked against a second daemon.
    file: Flock<File>,
}

impl SpoolDirectory {
    /// Locks the directory, and removes what a crash left half-written: it was
    /// never acknowledged.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let directory = Self { path: path.to_owned(), file: lock(File::open(path)?)? };
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_name().as_bytes().starts_with(TEMPORARY_PREFIX.as_bytes()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn path_of(&self, name: &Name) -> PathBuf {
        self.path.join(&name.file)
    }

    /// When names came or went last, if that can be told.
    pub(crate) fn changed(&self) -> Option<SystemTime> {
        self.file.metadata().and_then(|metadata| metadata.modified()).ok()
    }

    /// Writes a file, all of it or nothing.
    pub(crate) fn write(&self, name: &Name, record: &[u8], is_synced: bool) -> io::Result<()> {
        let target = self.path_of(name);
        let temporary = self.path.join(format!("{TEMPORARY_PREFIX}{}", name.file.display()));
        let written = self.write_and_rename(&temporary, &target, record, is_synced);
        if written.is_err() {
            // Whatever of it is there: it is not acknowledged, and must not be
            // delivered.
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&target);
        }
        written
    }

    fn write_and_rename(&self, temporary: &Path, target: &Path, record: &[u8], is_synced: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        file.write_all(record)?;
        if is_synced {
            file.sync_all()?;
        }
        fs::rename(temporary, target)?;
        if is_synced {
            self.file.sync_all()?;
        }
        Ok(())
    }

    pub(crate) fn read(&self, name: &Name) -> io::Result<Vec<u8>> {
        files::read_regular(&self.path_of(name), spool_file::MAX)
    }

    /// An error if somebody deleted the file.
    pub(crate) fn check_presence(&self, name: &Name) -> io::Result<()> {
        self.path_of(name).symlink_metadata().map(|_| ())
    }

    /// Deletes a file; one that is gone already is no error.
    pub(crate) fn delete(&self, name: &Name) -> io::Result<()> {
        match fs::remove_file(self.path_of(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            deleted => deleted,
        }
    }

    /// Deletes all records; gives their number.
    pub(crate) fn clear(&self) -> io::Result<u64> {
        let mut count = 0;
        for name in self.names()? {
            fs::remove_file(self.path_of(&name?))?;
            count += 1;
        }
        Ok(count)
    }

    /// The names of all records, in any order.
    pub(crate) fn names(&self) -> io::Result<impl Iterator<Item = io::Result<Name>>> {
        Ok(fs::read_dir(&self.path)?.filter_map(|entry| entry.and_then(|entry| name_of(&entry)).transpose()))
    }
}

/// The name of a record; `None` for an entry that is none.
pub fn name_of(entry: &fs::DirEntry) -> io::Result<Option<Name>> {
    let is_hidden = entry.file_name().as_bytes().starts_with(b".");
    if is_hidden || !entry.file_type()?.is_file() {
        return Ok(None);
    }
    match Name::of(entry) {
        Ok(name) => Ok(Some(name)),
        Err(error) => {
            // One bad inode is no reason to deliver nothing.
            if error.kind() != io::ErrorKind::NotFound {
                log::warning(format_args!("spool file {}: {error}; it is left there", entry.path().display()));
            }
            Ok(None)
        }
    }
}

/// Two daemons on one spool would deliver everything twice, and sweep away what
/// the other is writing.
fn lock(directory: File) -> io::Result<Flock<File>> {
    Flock::lock(directory, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => io::Error::other("another telemd uses it"),
        errno => errno.into(),
    })
}
