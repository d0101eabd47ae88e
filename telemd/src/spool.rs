//! The spool: records on disk, one file each, until a collector has them.
//!
//! One thread, the spooler, writes to the directory; everybody else asks it
//! through [`Spool`].

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};
use record::config::{Key, Settings};
use ring::digest;
use thiserror::Error;

use crate::spool_name::{Name, Urgency};
use crate::spooler::Spooler;
use crate::status::Counters;
use crate::usage::{Quota, StoreError};

/// Requests that may wait for the spooler; more wait in their threads.
const REQUESTS_MAX: usize = 64;

#[derive(Debug, Error)]
#[error("spool_dir {}: {error}; it must be a directory that the daemon may write to", directory.display())]
pub(crate) struct SpoolError {
    directory: PathBuf,
    error: io::Error,
}

/// A record that waits, as its file has it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The file's name.
    pub name: Name,
    /// What is in it.
    pub content: Vec<u8>,
}

impl Waiting {
    /// The same for every attempt to deliver this file, and for no other: by
    /// it a collector knows a record that comes again.
    pub fn record_id(&self) -> String {
        let mut digest = digest::Context::new(&digest::SHA256);
        digest.update(self.name.file.as_os_str().as_bytes());
        digest.update(&[0]);
        digest.update(&self.content);
        digest.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// When it came.
    pub fn arrival(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.name.arrival)
    }
}

/// What the configuration says of the spool.
#[derive(Clone, Debug)]
pub(crate) struct SpoolRules {
    pub(crate) directory: PathBuf,
    pub(crate) quota: Quota,
    /// Longest time until a record survives a power failure.
    pub(crate) sync_interval: Duration,
    /// Time after which what was set aside, or could not be read, is tried
    /// again, and files are looked for that others put here.
    pub(crate) retry_interval: Duration,
}

impl SpoolRules {
    pub(crate) fn new(settings: &Settings) -> Self {
        let number = |key| u64::try_from(settings.integer(key)).ok();
        let seconds = |key| Duration::from_secs(number(key).unwrap_or_default());
        let all = number(Key::SpoolMaxSize).map(|kibibytes| kibibytes.saturating_mul(1024));
        let percent = number(Key::SpoolUserShare).filter(|percent| *percent < 100);
        let user = all.zip(percent).map(|(all, percent)| all.saturating_mul(percent) / 100);
        Self {
            directory: crate::settings::path(settings, Key::SpoolDir).to_owned(),
            quota: Quota { all, user },
            sync_interval: seconds(Key::SpoolSyncInterval),
            retry_interval: seconds(Key::SpoolProcessTime),
        }
    }
}

/// What the spooler is asked.
pub(crate) enum Request {
    Store { record: Vec<u8>, urgency: Urgency, uid: u32, reply: Sender<Result<(), StoreError>> },
    Next { reply: Sender<Waiting> },
    Remove { waiting: Waiting },
    Reject { waiting: Waiting, reason: String },
    GiveBack { waiting: Waiting },
    SetAside { waiting: Waiting },
    Hold { users: BTreeSet<u32> },
    Apply { rules: SpoolRules, reply: Sender<io::Result<()>> },
    Clear { reply: Sender<io::Result<u64>> },
    Count { reply: Sender<u64> },
}

/// The other stations' end of the spool.
#[derive(Clone)]
pub(crate) struct Spool(Sender<Request>);

impl Spool {
    /// Opens the directory and starts the spooler, which ends when the last
    /// `Spool` is dropped.
    pub(crate) fn open(rules: SpoolRules, counters: Arc<Counters>) -> Result<(Self, JoinHandle<()>), SpoolError> {
        let directory = rules.directory.clone();
        let failed = |error| SpoolError { directory: directory.clone(), error };
        let mut spooler = Spooler::open(rules, counters).map_err(failed)?;
        let (requests, incoming) = bounded(REQUESTS_MAX);
        let thread = thread::Builder::new().name("spooler".into()).spawn(move || spooler.serve(&incoming));
        Ok((Self(requests), thread.map_err(failed)?))
    }

    /// Puts a record, encoded as a spool file, on disk. Returns when it is
    /// there; a critical one, when a power failure cannot take it any more.
    pub(crate) fn store(&self, record: Vec<u8>, urgency: Urgency, uid: u32) -> Result<(), StoreError> {
        self.ask(|reply| Request::Store { record, urgency, uid, reply })?
    }

    /// Asks for the first record that nobody else has; it comes when there is
    /// one.
    pub(crate) fn next(&self) -> Receiver<Waiting> {
        let (reply, answer) = bounded(1);
        self.tell(Request::Next { reply });
        answer
    }

    /// Deletes a record that is not needed any more.
    pub(crate) fn remove(&self, waiting: Waiting) {
        self.tell(Request::Remove { waiting });
    }

    /// Moves a record away that no collector will ever take.
    pub(crate) fn reject(&self, waiting: Waiting, reason: String) {
        self.tell(Request::Reject { waiting, reason });
    }

    /// Returns a record that could not be delivered, for reasons of its own: the
    /// others go on, and it comes again later.
    pub(crate) fn set_aside(&self, waiting: Waiting) {
        self.tell(Request::SetAside { waiting });
    }

    /// Returns a record that could not be delivered.
    pub(crate) fn give_back(&self, waiting: Waiting) {
        self.tell(Request::GiveBack { waiting });
    }

    /// From now on, only records of these users are not given out.
    pub(crate) fn hold(&self, users: BTreeSet<u32>) {
        self.tell(Request::Hold { users });
    }

    /// Works by other rules from now on. No courier may be at work. After an
    /// error, the old ones hold.
    pub(crate) fn apply(&self, rules: SpoolRules) -> Result<(), SpoolError> {
        let directory = rules.directory.clone();
        let applied = self.ask(|reply| Request::Apply { rules, reply }).and_then(|applied| applied);
        applied.map_err(|error| SpoolError { directory, error })
    }

    /// Deletes all records, rejected ones too; gives their number.
    pub(crate) fn clear(&self) -> io::Result<u64> {
        self.ask(|reply| Request::Clear { reply })?
    }

    /// The number of records that wait; `None` if the spooler does not answer
    /// in time.
    pub(crate) fn count(&self, patience: Duration) -> Option<u64> {
        let (reply, answer) = bounded(1);
        self.0.send_timeout(Request::Count { reply }, patience).ok()?;
        answer.recv_timeout(patience).ok()
    }

    fn tell(&self, request: Request) {
        // The spooler ends after all who could tell it anything.
        let _ = self.0.send(request);
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> io::Result<T> {
        let (reply, answer) = bounded(1);
        self.tell(request(reply));
        answer.recv().map_err(|_| io::Error::from_raw_os_error(nix::libc::ESHUTDOWN))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::queue::NAMES_MAX;
    use std::fs;
    use std::path::Path;

    pub(crate) fn rules(directory: &Path, quota: Option<u64>) -> SpoolRules {
        let directory = directory.to_owned();
        let quota = Quota { all: quota, user: None };
        let [sync_interval, retry_interval] = [5, 120].map(Duration::from_secs);
        SpoolRules { directory, quota, sync_interval, retry_interval }
    }

    fn open(directory: &Path) -> (Spool, JoinHandle<()>) {
        Spool::open(rules(directory, None), Arc::default()).unwrap()
    }

    fn content(spool: &Spool) -> (Waiting, String) {
        let waiting = spool.next().recv().unwrap();
        let text = String::from_utf8(waiting.content.clone()).unwrap();
        (waiting, text)
    }

    pub(crate) fn files(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn records_come_out_oldest_first_and_stay_until_they_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = open(directory.path());
        for text in ["one", "two", "three"] {
            spool.store(text.into(), Urgency::Ordinary, 0).unwrap();
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
            let (spool, thread) = open(directory.path());
            spool.store("kept".into(), Urgency::Critical, 0).unwrap();
            drop(spool);
            thread.join().unwrap();
        }
        let (spool, _) = open(directory.path());
        assert_eq!(content(&spool).1, "kept");
    }

    #[test]
    fn w6_d25_half_written_files_are_swept_and_other_entries_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path(".new-1-2"), "half").unwrap();
        fs::write(path(".hidden"), "not ours").unwrap();
        fs::create_dir(path("directory")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path("link")).unwrap();
        fs::write(path("aB3xY9"), "of a C daemon").unwrap();
        let (spool, _) = open(directory.path());
        assert_eq!(files(directory.path()), [".hidden", "aB3xY9", "directory", "link"]);
        let (waiting, text) = content(&spool);
        assert_eq!(text, "of a C daemon");
        spool.remove(waiting);
        spool.store("new".into(), Urgency::Ordinary, 0).unwrap();
        assert_eq!(content(&spool).1, "new", "the directory and the link do not block");
    }

    #[test]
    fn more_records_than_names_fit_in_memory_all_come_out_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, thread) = open(directory.path());
        let count = NAMES_MAX * 2 + 10;
        let mut stored = 0..count;
        let mut store = |count: usize| {
            for number in stored.by_ref().take(count) {
                spool.store(number.to_string().into(), Urgency::Ordinary, 0).unwrap();
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
        let (spool, _) = open(directory.path());
        let gone = directory.path().to_owned();
        drop(directory);
        assert_eq!(spool.store("lost".into(), Urgency::Ordinary, 0).unwrap_err().errno(), nix::errno::Errno::ENOENT);
        assert!(!gone.exists());
    }

    #[test]
    fn a_second_daemon_cannot_use_the_same_spool() {
        let directory = tempfile::tempdir().unwrap();
        let _first = open(directory.path());
        let error = Spool::open(rules(directory.path(), None), Arc::default()).err().unwrap().to_string();
        assert!(error.contains("another telemd uses it"), "{error}");
    }

    #[test]
    fn critical_records_come_out_first() {
        let directory = tempfile::tempdir().unwrap();
        {
            let (spool, thread) = open(directory.path());
            for (text, urgency) in [("1", Urgency::Ordinary), ("2", Urgency::Critical), ("3", Urgency::Critical)] {
                spool.store(text.into(), urgency, 0).unwrap();
            }
            drop(spool);
            thread.join().unwrap();
        }
        let (spool, _) = open(directory.path());
        for expected in ["2", "3", "1"] {
            let (waiting, text) = content(&spool);
            assert_eq!(text, expected, "also after a restart");
            spool.remove(waiting);
        }
    }

    #[test]
    fn the_record_id_is_that_of_one_file() {
        let waiting = |file: &str, content: &str| Waiting {
            name: Name { urgency: Urgency::Ordinary, arrival: 1, uid: None, file: file.into() },
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
        assert!(Spool::open(rules(Path::new("/nonexistent/spool"), None), Arc::default()).is_err());
    }

    #[test]
    fn other_rules_can_name_another_directory_and_what_a_courier_had_is_there_again() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (spool, _) = open(first.path());
        spool.store("one".into(), Urgency::Ordinary, 0).unwrap();
        assert_eq!(content(&spool).1, "one");
        spool.apply(rules(first.path(), None)).unwrap();
        assert_eq!(content(&spool).1, "one");
        spool.apply(rules(second.path(), None)).unwrap();
        spool.store("two".into(), Urgency::Ordinary, 0).unwrap();
        assert_eq!(content(&spool).1, "two");
        assert_eq!((files(first.path()).len(), files(second.path()).len()), (1, 1));
        assert!(spool.apply(rules(Path::new("/nonexistent/spool"), None)).is_err());
        spool.store("three".into(), Urgency::Ordinary, 0).unwrap();
        assert_eq!(files(second.path()).len(), 2, "the rules before hold");
    }

    #[test]
    fn clearing_deletes_what_waits_and_what_was_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool");
        fs::create_dir(&path).unwrap();
        let (spool, _) = open(&path);
        for text in ["one", "two", "three"] {
            spool.store(text.into(), Urgency::Ordinary, 0).unwrap();
        }
        spool.reject(content(&spool).0, "test".into());
        assert_eq!(spool.clear().unwrap(), 3);
        assert!(files(&path).is_empty() && files(&directory.path().join("rejected")).is_empty());
        assert_eq!(spool.count(Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn an_asker_who_left_gets_no_record() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = open(directory.path());
        drop(spool.next());
        spool.store("one".into(), Urgency::Ordinary, 0).unwrap();
        assert_eq!(content(&spool).1, "one");
    }

    #[test]
    fn d27_a_file_that_others_put_into_the_spool_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let rules = SpoolRules { retry_interval: Duration::from_millis(50), ..rules(directory.path(), None) };
        let (spool, _) = Spool::open(rules, Arc::default()).unwrap();
        let next = spool.next();
        fs::write(directory.path().join("aB3xY9"), "of another").unwrap();
        assert_eq!(next.recv_timeout(Duration::from_secs(10)).unwrap().content, b"of another");
    }
}
