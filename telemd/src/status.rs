//! What telemd has done since it started, and the file that tells it to
//! whoever asks.
//!
//! Stations count; a thread of its own writes the file, at most once a second
//! and only when something changed.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::report::{self, Report};
use crate::{files, log, service_manager};

pub(crate) use crate::report::State;

/// Least time between two files.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// The frame is wrong.
    Frame,
    /// The configuration file that it names cannot be used.
    Configuration,
    /// The machine is not opted in.
    NotOptedIn,
    /// Its user has too many connections.
    TooMany,
    /// It was not complete in time.
    TooSlow,
    /// The connection broke.
    Connection,
    /// The spool is full.
    SpoolFull,
    /// The user's share of the spool is used.
    ShareUsed,
    /// The disk would not take it.
    Disk,
}

impl RefusalReason {
    /// Whether nobody but this machine's administrator can do something about
    /// it.
    fn is_of_this_machine(self) -> bool {
        matches!(self, Self::SpoolFull | Self::ShareUsed | Self::Disk)
    }
}

/// In the order of the variants.
const REASONS: [&str; 9] = [
    "frame",
    "configuration",
    "not_opted_in",
    "too_many",
    "too_slow",
    "connection",
    "spool_full",
    "share_used",
    "disk",
];

/// Something that went wrong, and when.
type LastError = Option<(SystemTime, String)>;

/// Numbers since the start.
pub(crate) struct Counters {
    started: (SystemTime, Instant),
    accepted: AtomicU64,
    refused: [AtomicU64; REASONS.len()],
    delivered: AtomicU64,
    delivered_bytes: AtomicU64,
    kept_locally: AtomicU64,
    rejected: AtomicU64,
    expired: AtomicU64,
    dropped: AtomicU64,
    spooled: AtomicU64,
    /// Seconds since the epoch; 0: never.
    last_delivery: AtomicU64,
    back_off_until: AtomicU64,
    /// Milliseconds after the start.
    last_activity: AtomicU64,
    last_error: Mutex<LastError>,
    /// For reasons of this machine.
    last_refusal: Mutex<LastError>,
    server: Mutex<Option<String>>,
    changes: Sender<()>,
    changed: Receiver<()>,
}

impl Default for Counters {
    fn default() -> Self {
        // Nobody is told twice of what they have not looked at yet.
        let (changes, changed) = bounded(1);
        Self {
            started: (SystemTime::now(), Instant::now()),
            accepted: AtomicU64::default(),
            refused: Default::default(),
            delivered: AtomicU64::default(),
            delivered_bytes: AtomicU64::default(),
            kept_locally: AtomicU64::default(),
            rejected: AtomicU64::default(),
            expired: AtomicU64::default(),
            dropped: AtomicU64::default(),
            spooled: AtomicU64::default(),
            last_delivery: AtomicU64::default(),
            back_off_until: AtomicU64::default(),
            last_activity: AtomicU64::default(),
            last_error: Mutex::default(),
            last_refusal: Mutex::default(),
            server: Mutex::default(),
            changes,
            changed,
        }
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn set<T>(cell: &Mutex<T>, value: T) {
    *cell.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

fn copy<T: Clone>(cell: &Mutex<T>) -> T {
    cell.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Counters {
    fn change(&self) {
        let _ = self.changes.try_send(());
    }

    fn count(&self, counter: &AtomicU64) {
        add(counter, 1);
        self.change();
    }

    /// Somebody came, or something was sent: the daemon is not idle.
    pub(crate) fn touch(&self) {
        let elapsed = u64::try_from(self.started.1.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_activity.store(elapsed, Ordering::Relaxed);
    }

    /// Time since the last activity.
    pub(crate) fn idle(&self) -> Duration {
        self.started.1.elapsed().saturating_sub(Duration::from_millis(get(&self.last_activity)))
    }

    pub(crate) fn accepted(&self) {
        self.count(&self.accepted);
    }

    pub(crate) fn refused(&self, reason: RefusalReason) {
        let index = reason as usize;
        if reason.is_of_this_machine() {
            set(&self.last_refusal, REASONS.get(index).map(|name| (SystemTime::now(), (*name).to_owned())));
        }
        if let Some(counter) = self.refused.get(index) {
            self.count(counter);
        }
    }

    /// Where records go from now on.
    pub(crate) fn sends_to(&self, server: Option<String>) {
        set(&self.server, server);
        self.change();
    }

    pub(crate) fn delivered(&self, bytes: u64, now: SystemTime) {
        add(&self.delivered_bytes, bytes);
        self.last_delivery.store(seconds(now), Ordering::Relaxed);
        self.touch();
        self.count(&self.delivered);
    }

    pub(crate) fn kept_locally(&self) {
        self.count(&self.kept_locally);
    }

    pub(crate) fn rejected(&self) {
        self.count(&self.rejected);
    }

    pub(crate) fn expired(&self) {
        self.count(&self.expired);
    }

    pub(crate) fn dropped(&self) {
        self.count(&self.dropped);
    }

    /// The number of records that wait now.
    pub(crate) fn spooled(&self, count: u64) {
        self.spooled.store(count, Ordering::Relaxed);
        self.change();
    }

    /// When the next attempt is, after a failure; `None`: the server is well.
    pub(crate) fn back_off_until(&self, until: Option<SystemTime>) {
        self.back_off_until.store(until.map_or(0, seconds), Ordering::Relaxed);
        self.change();
    }

    /// A record was not delivered.
    pub(crate) fn failed(&self, reason: &str, now: SystemTime) {
        set(&self.last_error, Some((now, reason.to_owned())));
        self.change();
    }

    fn report(&self, state: State) -> Report {
        let never = |time: u64| (time != 0).then_some(time);
        let told = |error: LastError| error.map(|(time, message)| report::LastError { time: seconds(time), message });
        let reasons = REASONS.iter().zip(&self.refused).map(|(name, count)| ((*name).to_owned(), get(count)));
        Report {
            version: report::VERSION,
            telemd: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            state,
            started: seconds(self.started.0),
            accepted: get(&self.accepted),
            refused: reasons.collect(),
            spooled: get(&self.spooled),
            delivered: get(&self.delivered),
            delivered_bytes: get(&self.delivered_bytes),
            kept_locally: get(&self.kept_locally),
            rejected: get(&self.rejected),
            expired: get(&self.expired),
            dropped: get(&self.dropped),
            last_delivery: never(get(&self.last_delivery)),
            server: copy(&self.server),
            last_error: told(copy(&self.last_error)),
            last_refusal: told(copy(&self.last_refusal)),
            back_off_until: never(get(&self.back_off_until)),
        }
    }

    fn summary(&self) -> String {
        let (spooled, delivered) = (get(&self.spooled), get(&self.delivered));
        let error = copy(&self.last_error).map_or_else(String::new, |(_, message)| format!("; last error: {message}"));
        format!("{spooled} spooled, {delivered} delivered{error}")
    }
}

/// The file of the state and the counters.
#[derive(Clone)]
pub(crate) struct StatusFile {
    path: PathBuf,
    failures: Arc<log::Throttle>,
}

impl StatusFile {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), failures: Arc::default() }
    }

    /// Replaces the file. It is for information: without it, all else works.
    pub(crate) fn write(&self, counters: &Counters, state: State) {
        if let Err(error) = self.replace(&counters.report(state)) {
            self.failures.log(format_args!("status file {}: {error}", self.path.display()));
        }
    }

    fn replace(&self, report: &Report) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            match fs::create_dir(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let temporary = self.path.with_extension("new");
        let content = serde_json::to_string_pretty(report)? + "\n";
        files::create_anew(&temporary, 0o644)?.write_all(content.as_bytes())?;
        fs::rename(temporary, &self.path)
    }

    /// Starts to keep the file true; ends when `stops` is closed.
    pub(crate) fn follow(&self, counters: Arc<Counters>, stops: Receiver<()>) -> io::Result<JoinHandle<()>> {
        let file = self.clone();
        thread::Builder::new().name("status".into()).spawn(move || {
            loop {
                // What changed until here is in this file.
                let _ = counters.changed.try_recv();
                file.write(&counters, State::Running);
                service_manager::status(&counters.summary());
                if stops.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                crossbeam_channel::select! {
                    recv(counters.changed) -> _ => {}
                    recv(stops) -> _ => return,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(file: &Path) -> Value {
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    #[test]
    fn the_file_tells_what_was_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("telemetry/status.json");
        let counters = Counters::default();
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        counters.accepted();
        counters.refused(RefusalReason::ShareUsed);
        counters.refused(RefusalReason::Frame);
        counters.sends_to(Some("https://example.org/".to_owned()));
        counters.failed("no answer", now);
        counters.back_off_until(Some(now + Duration::from_secs(7)));
        StatusFile::at(&path).write(&counters, State::Running);
        let status = read(&path);
        assert_eq!((&status["state"], &status["accepted"]), (&json!("running"), &json!(1)));
        assert_eq!((&status["refused"]["share_used"], &status["refused"]["disk"]), (&json!(1), &json!(0)));
        assert_eq!(status["last_error"], json!({"time": 1000, "message": "no answer"}));
        assert_eq!((&status["back_off_until"], &status["last_delivery"]), (&json!(1007), &Value::Null));
        assert_eq!(
            (&status["server"], &status["last_refusal"]["message"]),
            (&json!("https://example.org/"), &json!("share_used")),
            "what senders do wrong is not of this machine"
        );
        counters.delivered(500, now);
        counters.back_off_until(None);
        StatusFile::at(&path).write(&counters, State::Stopped);
        let status = read(&path);
        assert_eq!((&status["back_off_until"], &status["last_delivery"]), (&Value::Null, &json!(1000)));
        assert_eq!(status["state"], "stopped");
        assert_eq!(Report::read(&path).unwrap(), counters.report(State::Stopped));
    }

    #[test]
    fn the_file_follows_the_counters_and_rests_when_nothing_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.json");
        let counters = Arc::new(Counters::default());
        let (stop, stops) = bounded(0);
        let thread = StatusFile::at(&path).follow(Arc::clone(&counters), stops).unwrap();
        counters.accepted();
        let start = Instant::now();
        while !path.exists() || read(&path)["accepted"] != 1 {
            assert!(start.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(10));
        }
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        thread::sleep(INTERVAL * 2);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
        drop(stop);
        thread.join().unwrap();
    }

    #[test]
    fn the_file_is_not_written_through_a_link_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("precious"), "data").unwrap();
        std::os::unix::fs::symlink(path("precious"), path("status.new")).unwrap();
        StatusFile::at(&path("status.json")).write(&Counters::default(), State::Running);
        assert_eq!(fs::read_to_string(path("precious")).unwrap(), "data");
        assert_eq!(read(&path("status.json"))["state"], "running");
    }
}
