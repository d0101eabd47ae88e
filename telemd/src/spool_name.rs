//! The names of spool files: `arrival-urgency-uid-random`.
//!
//! Readers of the C daemons take any name; ours tell in which order records are
//! delivered and whose they are, without opening them.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Digits of the arrival in a name.
const ARRIVAL_LEN: usize = 20;

/// A file of the spool. Names compare in the order of delivery: critical
/// records first, then by arrival.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Critical or not.
    pub urgency: Urgency,
    /// Nanoseconds since the epoch.
    pub arrival: u64,
    /// Who sent the record; `None` for files of the C daemons.
    pub uid: Option<u32>,
    /// The name of the file.
    pub file: PathBuf,
}

/// Whether a record is critical, as its name tells: those of the C daemons do
/// not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
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
    /// A name of our own.
    pub fn new(urgency: Urgency, arrival: u64, uid: u32, random: u32) -> Self {
        let letter = urgency.letter();
        let file = format!("{arrival:0width$}-{letter}-{uid}-{random:08x}", width = ARRIVAL_LEN).into();
        Self { urgency, arrival, uid: Some(uid), file }
    }

    /// Of an entry of the directory. Of a name that is not ours, the time of
    /// the file's last change counts.
    pub fn of(entry: &fs::DirEntry) -> io::Result<Self> {
        let file = entry.file_name();
        if let Some((arrival, urgency, uid)) = file.to_str().and_then(parse) {
            return Ok(Self { urgency, arrival, uid: Some(uid), file: file.into() });
        }
        let arrival = nanoseconds(entry.metadata()?.modified()?);
        Ok(Self { urgency: Urgency::Ordinary, arrival, uid: None, file: file.into() })
    }
}

fn parse(file: &str) -> Option<(u64, Urgency, u32)> {
    let mut parts = file.splitn(4, '-');
    let arrival = parts.next().filter(|digits| digits.len() == ARRIVAL_LEN)?.parse().ok()?;
    let urgency = match parts.next()? {
        "c" => Urgency::Critical,
        "o" => Urgency::Ordinary,
        _ => return None,
    };
    let uid = parts.next()?.parse().ok()?;
    parts.next().map(|_| (arrival, urgency, uid))
}

/// Nanoseconds since the epoch.
pub fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_order_and_sender_and_other_names_tell_nothing() {
        let name = Name::new(Urgency::Critical, 1_700_000_000_000_000_000, 1000, 0xab);
        let file = name.file.to_str().unwrap();
        assert_eq!(file, "01700000000000000000-c-1000-000000ab");
        assert_eq!(parse(file), Some((name.arrival, Urgency::Critical, 1000)));
        let first = |urgency, arrival| Name::new(urgency, arrival, 0, 0);
        assert!(first(Urgency::Critical, 2) < first(Urgency::Ordinary, 1));
        assert!(first(Urgency::Ordinary, 1) < first(Urgency::Ordinary, 2));
        for other in ["aB3xY9", "1-c-0-x", "01700000000000000000-x-0-1", "01700000000000000000-c-0", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
