//! The spool: records on disk, one file each, until a collector has them.
//!
//! One thread, the spooler, touches the directory; everybody else asks it
//! through [`Spool`]. A file appears under its final name when it is complete;
//! names sort by arrival.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use record::spool_file;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::rejected::Rejected;
use crate::{files, log};

/// Names that start with this are not records yet.
const TEMPORARY_PREFIX: &str = ".new-";
/// Requests that may wait for the spooler; more wait in their threads.
const REQUESTS_MAX: usize = 64;
/// Names that are held in memory; more are looked up on disk when it is their
/// turn.
const NAMES_MAX: usize = 1024;

/// What `stat(2)` counts blocks in.
const BLOCK: u64 = 512;
/// What a file takes at least, and in multiples.
const PAGE: u64 = 4096;
/// Time between two measurements of a spool that is full.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// Time after which what was set aside, or could not be read, is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Error)]
pub(crate) enum SpoolError {
    #[error("spool_dir {}: {error}; it must be a directory that the daemon may write to", directory.display())]
    Directory { directory: PathBuf, error: io::Error },
}

/// A record that waits, as its file has it.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    name: Name,
    pub(crate) content: Vec<u8>,
}

impl Waiting {
    /// The same for every attempt to deliver this file, and for no other: by
    /// it a collector knows a record that comes again.
    pub(crate) fn record_id(&self) -> String {
        let mut digest = digest::Context::new(&digest::SHA256);
        digest.update(self.name.file.as_os_str().as_bytes());
        digest.update(&[0]);
        digest.update(&self.content);
        digest.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// When it came.
    pub(crate) fn arrival(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.name.arrival)
    }
}

/// A file of the spool. Names compare in the order of delivery: critical
/// records first, then by arrival.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    urgency: Urgency,
    /// Nanoseconds since the epoch.
    arrival: u64,
    file: PathBuf,
}

/// Whether a record is critical, as its name tells: those of the C daemons do
/// not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Severity 4: synced before it is acknowledged, delivered first.
    Critical,
    /// All others.
    Ordinary,
}

impl Urgency {
    /// What stands for it in a name.
    const fn letter(self) -> &'static str {
        match self {
            Self::Critical => "c",
            Self::Ordinary => "o",
        }
    }
}

impl Name {
    /// Of an entry of the directory. Our own names tell arrival and urgency:
    /// `arrival-urgency-random`; of others, the time of the last change counts.
    fn of(entry: &fs::DirEntry) -> io::Result<Self> {
        let file = entry.file_name();
        let mut parts = file.to_str().unwrap_or_default().splitn(3, '-');
        let arrival = parts.next().and_then(|digits| digits.parse().ok());
        let urgency = match parts.next() {
            Some("c") => Urgency::Critical,
            _ => Urgency::Ordinary,
        };
        let arrival = match arrival {
            Some(arrival) if parts.next().is_some() => arrival,
            _ => nanoseconds(entry.metadata()?.modified()?),
        };
        Ok(Self { urgency, arrival, file: file.into() })
    }
}

enum Request {
    Store { record: Vec<u8>, urgency: Urgency, reply: Sender<io::Result<()>> },
    Next { reply: Sender<Waiting> },
    Remove { waiting: Waiting },
    Reject { waiting: Waiting, reason: String },
    GiveBack { waiting: Waiting },
    SetAside { waiting: Waiting },
}

/// The other stations' end of the spool.
#[derive(Clone)]
pub(crate) struct Spool(Sender<Request>);

impl Spool {
    /// Opens the directory and starts the spooler, which ends when the last
    /// `Spool` is dropped. `quota`: the bytes on disk that it may take.
    pub(crate) fn open(directory: &Path, quota: Option<u64>) -> Result<(Self, JoinHandle<()>), SpoolError> {
        let failed = |error| SpoolError::Directory { directory: directory.to_owned(), error };
        let mut spooler = Spooler::open(directory, quota).map_err(failed)?;
        let (requests, incoming) = bounded(REQUESTS_MAX);
        let thread = thread::Builder::new().name("spooler".into()).spawn(move || spooler.serve(&incoming));
        Ok((Self(requests), thread.map_err(failed)?))
    }

    /// Puts a record, encoded as a spool file, on disk. Returns when it is
    /// there; a critical one, when a power failure cannot take it any more.
    pub(crate) fn store(&self, record: Vec<u8>, urgency: Urgency) -> io::Result<()> {
        let (reply, answer) = bounded(1);
        let ended = || io::Error::from_raw_os_error(nix::libc::ESHUTDOWN);
        self.0.send(Request::Store { record, urgency, reply }).map_err(|_| ended())?;
        answer.recv().map_err(|_| ended())?
    }

    /// Asks for the oldest record that nobody else has; it comes when there is
    /// one.
    pub(crate) fn next(&self) -> Receiver<Waiting> {
        let (reply, answer) = bounded(1);
        let _ = self.0.send(Request::Next { reply });
        answer
    }

    /// Deletes a record that is not needed any more.
    pub(crate) fn remove(&self, waiting: Waiting) {
        let _ = self.0.send(Request::Remove { waiting });
    }

    /// Moves a record away that no collector will ever take.
    pub(crate) fn reject(&self, waiting: Waiting, reason: String) {
        let _ = self.0.send(Request::Reject { waiting, reason });
    }

    /// Returns a record that could not be delivered, for reasons of its own: the
    /// others go on, and it comes again a minute later.
    pub(crate) fn set_aside(&self, waiting: Waiting) {
        let _ = self.0.send(Request::SetAside { waiting });
    }

    /// Returns a record that could not be delivered.
    pub(crate) fn give_back(&self, waiting: Waiting) {
        let _ = self.0.send(Request::GiveBack { waiting });
    }
}

struct Spooler {
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
    /// Bytes on disk; `None`: to be measured.
    size: Option<u64>,
    measured: Instant,
    last_arrival: u64,
    asked: Option<Sender<Waiting>>,
}

impl Spooler {
    fn open(directory: &Path, quota: Option<u64>) -> io::Result<Self> {
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
            quota,
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

    fn serve(&mut self, requests: &Receiver<Request>) {
        loop {
            let request = match requests.recv_timeout(RETRY_INTERVAL) {
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
                    let stored = self.store(&record, urgency);
                    if let Err(error) = &stored {
                        log::error(format_args!(
                            "spool_dir {}: {error}; a record was refused",
                            self.directory.display()
                        ));
                    }
                    let _ = reply.send(stored);
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
        while self.asked.is_some() {
            let Some(waiting) = self.take_oldest() else { return };
            self.taken = Some(waiting.name.clone());
            if let Some(reply) = self.asked.take() {
                let _ = reply.send(waiting);
            }
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
        let written = self.write(&temporary, &target, record, urgency);
        if written.is_err() {
            // Whatever of it is there: it is not acknowledged, and must not be
            // delivered.
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&target);
        }
        written?;
        self.size = self.size.map(|size| size.saturating_add(needed));
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

    fn write(&self, temporary: &Path, target: &Path, record: &[u8], urgency: Urgency) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        file.write_all(record)?;
        if urgency == Urgency::Critical {
            file.sync_all()?;
        }
        fs::rename(temporary, target)?;
        if urgency == Urgency::Critical {
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

fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(spool: &Spool) -> (Waiting, String) {
        let waiting = spool.next().recv().unwrap();
        let text = String::from_utf8(waiting.content.clone()).unwrap();
        (waiting, text)
    }

    fn files(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn records_come_out_oldest_first_and_stay_until_they_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(directory.path(), None).unwrap();
        for text in ["one", "two", "three"] {
            spool.store(text.into(), Urgency::Ordinary).unwrap();
        }
        let (first, text) = content(&spool);
        assert_eq!((text.as_str(), files(directory.path()).len()), ("one", 3), "taken is not removed");
        spool.give_back(first);
        let (again, text) = content(&spool);
        assert_eq!(text, "one");
        spool.remove(again);
        assert_eq!(content(&spool).1, "two");
    }

    #[test]
    fn a_new_daemon_finds_what_the_old_one_left() {
        let directory = tempfile::tempdir().unwrap();
        {
            let (spool, thread) = Spool::open(directory.path(), None).unwrap();
            spool.store("kept".into(), Urgency::Critical).unwrap();
            drop(spool);
            thread.join().unwrap();
        }
        let (spool, _) = Spool::open(directory.path(), None).unwrap();
        assert_eq!(content(&spool).1, "kept");
    }

    #[test]
    fn w6_half_written_files_are_swept_and_other_entries_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path(".new-1-2"), "half").unwrap();
        fs::write(path(".hidden"), "not ours").unwrap();
        fs::create_dir(path("directory")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path("link")).unwrap();
        fs::write(path("aB3xY9"), "of a C daemon").unwrap();
        let (spool, _) = Spool::open(directory.path(), None).unwrap();
        assert_eq!(files(directory.path()), [".hidden", "aB3xY9", "directory", "link"]);
        let (waiting, text) = content(&spool);
        assert_eq!(text, "of a C daemon");
        spool.remove(waiting);
        spool.store("new".into(), Urgency::Ordinary).unwrap();
        assert_eq!(content(&spool).1, "new", "the directory and the link do not block");
    }

    #[test]
    fn more_records_than_names_fit_in_memory_all_come_out_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, thread) = Spool::open(directory.path(), None).unwrap();
        let count = NAMES_MAX * 2 + 10;
        let mut stored = 0..count;
        let mut store = |count: usize| {
            for number in stored.by_ref().take(count) {
                spool.store(number.to_string().into(), Urgency::Ordinary).unwrap();
            }
        };
        store(NAMES_MAX + 100);
        for number in 0..count {
            let (waiting, text) = content(&spool);
            assert_eq!(text, number.to_string());
            spool.remove(waiting);
            // Newer ones come while older ones wait on disk.
            store(1);
        }
        drop(spool);
        thread.join().unwrap();
        assert!(files(directory.path()).is_empty());
    }

    #[test]
    fn a_record_that_cannot_be_written_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(directory.path(), None).unwrap();
        let gone = directory.path().to_owned();
        drop(directory);
        assert_eq!(spool.store("lost".into(), Urgency::Ordinary).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!gone.exists());
    }

    #[test]
    fn d7_a_file_that_cannot_be_read_does_not_hold_up_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path(), None).unwrap();
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
    fn a_second_daemon_cannot_use_the_same_spool() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Spool::open(directory.path(), None).unwrap();
        let error = Spool::open(directory.path(), None).err().unwrap().to_string();
        assert!(error.contains("another telemd uses it"), "{error}");
    }

    #[test]
    fn a_scan_that_fails_forgets_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path(), None).unwrap();
        spooler.store(b"one", Urgency::Ordinary).unwrap();
        let away = directory.path().with_extension("away");
        fs::rename(directory.path(), &away).unwrap();
        assert!(spooler.scan().is_err());
        fs::rename(&away, directory.path()).unwrap();
        assert_eq!(spooler.take_oldest().unwrap().content, b"one");
    }

    #[test]
    fn critical_records_come_out_first() {
        let directory = tempfile::tempdir().unwrap();
        {
            let (spool, thread) = Spool::open(directory.path(), None).unwrap();
            for (text, urgency) in [("1", Urgency::Ordinary), ("2", Urgency::Critical), ("3", Urgency::Critical)] {
                spool.store(text.into(), urgency).unwrap();
            }
            drop(spool);
            thread.join().unwrap();
        }
        let (spool, _) = Spool::open(directory.path(), None).unwrap();
        for expected in ["2", "3", "1"] {
            let (waiting, text) = content(&spool);
            assert_eq!(text, expected, "also after a restart");
            spool.remove(waiting);
        }
    }

    #[test]
    fn d18_a_full_quota_refuses_with_an_errno_and_room_is_seen_when_others_make_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path(), Some(3 * PAGE)).unwrap();
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
        let mut spooler = Spooler::open(directory.path(), Some(0)).unwrap();
        assert!(spooler.store(b"x", Urgency::Ordinary).is_err());
    }

    #[test]
    fn d9_what_comes_and_goes_leaves_the_size_right() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path(), Some(100 * PAGE)).unwrap();
        for _ in 0..300 {
            spooler.store(&[b'x'; 5000], Urgency::Ordinary).unwrap();
            let waiting = spooler.take_oldest().unwrap();
            spooler.remove(&waiting.name);
        }
        assert_eq!(spooler.size, Some(measure(directory.path()).unwrap()));
    }

    #[test]
    fn the_record_id_is_that_of_one_file() {
        let waiting = |file: &str, content: &str| Waiting {
            name: Name { urgency: Urgency::Ordinary, arrival: 1, file: file.into() },
            content: content.into(),
        };
        let id = waiting("a", "b").record_id();
        assert!(record::event_id::is_valid(id.as_bytes()), "{id}");
        assert_eq!(waiting("a", "b").record_id(), id);
        assert_ne!(waiting("a", "c").record_id(), id);
        assert_ne!(waiting("c", "b").record_id(), id);
        assert_ne!(waiting("ab", "").record_id(), id);
    }

    #[test]
    fn d26_a_missing_directory_is_an_error_at_start() {
        assert!(Spool::open(Path::new("/nonexistent/spool"), None).is_err());
    }
}
