//! The spool: records on disk, one file each, until a collector has them.
//!
//! One thread, the spooler, touches the directory; everybody else asks it
//! through [`Spool`].

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};
use record::config::{Key, Settings};
use ring::digest;
use thiserror::Error;

use crate::spool_name::{Name, Urgency};
use crate::spooler::Spooler;

/// Requests that may wait for the spooler; more wait in their threads.
const REQUESTS_MAX: usize = 64;

#[derive(Debug, Error)]
pub(crate) enum SpoolError {
    #[error("spool_dir {}: {error}; it must be a directory that the daemon may write to", directory.display())]
    Directory { directory: PathBuf, error: io::Error },
}

/// A record that waits, as its file has it.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) name: Name,
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

/// What the configuration says of the spool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpoolRules {
    /// Bytes on disk that it may take; `None`: as many as there are.
    pub(crate) quota: Option<u64>,
    /// Longest time until a record survives a power failure.
    pub(crate) sync_interval: Duration,
}

impl SpoolRules {
    pub(crate) fn new(settings: &Settings) -> Self {
        let kibibytes = u64::try_from(settings.integer(Key::SpoolMaxSize)).ok();
        let seconds = u64::try_from(settings.integer(Key::SpoolSyncInterval)).unwrap_or_default();
        Self {
            quota: kibibytes.map(|kibibytes| kibibytes.saturating_mul(1024)),
            sync_interval: Duration::from_secs(seconds),
        }
    }
}

/// What the spooler is asked.
pub(crate) enum Request {
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
    /// `Spool` is dropped.
    pub(crate) fn open(directory: &Path, rules: SpoolRules) -> Result<(Self, JoinHandle<()>), SpoolError> {
        let failed = |error| SpoolError::Directory { directory: directory.to_owned(), error };
        let mut spooler = Spooler::open(directory, rules).map_err(failed)?;
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::spooler::NAMES_MAX;
    use std::fs;

    pub(crate) fn rules(quota: Option<u64>) -> SpoolRules {
        SpoolRules { quota, sync_interval: Duration::from_secs(5) }
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
        let (spool, _) = Spool::open(directory.path(), rules(None)).unwrap();
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
            let (spool, thread) = Spool::open(directory.path(), rules(None)).unwrap();
            spool.store("kept".into(), Urgency::Critical).unwrap();
            drop(spool);
            thread.join().unwrap();
        }
        let (spool, _) = Spool::open(directory.path(), rules(None)).unwrap();
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
        let (spool, _) = Spool::open(directory.path(), rules(None)).unwrap();
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
        let (spool, thread) = Spool::open(directory.path(), rules(None)).unwrap();
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
        let (spool, _) = Spool::open(directory.path(), rules(None)).unwrap();
        let gone = directory.path().to_owned();
        drop(directory);
        assert_eq!(spool.store("lost".into(), Urgency::Ordinary).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!gone.exists());
    }

    #[test]
    fn a_second_daemon_cannot_use_the_same_spool() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Spool::open(directory.path(), rules(None)).unwrap();
        let error = Spool::open(directory.path(), rules(None)).err().unwrap().to_string();
        assert!(error.contains("another telemd uses it"), "{error}");
    }

    #[test]
    fn critical_records_come_out_first() {
        let directory = tempfile::tempdir().unwrap();
        {
            let (spool, thread) = Spool::open(directory.path(), rules(None)).unwrap();
            for (text, urgency) in [("1", Urgency::Ordinary), ("2", Urgency::Critical), ("3", Urgency::Critical)] {
                spool.store(text.into(), urgency).unwrap();
            }
            drop(spool);
            thread.join().unwrap();
        }
        let (spool, _) = Spool::open(directory.path(), rules(None)).unwrap();
        for expected in ["2", "3", "1"] {
            let (waiting, text) = content(&spool);
            assert_eq!(text, expected, "also after a restart");
            spool.remove(waiting);
        }
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
        assert!(Spool::open(Path::new("/nonexistent/spool"), rules(None)).is_err());
    }
}
