//! The spool: records on disk, one file each, until a collector has them.
//!
//! One thread, the spooler, touches the directory; everybody else asks it
//! through [`Spool`]. A file appears under its final name when it is complete;
//! names sort by arrival.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use record::spool_file::{self, SpoolFile};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::{files, log};

/// Names that start with this are not records yet.
const TEMPORARY_PREFIX: &str = ".new-";
/// Requests that may wait for the spooler; more wait in their threads.
const REQUESTS_MAX: usize = 64;
/// Names that are held in memory; more are looked up on disk when it is their
/// turn.
const NAMES_MAX: usize = 1024;

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

    /// Whether the sender asked for a configuration file.
    pub(crate) fn has_config(&self) -> bool {
        SpoolFile::decode(&self.content).is_ok_and(|file| file.config.is_some())
    }

    pub(crate) fn file_name(&self) -> &Path {
        &self.name.file
    }
}

/// A file of the spool. Names compare by arrival.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// Nanoseconds since the epoch.
    arrival: u64,
    file: PathBuf,
}

enum Request {
    Store { record: Vec<u8>, durably: bool, reply: Sender<io::Result<()>> },
    Next { reply: Sender<Waiting> },
    Remove { waiting: Waiting },
    GiveBack { waiting: Waiting },
    SetAside { waiting: Waiting },
}

/// The other stations' end of the spool.
#[derive(Clone)]
pub(crate) struct Spool(Sender<Request>);

impl Spool {
    /// Opens the directory and starts the spooler, which ends when the last
    /// `Spool` is dropped.
    pub(crate) fn open(directory: &Path) -> Result<(Self, JoinHandle<()>), SpoolError> {
        let failed = |error| SpoolError::Directory { directory: directory.to_owned(), error };
        let mut spooler = Spooler::open(directory).map_err(failed)?;
        let (requests, incoming) = bounded(REQUESTS_MAX);
        let thread = thread::Builder::new().name("spooler".into()).spawn(move || spooler.serve(&incoming));
        Ok((Self(requests), thread.map_err(failed)?))
    }

    /// Puts a record, encoded as a spool file, on disk. Returns when it is
    /// there; `durably`, when a power failure cannot take it any more.
    pub(crate) fn store(&self, record: Vec<u8>, durably: bool) -> io::Result<()> {
        let (reply, answer) = bounded(1);
        let ended = || io::Error::from_raw_os_error(nix::libc::ESHUTDOWN);
        self.0.send(Request::Store { record, durably, reply }).map_err(|_| ended())?;
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
    last_arrival: u64,
    asked: Option<Sender<Waiting>>,
}

impl Spooler {
    fn open(directory: &Path) -> io::Result<Self> {
        let mut spooler = Self {
            directory: directory.to_owned(),
            directory_file: lock(File::open(directory)?)?,
            random: SystemRandom::new(),
            names: BTreeSet::new(),
            more_on_disk: true,
            taken: None,
            aside: BTreeSet::new(),
            aside_since: Instant::now(),
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
            let name = Name { arrival: arrival(&entry)?, file: entry.file_name().into() };
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
                Request::Store { record, durably, reply } => {
                    let stored = self.store(&record, durably);
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

    fn remove(&self, name: &Name) {
        if let Err(error) = fs::remove_file(self.directory.join(&name.file)) {
            log::error(format_args!("spool file {}: {error}; it may be delivered again", name.file.display()));
        }
    }

    fn store(&mut self, record: &[u8], durably: bool) -> io::Result<()> {
        let name = self.new_name()?;
        let target = self.directory.join(&name.file);
        let temporary = self.directory.join(format!("{TEMPORARY_PREFIX}{}", name.file.display()));
        let written = self.write(&temporary, &target, record, durably);
        if written.is_err() {
            // Whatever of it is there: it is not acknowledged, and must not be
            // delivered.
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&target);
        }
        written?;
        self.insert(name);
        Ok(())
    }

    fn write(&self, temporary: &Path, target: &Path, record: &[u8], durably: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        file.write_all(record)?;
        if durably {
            file.sync_all()?;
        }
        fs::rename(temporary, target)?;
        if durably {
            self.directory_file.sync_all()?;
        }
        Ok(())
    }

    /// A name behind all others, whatever the clock does.
    fn new_name(&mut self) -> io::Result<Name> {
        let mut random = [0; 4];
        self.random.fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
        let arrival = nanoseconds(SystemTime::now()).max(self.last_arrival.saturating_add(1));
        self.last_arrival = arrival;
        Ok(Name { arrival, file: format!("{arrival:020}-{:08x}", u32::from_ne_bytes(random)).into() })
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

fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// When a record came: its name tells, or, for files of the C daemons, the
/// time of the last change.
fn arrival(entry: &fs::DirEntry) -> io::Result<u64> {
    let name = entry.file_name();
    let number = name.to_str().and_then(|name| name.split_once('-')).and_then(|(digits, _)| digits.parse().ok());
    match number {
        Some(arrival) => Ok(arrival),
        None => Ok(nanoseconds(entry.metadata()?.modified()?)),
    }
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
        let (spool, _) = Spool::open(directory.path()).unwrap();
        for text in ["one", "two", "three"] {
            spool.store(text.into(), false).unwrap();
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
            let (spool, thread) = Spool::open(directory.path()).unwrap();
            spool.store("kept".into(), true).unwrap();
            drop(spool);
            thread.join().unwrap();
        }
        let (spool, _) = Spool::open(directory.path()).unwrap();
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
        let (spool, _) = Spool::open(directory.path()).unwrap();
        assert_eq!(files(directory.path()), [".hidden", "aB3xY9", "directory", "link"]);
        let (waiting, text) = content(&spool);
        assert_eq!(text, "of a C daemon");
        spool.remove(waiting);
        spool.store("new".into(), false).unwrap();
        assert_eq!(content(&spool).1, "new", "the directory and the link do not block");
    }

    #[test]
    fn more_records_than_names_fit_in_memory_all_come_out_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, thread) = Spool::open(directory.path()).unwrap();
        let count = NAMES_MAX * 2 + 10;
        let mut stored = 0..count;
        let mut store = |count: usize| {
            for number in stored.by_ref().take(count) {
                spool.store(number.to_string().into(), false).unwrap();
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
        let (spool, _) = Spool::open(directory.path()).unwrap();
        let gone = directory.path().to_owned();
        drop(directory);
        assert_eq!(spool.store("lost".into(), false).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!gone.exists());
    }

    #[test]
    fn d7_a_file_that_cannot_be_read_does_not_hold_up_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path()).unwrap();
        spooler.store(b"one", false).unwrap();
        spooler.store(b"two", false).unwrap();
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
        let _first = Spool::open(directory.path()).unwrap();
        let error = Spool::open(directory.path()).err().unwrap().to_string();
        assert!(error.contains("another telemd uses it"), "{error}");
    }

    #[test]
    fn a_scan_that_fails_forgets_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = Spooler::open(directory.path()).unwrap();
        spooler.store(b"one", false).unwrap();
        let away = directory.path().with_extension("away");
        fs::rename(directory.path(), &away).unwrap();
        assert!(spooler.scan().is_err());
        fs::rename(&away, directory.path()).unwrap();
        assert_eq!(spooler.take_oldest().unwrap().content, b"one");
    }

    #[test]
    fn the_record_id_is_that_of_one_file() {
        let waiting = |file: &str, content: &str| Waiting {
            name: Name { arrival: 1, file: file.into() },
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
        assert!(Spool::open(Path::new("/nonexistent/spool")).is_err());
    }
}
