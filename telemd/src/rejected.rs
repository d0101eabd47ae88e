//! Records that no collector will ever take: they are kept beside the spool,
//! the newest of them, for the administrator to look at.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use record::spool_file;

use crate::files;

/// Name of a file until it is whole.
const TEMPORARY_NAME: &str = ".new";
/// Files that are kept.
const FILES_MAX: usize = 100;

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
    pub(crate) fn take(&self, file: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let target = self.0.join(name);
        match fs::rename(file, &target) {
            // The spool can be a file system of its own.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => move_to_other_disk(file, &target)?,
            moved => moved?,
        }
        self.prune()
    }

    /// Deletes all files; gives their number.
    pub(crate) fn clear(&self) -> io::Result<u64> {
        let mut count = 0;
        for (_, path) in self.files()? {
            fs::remove_file(path)?;
            count += 1;
        }
        Ok(count)
    }

    fn prune(&self) -> io::Result<()> {
        let mut files = self.files()?;
        files.sort();
        let surplus = files.len().saturating_sub(FILES_MAX);
        files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
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
            rejected.take(&path).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(directory.path().join("rejected"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
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
