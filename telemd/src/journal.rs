//! The journal: a line for every record that was delivered, or that is kept on
//! this machine because delivery is switched off.
//!
//! The file grows by whole lines; it is cut back, under another name, when it
//! has too many.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use record::{classification, event_id};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::journal_line::{LINES_KEPT, Line};

/// Lines that may be there before the oldest are removed.
const LINES_MAX: usize = 150;
/// Name of the file while it is cut back.
const TEMPORARY_NAME: &str = ".journal";

#[derive(Debug, Error)]
pub(crate) enum JournalError {
    #[error("journal {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("there is no journal; see the message of the start")]
    None,
    #[error("no line for a record with a classification or event id that is not valid")]
    Invalid,
}

/// What a line says of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Seconds since the epoch.
    pub(crate) time: u64,
    pub(crate) classification: &'a [u8],
    pub(crate) event_id: &'a [u8],
}

/// The journal, open for appending.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
    len: u64,
    boot_id: String,
    random: SystemRandom,
}

impl Journal {
    /// Opens or creates the file. A last line that a crash cut short is
    /// removed: its record is delivered again, or has been.
    pub(crate) fn open(path: &Path, boot_id: String) -> Result<Self, JournalError> {
        let failed = |error| JournalError::Io { path: path.to_owned(), error };
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path).map_err(failed)?;
        let (lines, len) = mend(&mut file).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, lines, len, boot_id, random: SystemRandom::new() })
    }

    fn failed(&self) -> impl Fn(io::Error) -> JournalError + use<> {
        let path = self.path.clone();
        move |error| JournalError::Io { path: path.clone(), error }
    }

    /// Appends a line; gives the id that is made for it.
    pub(crate) fn append(&mut self, entry: &Entry<'_>) -> Result<String, JournalError> {
        if !classification::is_valid(entry.classification) || !event_id::is_valid(entry.event_id) {
            return Err(JournalError::Invalid);
        }
        let mut random = [0; event_id::LEN / 2];
        let no_random = || self.failed()(io::Error::other("no random numbers"));
        self.random.fill(&mut random).map_err(|_| no_random())?;
        let id = event_id::from_random(random);
        let time = entry.time.to_string();
        let line = Line {
            record_id: &id,
            timestamp: time.as_bytes(),
            classification: entry.classification,
            event_id: entry.event_id,
            boot_id: self.boot_id.as_bytes(),
        }
        .encode();
        if let Err(error) = self.file.write_all(&line) {
            // A part of a line would be taken for the start of the next.
            let _ = self.file.set_len(self.len);
            return Err(self.failed()(error));
        }
        self.lines += 1;
        self.len += line.len() as u64;
        Ok(id.iter().copied().map(char::from).collect())
    }

    pub(crate) fn is_too_long(&self) -> bool {
        self.lines > LINES_MAX
    }

    /// If there are too many lines, removes the oldest; gives their ids.
    pub(crate) fn prune(&mut self) -> Result<Vec<String>, JournalError> {
        if !self.is_too_long() {
            return Ok(Vec::new());
        }
        let (removed, file) = cut_back(&self.path, self.lines - LINES_KEPT).map_err(self.failed())?;
        // Only now: until the new file is in place, the old one is written.
        self.len = file.metadata().map_err(self.failed())?.len();
        (self.file, self.lines) = (file, LINES_KEPT);
        Ok(removed)
    }
}

/// Counts the lines and their bytes, and removes what is behind the last
/// newline.
fn mend(file: &mut File) -> io::Result<(usize, u64)> {
    let (mut lines, mut whole) = (0, 0u64);
    let mut position = 0u64;
    for byte in BufReader::new(&mut *file).bytes() {
        position += 1;
        if byte? == b'\n' {
            (lines, whole) = (lines + 1, position);
        }
    }
    if whole != position {
        file.set_len(whole)?;
    }
    file.seek(SeekFrom::End(0))?;
    Ok((lines, whole))
}

fn cut_back(path: &Path, count: usize) -> io::Result<(Vec<String>, File)> {
    let temporary = path.with_file_name(TEMPORARY_NAME);
    let mut lines = BufReader::new(File::open(path)?).split(b'\n');
    let mut removed = Vec::new();
    for line in lines.by_ref().take(count) {
        let line = line?;
        let id = Line::decode(&line).map(|line| line.record_id);
        removed.push(String::from_utf8_lossy(id.unwrap_or_default()).into_owned());
    }
    let target = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&temporary)?;
    let mut target = BufWriter::new(target);
    for line in lines {
        target.write_all(&line?)?;
        target.write_all(b"\n")?;
    }
    target.into_inner()?.sync_data()?;
    let file = OpenOptions::new().append(true).open(&temporary)?;
    fs::rename(&temporary, path)?;
    Ok((removed, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "9abc1703-7daf-49a2-9bbf-3876299f9470";

    fn entry(event_id: &[u8]) -> Entry<'_> {
        Entry { time: 1_700_000_100, classification: b"org.example/demo/ping", event_id }
    }

    const EVENT: &[u8] = b"0123456789abcdef0123456789abcdef";

    struct Directory(tempfile::TempDir);

    impl Directory {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
        fn path(&self) -> PathBuf {
            self.0.path().join("journal")
        }
        fn open(&self) -> Journal {
            Journal::open(&self.path(), BOOT.into()).unwrap()
        }
        fn lines(&self) -> Vec<String> {
            fs::read_to_string(self.path()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn a_line_is_that_of_the_c_daemons() {
        let directory = Directory::new();
        let id = directory.open().append(&entry(EVENT)).unwrap();
        let expected =
            format!("{id}\x1e1700000100\x1eorg.example/demo/ping\x1e0123456789abcdef0123456789abcdef\x1e{BOOT}");
        assert_eq!(directory.lines(), [expected]);
        assert!(event_id::is_valid(id.as_bytes()));
    }

    #[test]
    fn d24_entries_that_would_shift_fields_are_refused() {
        let directory = Directory::new();
        let mut journal = directory.open();
        for class in [b"a/b".as_slice(), b"a/b\x1e/c", b"", b"a/b/c/d"] {
            let entry = Entry { classification: class, ..entry(EVENT) };
            assert!(matches!(journal.append(&entry), Err(JournalError::Invalid)));
        }
        assert!(matches!(journal.append(&entry(b"short")), Err(JournalError::Invalid)));
        assert!(directory.lines().is_empty());
    }

    #[test]
    fn d21_two_hundred_entries_are_pruned_to_the_newest() {
        let directory = Directory::new();
        let mut journal = directory.open();
        let mut ids = Vec::new();
        let mut removed = Vec::new();
        for _ in 0..200 {
            ids.push(journal.append(&entry(EVENT)).unwrap());
            removed.extend(journal.prune().unwrap());
        }
        let kept = directory.lines();
        assert!(kept.len() <= LINES_MAX, "{}", kept.len());
        assert_eq!(removed, ids[..removed.len()], "the oldest are removed, in order");
        assert!(kept.iter().zip(&ids[removed.len()..]).all(|(line, id)| line.starts_with(id.as_str())));
        assert_eq!(kept.len() + removed.len(), 200, "and none other");
        journal.append(&entry(EVENT)).unwrap();
        assert_eq!(directory.lines().len(), kept.len() + 1, "d21: the new file is written");
    }

    #[test]
    fn a_torn_last_line_is_removed_at_start() {
        let directory = Directory::new();
        directory.open().append(&entry(EVENT)).unwrap();
        let whole = fs::read(directory.path()).unwrap();
        for len in 1..whole.len() {
            fs::write(directory.path(), [&whole, &whole[..len]].concat()).unwrap();
            let mut journal = directory.open();
            assert_eq!(fs::read(directory.path()).unwrap(), whole, "{len} bytes of a second line");
            journal.append(&entry(EVENT)).unwrap();
            assert_eq!(directory.lines().len(), 2);
        }
    }

    #[test]
    fn a_journal_that_cannot_be_opened_is_an_error() {
        assert!(Journal::open(Path::new("/nonexistent/journal"), BOOT.into()).is_err());
    }
}
