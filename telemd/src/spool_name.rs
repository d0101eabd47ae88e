//! The names of spool files: `arrival-urgency-random`.
//!
//! Readers of the C daemons take any name; ours tell in which order records are
//! delivered, without opening them.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// A file of the spool. Names compare in the order of delivery: critical
/// records first, then by arrival.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) urgency: Urgency,
    /// Nanoseconds since the epoch.
    pub(crate) arrival: u64,
    pub(crate) file: PathBuf,
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
    pub(crate) const fn letter(self) -> &'static str {
        match self {
            Self::Critical => "c",
            Self::Ordinary => "o",
        }
    }
}

impl Name {
    /// Of an entry of the directory. Our own names tell arrival and urgency:
    /// `arrival-urgency-random`; of others, the time of the last change counts.
    pub(crate) fn of(entry: &fs::DirEntry) -> io::Result<Self> {
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

/// Nanoseconds since the epoch.
pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
