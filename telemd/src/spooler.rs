//! The spooler: the one thread that touches the spool directory.
//!
//! A file appears under its final name when it is complete. Records come out in
//! the order of their names; what cannot be read or delivered for reasons of its
//! own is set aside and holds up nobody. Memory does not grow with the number of
//! records: only the first names are held.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use record::spool_file;
use ring::rand::{SecureRandom, SystemRandom};

use crate::rejected::Rejected;
use crate::spool::{Request, SpoolRules, Waiting};
use crate::spool_name::{Name, Urgency, nanoseconds};
use crate::sync::{self, SyncQueue};
use crate::{files, log};

/// Names that start with this are not records yet.
const TEMPORARY_PREFIX: &str = ".new-";
/// Names that are held in memory; more are looked up on disk when it is their
/// turn.
pub(crate) const NAMES_MAX: usize = 1024;

/// What `stat(2)` counts blocks in.
const BLOCK: u64 = 512;
/// What a file takes at least, and in multiples.
const PAGE: u64 = 4096;
/// Time between two measurements of a spool that is full.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// Time after which what was set aside, or could not be read, is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct Spooler {
    directory: PathBuf,
    /// For `fsync` after a rename; locked against a second daemon.
    directory_file: Flock<File>,
    random: SystemRandom,
    /// The oldest names that nobody has taken.
    names: BTreeSet<Name>,
    /// Whether files wait that `names` had no room for.
    more_on_disk: bool,
    taken: Option<Name>,
    /// What must not hold up the others, until [`RETRY_INTERVAL`] has passed.
    aside: BTreeSet<Name>,
    aside_since: Instant,
    rejected: Rejected,
    /// Bytes on disk that the spool may take; `None`: no limit.
    quota: Option<u64>,
    /// Whether every record is synced before it is acknowledged.
    sync_all: bool,
    unsynced: SyncQueue,
    syncer: Sender<Vec<PathBuf>>,
    /// Bytes on disk; `None`: to be measured.
    size: Option<u64>,
    measured: Instant,
    last_arrival: u64,
    asked: Option<Sender<Waiting>>,
}

impl Spooler {
    pub(crate) fn open(directory: &Path, rules: SpoolRules) -> io::Result<Self> {
        let mut spooler = Self {
            directory: directory.to_owned(),
            directory_file: lock(File::open(directory)?)?,
            random: SystemRandom::new(),
            names: BTreeSet::new(),
            more_on_disk: true,
            taken: None,
            aside: BTreeSet::new(),
            aside_since: Instant::now(),
            rejected: Rejected::beside(directory),
            quota: rules.quota,
            sync_all: rules.sync_interval.is_zero(),
            unsynced: SyncQueue::new(rules.sync_interval),
            syncer: sync::start(directory)?,
            size: None,
            measured: Instant::now(),
            last_arrival: 0,
            asked: None,
        };
        spooler.sweep()?;
        spooler.scan()?;
        Ok(spooler)
    }

    /// Removes what a crash left half-written: it was never acknowledged.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_name().as_bytes().starts_with(TEMPORARY_PREFIX.as_bytes()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Looks for the oldest names on disk.
    fn scan(&mut self) -> io::Result<()> {
        let mut found = BTreeSet::new();
        let mut more_on_disk = false;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let is_hidden = entry.file_name().as_bytes().starts_with(b".");
            if is_hidden || !entry.file_type()?.is_file() {
                continue;
            }
            let name = Name::of(&entry)?;
            self.last_arrival = self.last_arrival.max(name.arrival);
            if self.taken.as_ref() != Some(&name) && !self.aside.contains(&name) {
                found.insert(name);
            }
            if found.len() > NAMES_MAX {
                found.pop_last();
                more_on_disk = true;
            }
        }
        // Only now: what was known must outlive a scan that failed.
        (self.names, self.more_on_disk) = (found, more_on_disk);
        Ok(())
    }

    /// Remembers a name, unless older ones wait on disk: then it is found there
    /// when it is its turn.
    fn insert(&mut self, name: Name) {
        if self.more_on_disk && self.names.last().is_none_or(|last| name > *last) {
            return;
        }
        self.names.insert(name);
        if self.names.len() > NAMES_MAX {
            self.names.pop_last();
            self.more_on_disk = true;
        }
    }

    pub(crate) fn serve(&mut self, requests: &Receiver<Request>) {
        loop {
            let timeout = self.unsynced.due_in(Instant::now()).unwrap_or(RETRY_INTERVAL).min(RETRY_INTERVAL);
            let received = requests.recv_timeout(timeout);
            self.unsynced.hand_over_if_due(&self.syncer, Instant::now());
            let request = match received {
                Ok(request) => request,
                Err(RecvTimeoutError::Disconnected) => return,
                // The courier waits, and there are records: an error kept them.
                Err(RecvTimeoutError::Timeout) => {
                    self.take_up();
                    self.answer();
                    continue;
                }
            };
            match request {
                Request::Store { record, urgency, reply } => {
                    // The intake says what failed, and says it with measure.
                    let _ = reply.send(self.store(&record, urgency));
                }
                Request::Next { reply } => self.asked = Some(reply),
                Request::Remove { waiting } => {
                    self.taken = None;
                    self.remove(&waiting.name);
                }
                Request::Reject { waiting, reason } => {
                    self.taken = None;
                    self.reject(waiting.name, &reason);
                }
                Request::GiveBack { waiting } => {
                    self.taken = None;
                    self.insert(waiting.name);
                }
                Request::SetAside { waiting } => {
                    self.taken = None;
                    self.set_aside(waiting.name);
                }
            }
            self.take_up();
            self.answer();
        }
    }

    fn set_aside(&mut self, name: Name) {
        if self.aside.is_empty() {
            self.aside_since = Instant::now();
        }
        self.aside.insert(name);
        if self.aside.len() > NAMES_MAX {
            // It is found again on disk.
            self.aside.pop_last();
            self.more_on_disk = true;
        }
    }

    /// Puts what was set aside back into the queue when it is time.
    fn take_up(&mut self) {
        if self.aside_since.elapsed() >= RETRY_INTERVAL {
            for name in std::mem::take(&mut self.aside) {
                self.insert(name);
            }
        }
    }

    /// Gives the oldest record to the courier if it waits for one.
    fn answer(&mut self) {
        if self.asked.is_none() {
            return;
        }
        let Some(waiting) = self.take_oldest() else { return };
        self.taken = Some(waiting.name.clone());
        if let Some(reply) = self.asked.take() {
            let _ = reply.send(waiting);
        }
    }

    /// The oldest record. In a shortage a file keeps its place; one that cannot
    /// be read for another reason is set aside.
    fn take_oldest(&mut self) -> Option<Waiting> {
        loop {
            if self.names.is_empty() && self.more_on_disk {
                if let Err(error) = self.scan() {
                    log::error(format_args!("spool_dir {}: {error}", self.directory.display()));
                    return None;
                }
            }
            let name = self.names.first()?;
            match files::read_regular(&self.directory.join(&name.file), spool_file::MAX) {
                Ok(content) => return self.names.pop_first().map(|name| Waiting { name, content }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.names.pop_first();
                }
                Err(error) if files::is_shortage(&error) => {
                    log::warning(format_args!("spool file {}: {error}", name.file.display()));
                    return None;
                }
                Err(error) => {
                    log::warning(format_args!("spool file {}: {error}; it is left there", name.file.display()));
                    if let Some(name) = self.names.pop_first() {
                        self.set_aside(name);
                    }
                }
            }
        }
    }

    fn reject(&mut self, name: Name, reason: &str) {
        let file = name.file.display();
        match self.rejected.take(&self.directory.join(&name.file)) {
            Ok(()) => {
                let target = self.rejected.directory().display();
                log::error(format_args!("spool file {file}: {reason}; it was moved to {target}"));
                // The size of the spool is measured when it matters.
                self.size = None;
            }
            Err(error) => {
                log::error(format_args!("spool file {file}: {reason}; it cannot be moved away: {error}"));
                self.set_aside(name);
            }
        }
    }

    fn remove(&mut self, name: &Name) {
        let path = self.directory.join(&name.file);
        let freed = path.symlink_metadata().map_or(0, |metadata| metadata.blocks() * BLOCK);
        self.size = self.size.map(|size| size.saturating_sub(freed));
        if let Err(error) = fs::remove_file(path) {
            log::error(format_args!("spool file {}: {error}; it may be delivered again", name.file.display()));
        }
    }

    fn store(&mut self, record: &[u8], urgency: Urgency) -> io::Result<()> {
        let needed = (record.len() as u64).next_multiple_of(PAGE);
        if !self.has_room(needed)? {
            return Err(Errno::EDQUOT.into());
        }
        let name = self.new_name(urgency)?;
        let target = self.directory.join(&name.file);
        let temporary = self.directory.join(format!("{TEMPORARY_PREFIX}{}", name.file.display()));
        let is_synced = self.sync_all || urgency == Urgency::Critical;
        let written = self.write(&temporary, &target, record, is_synced);
        if written.is_err() {
            // Whatever of it is there: it is not acknowledged, and must not be
            // delivered.
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&target);
        }
        written?;
        self.size = self.size.map(|size| size.saturating_add(needed));
        if !is_synced {
            self.unsynced.add(name.file.clone(), Instant::now());
        }
        self.insert(name);
        Ok(())
    }

    /// Whether so many bytes fit in the quota. Before that is denied, the
    /// directory is measured: others may have made room.
    fn has_room(&mut self, needed: u64) -> io::Result<bool> {
        let Some(quota) = self.quota else { return Ok(true) };
        let fits = |size: u64| size.saturating_add(needed) <= quota;
        if self.size.is_some_and(fits) {
            return Ok(true);
        }
        if self.size.is_none() || self.measured.elapsed() >= MEASURE_INTERVAL {
            self.measured = Instant::now();
            self.size = Some(measure(&self.directory)?);
        }
        Ok(self.size.is_some_and(fits))
    }

    fn write(&self, temporary: &Path, target: &Path, record: &[u8], is_synced: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        file.write_all(record)?;
        if is_synced {
            file.sync_all()?;
        }
        fs::rename(temporary, target)?;
        if is_synced {
            self.directory_file.sync_all()?;
        }
        Ok(())
    }

    /// A name behind all others, whatever the clock does.
    fn new_name(&mut self, urgency: Urgency) -> io::Result<Name> {
        let mut random = [0; 4];
        self.random.fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
        let arrival = nanoseconds(SystemTime::now()).max(self.last_arrival.saturating_add(1));
        self.last_arrival = arrival;
        let file = format!("{arrival:020}-{}-{:08x}", urgency.letter(), u32::from_ne_bytes(random)).into();
        Ok(Name { urgency, arrival, file })
    }
}

/// The bytes on disk of all files of a directory.
fn measure(directory: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(directory)? {
        match entry?.metadata() {
            Ok(metadata) if metadata.is_file() => size += metadata.blocks() * BLOCK,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(size)
}

/// Two daemons on one spool would deliver everything twice, and sweep away what
/// the other is writing.
fn lock(directory: File) -> io::Result<Flock<File>> {
    Flock::lock(directory, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => io::Error::other("another telemd uses it"),
        errno => errno.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::{files, rules};

    #[test]
    fn d7_a_file_that_cannot_be_read_does_not_hold_up_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path(), rules(None)).unwrap();
        spooler.store(b"one", Urgency::Ordinary).unwrap();
        spooler.store(b"two", Urgency::Ordinary).unwrap();
        let first = directory.path().join(&spooler.names.first().unwrap().file);
        // Reading a directory fails for every user, as a bad sector would.
        fs::rename(&first, directory.path().join("aside")).unwrap();
        fs::create_dir(&first).unwrap();
        assert_eq!(spooler.take_oldest().unwrap().content, b"two");
        fs::remove_dir(&first).unwrap();
        fs::rename(directory.path().join("aside"), &first).unwrap();
        assert!(spooler.take_oldest().is_none(), "not before its time");
        spooler.aside_since -= RETRY_INTERVAL;
        spooler.take_up();
        assert_eq!(spooler.take_oldest().unwrap().content, b"one");
    }

    #[test]
    fn a_scan_that_fails_forgets_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path(), rules(None)).unwrap();
        spooler.store(b"one", Urgency::Ordinary).unwrap();
        let away = directory.path().with_extension("away");
        fs::rename(directory.path(), &away).unwrap();
        assert!(spooler.scan().is_err());
        fs::rename(&away, directory.path()).unwrap();
        assert_eq!(spooler.take_oldest().unwrap().content, b"one");
    }

    #[test]
    fn d18_a_full_quota_refuses_with_an_errno_and_room_is_seen_when_others_make_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path(), rules(Some(3 * PAGE))).unwrap();
        for _ in 0..3 {
            spooler.store(&[b'x'; 100], Urgency::Ordinary).unwrap();
        }
        let error = spooler.store(b"one too many", Urgency::Ordinary).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EDQUOT as i32));
        assert_eq!(files(directory.path()).len(), 3, "nothing is left of it");
        fs::remove_file(directory.path().join(&files(directory.path())[0])).unwrap();
        spooler.measured -= MEASURE_INTERVAL;
        spooler.store(b"fits again", Urgency::Ordinary).unwrap();
    }

    #[test]
    fn a_quota_of_0_is_always_full() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path(), rules(Some(0))).unwrap();
        assert!(spooler.store(b"x", Urgency::Ordinary).is_err());
    }

    #[test]
    fn d9_what_comes_and_goes_leaves_the_size_right() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path(), rules(Some(100 * PAGE))).unwrap();
        for _ in 0..300 {
            spooler.store(&[b'x'; 5000], Urgency::Ordinary).unwrap();
            let waiting = spooler.take_oldest().unwrap();
            spooler.remove(&waiting.name);
        }
        assert_eq!(spooler.size, Some(measure(directory.path()).unwrap()));
    }
}
