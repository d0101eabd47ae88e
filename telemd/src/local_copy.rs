//! What stays on this machine of a record that is done with: a line of the
//! journal, and, if the administrator wants it, a copy of the payload.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use record::header::Header;
use record::spool_file::SpoolFile;

use crate::files;
use crate::journal::{Entry, Journal, JournalError};
use crate::journal_sync::JournalSync;
use crate::log;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// More than a boot id has.
const BOOT_ID_MAX: usize = 128;

/// Least time between two cuts of the journal.
const PRUNE_INTERVAL: Duration = Duration::from_secs(1);

/// The journal and the copies.
pub(crate) struct LocalCopies {
    /// `None` if it cannot be opened: then there are no copies either, because
    /// nothing would ever remove them.
    journal: Option<(Journal, JournalSync)>,
    records: PathBuf,
    retain: bool,
    pruned: Option<Instant>,
    failures: log::Throttle,
}

impl LocalCopies {
    /// Opens the journal. Without one, the daemon does its work all the same.
    /// Lines survive a power failure after `sync_interval`.
    pub(crate) fn open(journal: &Path, records: &Path, retain: bool, sync_interval: Duration) -> Self {
        let boot_id = files::read_regular(Path::new(BOOT_ID), BOOT_ID_MAX).unwrap_or_default();
        let boot_id = String::from_utf8_lossy(boot_id.trim_ascii()).into_owned();
        let failed = |error| JournalError::Io { path: journal.to_owned(), error };
        let opened = Journal::open(journal, boot_id)
            .and_then(|opened| Ok((opened, JournalSync::start(journal, sync_interval).map_err(failed)?)))
            .inspect_err(|error| log::error(format_args!("{error}; no record is noted")))
            .ok();
        Self { journal: opened, records: records.to_owned(), retain, pruned: None, failures: log::Throttle::default() }
    }

    /// Notes a record that was delivered, once. What goes wrong is logged: it is
    /// no reason to deliver the record again.
    pub(crate) fn note(&mut self, record: &SpoolFile<'_>, now: SystemTime) {
        if let Err(error) = self.try_note(record, now) {
            self.failures.log(format_args!("{error}"));
        }
        self.prune_if_due();
    }

    /// Notes a record that is not delivered: after an error, nothing of it is
    /// kept.
    pub(crate) fn keep(&mut self, record: &SpoolFile<'_>, now: SystemTime) -> Result<(), JournalError> {
        if self.journal.is_none() {
            return Err(JournalError::None);
        }
        let kept = self.try_note(record, now);
        self.prune_if_due();
        kept
    }

    /// Whether the journal has too many lines.
    pub(crate) fn are_to_be_pruned(&self) -> bool {
        self.journal.as_ref().is_some_and(|(journal, _)| journal.is_too_long())
    }

    /// Prunes a journal that is too long, not more often than it is worth: the
    /// file is written anew.
    pub(crate) fn prune_if_due(&mut self) {
        if self.are_to_be_pruned() && self.pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE_INTERVAL) {
            self.prune();
            self.pruned = Some(Instant::now());
        }
    }

    fn try_note(&mut self, record: &SpoolFile<'_>, now: SystemTime) -> Result<(), JournalError> {
        let Some((journal, sync)) = &mut self.journal else { return Ok(()) };
        let id = journal.append(&Entry {
            time: now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            classification: record.headers.get(Header::Classification),
            event_id: record.headers.get(Header::EventId),
        })?;
        sync.appended();
        if self.retain {
            let path = self.records.join(id);
            write_copy(&path, record.body).map_err(|error| JournalError::Io { path, error })?;
        }
        Ok(())
    }

    /// Removes the oldest lines, and the copies that belong to them, whether
    /// copies are wanted now or not.
    fn prune(&mut self) {
        let Some((journal, _)) = &mut self.journal else { return };
        match journal.prune() {
            Ok(removed) => {
                for id in removed.iter().filter(|id| record::event_id::is_valid(id.as_bytes())) {
                    match fs::remove_file(self.records.join(id)) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            self.failures.log(format_args!("copy {id}: {error}; it stays without its line"));
                        }
                        _ => {}
                    }
                }
            }
            Err(error) => self.failures.log(format_args!("{error}; old lines stay")),
        }
    }
}

/// The body as it was sent, and one more newline, as the C daemons have it.
fn write_copy(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?;
    let written = file.write_all(body).and_then(|()| file.write_all(b"\n"));
    if written.is_err() {
        // Half a copy is none.
        let _ = fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../tests/data/spool-file-of-the-c-daemon");

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            fs::create_dir(machine.records()).unwrap();
            machine
        }
        fn journal(&self) -> PathBuf {
            self.0.path().join("journal")
        }
        fn records(&self) -> PathBuf {
            self.0.path().join("records")
        }
        fn note(&self, count: usize, retain: bool) {
            let mut copies = LocalCopies::open(&self.journal(), &self.records(), retain, Duration::ZERO);
            let record = SpoolFile::decode(FILE.as_bytes()).unwrap();
            for _ in 0..count {
                copies.note(&record, UNIX_EPOCH + Duration::from_secs(1_700_000_100));
            }
        }
        fn lines(&self) -> Vec<String> {
            fs::read_to_string(self.journal()).unwrap().lines().map(str::to_owned).collect()
        }
        fn copies(&self) -> Vec<String> {
            let entries = fs::read_dir(self.records()).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    #[test]
    fn d1_a_noted_record_has_one_line_and_one_copy() {
        let machine = Machine::new();
        machine.note(1, true);
        let lines = machine.lines();
        let fields: Vec<&str> = lines[0].split('\x1e').collect();
        assert_eq!(fields[1..4], ["1700000100", "org.example/demo/ping", "0123456789abcdef0123456789abcdef"]);
        assert_eq!(machine.copies(), [fields[0]]);
        assert_eq!(fs::read_to_string(machine.records().join(fields[0])).unwrap(), "ping\n\n");
    }

    #[test]
    fn without_retention_there_is_a_line_and_no_copy() {
        let machine = Machine::new();
        machine.note(1, false);
        assert_eq!((machine.lines().len(), machine.copies().len()), (1, 0));
    }

    #[test]
    fn d23_copies_go_with_their_lines_also_when_retention_was_switched_off() {
        let machine = Machine::new();
        machine.note(10, true);
        assert_eq!(machine.copies().len(), 10);
        machine.note(300, false);
        assert_eq!(machine.copies().len(), 0);
    }

    #[test]
    fn d20_without_a_line_there_is_no_copy() {
        let machine = Machine::new();
        let mut copies = LocalCopies::open(&machine.journal(), &machine.records(), true, Duration::ZERO);
        let file = FILE.replace("org.example/demo/ping", "no/classification");
        copies.note(&SpoolFile::decode(file.as_bytes()).unwrap(), SystemTime::now());
        assert_eq!((machine.lines().len(), machine.copies().len()), (0, 0));
    }

    #[test]
    fn a_journal_that_cannot_be_opened_is_no_reason_to_stop() {
        let mut copies =
            LocalCopies::open(Path::new("/nonexistent/journal"), Path::new("/nonexistent"), true, Duration::ZERO);
        copies.note(&SpoolFile::decode(FILE.as_bytes()).unwrap(), SystemTime::now());
    }
}
