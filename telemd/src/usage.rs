//! How much of the disk the spool takes, in all and for each user, and whether
//! one more record fits.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use thiserror::Error;

use crate::spool_name::Name;

/// What `stat(2)` counts blocks in.
const BLOCK: u64 = 512;
/// What a file takes at least, and in multiples.
pub(crate) const PAGE: u64 = 4096;
/// Time between two measurements of a spool that is full.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// Why a record is not in the spool.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("the spool has reached spool_max_size: {}", Errno::EDQUOT.desc())]
    Full,
    #[error("the user's records have reached spool_user_share: {}", Errno::EDQUOT.desc())]
    ShareUsed,
    #[error("spool_dir: {0}")]
    Io(#[from] io::Error),
}

impl StoreError {
    /// What the client is told.
    pub(crate) fn errno(&self) -> Errno {
        match self {
            Self::Full | Self::ShareUsed => Errno::EDQUOT,
            Self::Io(error) => error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
        }
    }
}

/// What the spool may take, in bytes on disk. `None`: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) all: Option<u64>,
    /// Of one user.
    pub(crate) user: Option<u64>,
}

/// What the spool takes.
#[derive(Default)]
pub(crate) struct Usage {
    pub(crate) quota: Quota,
    /// `None`: to be measured.
    sizes: Option<Sizes>,
    measured: Option<Instant>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Sizes {
    all: u64,
    users: BTreeMap<u32, u64>,
}

/// What a file of so many bytes takes on disk.
fn on_disk(len: usize) -> u64 {
    (len as u64).next_multiple_of(PAGE)
}

impl Usage {
    /// Whether a record fits. Before that is denied, the directory is measured:
    /// others may have made room.
    /// What is `arriving` may be on disk then or not, and counts anyway.
    pub(crate) fn check(
        &mut self,
        directory: &Path,
        len: usize,
        uid: u32,
        arriving: impl Iterator<Item = (usize, u32)>,
    ) -> Result<(), StoreError> {
        if self.quota == Quota::default() {
            return Ok(());
        }
        if self.sizes.as_ref().is_some_and(|sizes| self.judge(sizes, len, uid).is_ok()) {
            return Ok(());
        }
        let is_due = self.measured.is_none_or(|measured| measured.elapsed() >= MEASURE_INTERVAL);
        if self.sizes.is_none() || is_due {
            let sizes = measure(directory);
            // Counted from its end: it may take long.
            self.measured = Some(Instant::now());
            self.sizes = Some(sizes?);
            arriving.for_each(|(len, uid)| self.add(len, uid));
        }
        self.sizes.as_ref().map_or(Ok(()), |sizes| self.judge(sizes, len, uid))
    }

    fn judge(&self, sizes: &Sizes, len: usize, uid: u32) -> Result<(), StoreError> {
        let fits = |size: u64, quota: Option<u64>| quota.is_none_or(|quota| size.saturating_add(on_disk(len)) <= quota);
        if !fits(sizes.all, self.quota.all) {
            return Err(StoreError::Full);
        }
        match fits(sizes.users.get(&uid).copied().unwrap_or_default(), self.quota.user) {
            true => Ok(()),
            false => Err(StoreError::ShareUsed),
        }
    }

    pub(crate) fn add(&mut self, len: usize, uid: u32) {
        let Some(sizes) = &mut self.sizes else { return };
        sizes.all = sizes.all.saturating_add(on_disk(len));
        let user = sizes.users.entry(uid).or_default();
        *user = user.saturating_add(on_disk(len));
    }

    pub(crate) fn subtract(&mut self, len: usize, uid: Option<u32>) {
        let Some(sizes) = &mut self.sizes else { return };
        sizes.all = sizes.all.saturating_sub(on_disk(len));
        let Some(uid) = uid else { return };
        let user = sizes.users.entry(uid).or_default();
        *user = user.saturating_sub(on_disk(len));
        if *user == 0 {
            sizes.users.remove(&uid);
        }
    }

    /// What is known does not hold any more.
    pub(crate) fn forget(&mut self) {
        self.sizes = None;
    }

    /// A directory that is full is measured again at once.
    #[cfg(test)]
    pub(crate) fn let_time_pass(&mut self) {
        self.measured = None;
    }

    #[cfg(test)]
    pub(crate) fn is_right(&self, directory: &Path) -> bool {
        self.sizes.as_ref() == Some(&measure(directory).unwrap())
    }
}

/// The bytes on disk of all files of a directory.
fn measure(directory: &Path) -> io::Result<Sizes> {
    let mut sizes = Sizes::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let size = match entry.metadata() {
            Ok(metadata) if metadata.is_file() => metadata.blocks() * BLOCK,
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        sizes.all += size;
        if let Some(uid) = Name::of(&entry).ok().and_then(|name| name.uid) {
            *sizes.users.entry(uid).or_default() += size;
        }
    }
    Ok(sizes)
}
