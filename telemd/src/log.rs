//! Messages on the standard error stream.
//!
//! Under a service manager that reads the stream, each line starts with its
//! priority as in sd-daemon(3).

use std::fmt::Arguments;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;

/// The longest message; paths in it can be chosen by others.
const LINE_MAX: usize = 1000;
/// Messages that a [`Throttle`] lets through in an interval.
const THROTTLED_MAX: u64 = 10;
const THROTTLE_INTERVAL: Duration = Duration::from_secs(60);

static IS_VERBOSE: AtomicBool = AtomicBool::new(false);
/// Whether the stream is the one that the service manager made: a terminal that
/// a service started has the variable, too.
static GOES_TO_JOURNAL: LazyLock<bool> = LazyLock::new(|| {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    fstat(std::io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
});

/// Something the administrator must act on.
pub(crate) fn error(message: Arguments<'_>) {
    write(3, message);
}

/// Something that went wrong and was put right, or is tried again.
pub(crate) fn warning(message: Arguments<'_>) {
    write(4, message);
}

/// A normal event of note.
pub(crate) fn notice(message: Arguments<'_>) {
    write(5, message);
}

/// What happened to a record: only for those who ask for more.
pub(crate) fn info(message: Arguments<'_>) {
    if IS_VERBOSE.load(Ordering::Relaxed) {
        write(6, message);
    }
}

/// From now on, [`info`] is written, too.
pub(crate) fn be_verbose() {
    IS_VERBOSE.store(true, Ordering::Relaxed);
}

/// Warnings that others can cause: so many a minute, and then their number.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    began: Option<Instant>,
    count: u64,
}

impl Throttle {
    pub(crate) fn log(&self, message: Arguments<'_>) {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.began.is_none_or(|began| began.elapsed() >= THROTTLE_INTERVAL) {
            let unsaid = minute.count.saturating_sub(THROTTLED_MAX);
            if unsaid > 0 {
                warning(format_args!("{unsaid} more of the kind before"));
            }
            *minute = Minute { began: Some(Instant::now()), count: 0 };
        }
        minute.count += 1;
        if minute.count <= THROTTLED_MAX {
            warning(message);
        }
    }
}

fn write(priority: u8, message: Arguments<'_>) {
    let prefix = if *GOES_TO_JOURNAL { format!("<{priority}>") } else { "telemd: ".to_owned() };
    // A closed stream is no reason to stop.
    let mut line = format!("{prefix}{message}");
    if line.len() > LINE_MAX {
        while line.len() > LINE_MAX {
            line.pop();
        }
        line.push('…');
    }
    line.push('\n');
    let _ = std::io::stderr().write_all(line.as_bytes());
}
