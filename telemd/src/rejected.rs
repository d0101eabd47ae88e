//! Records that no collector will ever take: they are kept beside the spool,
//! the newest of them, for the administrator to look at.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use record::spool_file;

use crate::files;

/// Name of a file until it is whole.
const TEMPORARY_NAME: &str = ".new";
/// Files that are kept.
const FILES_MAX: usize = 100;

/// More than a reason has.
const REASON_MAX: usize = 4096;

/// Why a record was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// When, in seconds since the epoch.
    pub time: u64,
    /// What the server answered, or what is wrong with the record.
    pub message: String,
}

impl Reason {
    /// Of a record in a directory; `None` if nobody noted it.
    pub fn of(directory: &Path, record: &OsStr) -> Option<Self> {
        let noted = files::read_regular(&reason_file(directory, record), REASON_MAX).ok()?;
        let noted = String::from_utf8_lossy(&noted);
        let (time, message) = noted.trim_end().split_once(' ')?;
        Some(Self { time: time.parse().ok()?, message: message.to_owned() })
    }
}

/// The file beside a record that has the reason. Its name is no record's, also
/// for other programs: it begins with a dot.
pub fn reason_file(directory: &Path, record: &OsStr) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(record);
    name.push(".reason");
    directory.join(name)
}

/// The directory `rejected` beside the spool.
pub struct Rejected(PathBuf);

impl Rejected {
    /// That of a spool.
    pub fn beside(spool: &Path) -> Self {
        Self(spool.with_file_name("rejected"))
    }

    /// Its path. It exists when a record was rejected.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// Moves a file here, and removes the oldest if there are too many.
    pub(crate) fn take(&self, file: &Path, reason: &str) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let target = self.0.join(name);
        let note = reason_file(&self.0, name);
        // First: who sees the record sees why. It is for information, and the
        // record goes without it, too.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let _ = write_note(&note, format!("{time} {reason}\n").as_bytes());
        let moved = Self::move_here(file, &target);
        if moved.is_err() {
            let _ = fs::remove_file(note);
        }
        moved.and_then(|()| self.prune())
    }

    fn move_here(file: &Path, target: &Path) -> io::Result<()> {
        match fs::rename(file, target) {
            // The spool can be a file system of its own.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => move_to_other_disk(file, target),
            moved => moved,
        }
    }

    /// Deletes all files; gives their number.
    pub(crate) fn clear(&self) -> io::Result<u64> {
        let mut count = 0;
        for (_, path) in self.files()? {
            fs::remove_file(&path)?;
            count += u64::from(is_record(&path));
        }
        Ok(count)
    }

    fn prune(&self) -> io::Result<()> {
        let mut files = self.files()?;
        files.retain(|(_, path)| is_record(path));
        files.sort();
        let surplus = files.len().saturating_sub(FILES_MAX);
        files.iter().take(surplus).try_for_each(|(_, path)| {
            let _ = fs::remove_file(reason_file(&self.0, path.file_name().unwrap_or_default()));
            fs::remove_file(path)
        })
    }

    /// Its files, each with the time of its last change.
    fn files(&self) -> io::Result<Vec<(SystemTime, PathBuf)>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        Ok(files)
    }
}

fn write_note(path: &Path, note: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(note)
}

fn is_record(path: &Path) -> bool {
    path.file_name().is_some_and(|name| !name.as_bytes().starts_with(b"."))
}

/// The copy is whole, and on disk, before the file goes.
fn move_to_other_disk(file: &Path, target: &Path) -> io::Result<()> {
    let temporary = target.with_file_name(TEMPORARY_NAME);
    let copied = copy(file, &temporary);
    let moved = copied.and_then(|()| fs::rename(&temporary, target)).and_then(|()| fs::remove_file(file));
    if moved.is_err() {
        let _ = fs::remove_file(temporary);
    }
    moved
}

fn copy(file: &Path, target: &Path) -> io::Result<()> {
    let content = files::read_regular(file, spool_file::MAX)?;
    let mut copy = files::create_anew(target, 0o600)?;
    copy.write_all(&content)?;
    copy.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_newest_hundred_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool");
        fs::create_dir(&spool).unwrap();
        let rejected = Rejected::beside(&spool);
        for number in 0..FILES_MAX as u64 + 5 {
            let path = spool.join(format!("{number:03}"));
            let file = fs::File::create(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(number)).unwrap();
            rejected.take(&path, "the server answered 400 Bad Request").unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(directory.path().join("rejected"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let all = names.len();
        names.retain(|name| !name.starts_with('.'));
        let notes = all - names.len();
        assert_eq!(notes, FILES_MAX, "each with its reason");
        let reason = Reason::of(rejected.directory(), OsStr::new("005")).unwrap();
        assert_eq!(reason.message, "the server answered 400 Bad Request");
        assert!(reason.time > 1_700_000_000);
        assert_eq!((names.len(), names[0].as_str()), (FILES_MAX, "005"));
        assert_eq!(fs::read_dir(&spool).unwrap().count(), 0);
    }

    #[test]
    fn a_copy_is_not_written_through_a_link_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("precious"), "data").unwrap();
        fs::write(path("file"), "a record").unwrap();
        std::os::unix::fs::symlink(path("precious"), path(TEMPORARY_NAME)).unwrap();
        move_to_other_disk(&path("file"), &path("target")).unwrap();
        assert_eq!(fs::read_to_string(path("precious")).unwrap(), "data");
        assert_eq!(fs::read_to_string(path("target")).unwrap(), "a record");
        assert!(!path("file").exists() && !path(TEMPORARY_NAME).exists());
    }
}
