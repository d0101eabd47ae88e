//! What telemd tells of itself: the content of its status file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;

/// The form of the file; another number when a field changes its meaning.
pub const VERSION: u32 = 1;
/// The longest file that is read.
const FILE_MAX: usize = 64 * 1024;

/// What telemd has done since it started. Times are seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// Version of the program.
    pub telemd: String,
    /// Its process.
    pub pid: u32,
    /// What it is doing.
    pub state: State,
    /// When it started.
    pub started: u64,
    /// Records that it took.
    pub accepted: u64,
    /// Records that it did not take, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Records that wait now.
    pub spooled: u64,
    /// Records that the server took.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Records that were noted and not sent, because delivery is switched off.
    pub kept_locally: u64,
    /// Records that no server will take.
    pub rejected: u64,
    /// Records that became too old.
    pub expired: u64,
    /// Records that were over a rate limit.
    pub dropped: u64,
    /// When the server took the last one.
    pub last_delivery: Option<u64>,
    /// Where it sends records, by the settings that it uses. `None`: nowhere,
    /// for delivery is switched off, or there is no consent.
    pub server: Option<String>,
    /// What went wrong last.
    pub last_error: Option<LastError>,
    /// When a record was refused last for want of room or a disk, and why: a
    /// key of `refused`.
    pub last_refusal: Option<LastError>,
    /// When the next attempt is, after a failure.
    pub back_off_until: Option<u64>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    pub time: u64,
    /// What, for people.
    pub message: String,
}

/// What telemd is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It takes and sends records.
    #[serde(rename = "running")]
    Running,
    /// It waits for consent.
    #[serde(rename = "not opted in")]
    NotOptedIn,
    /// It has ended.
    #[serde(rename = "stopped")]
    Stopped,
}

impl Report {
    /// Reads a status file.
    pub fn read(file: &Path) -> io::Result<Self> {
        let report: Self = serde_json::from_slice(&files::read_regular(file, FILE_MAX)?)?;
        match report.version {
            VERSION => Ok(report),
            other => Err(io::Error::other(format!("version {other}: telemd is of another release"))),
        }
    }
}
