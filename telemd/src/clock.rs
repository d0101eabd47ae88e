//! Time, handed in, so that the rules about it can be tested without waiting.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use nix::time::{ClockId, clock_gettime};

/// Tells the time, and waits.
pub(crate) trait Clock {
    /// The wall clock, which may jump.
    fn now(&self) -> SystemTime;

    /// The wall clock as it would be if nobody had set it since the start.
    fn steady_now(&self) -> SystemTime;

    /// Minutes of a clock that never jumps.
    fn minute(&self) -> u64;

    /// Waits; true if `stops` was closed meanwhile.
    fn wait(&self, pause: Duration, stops: &Receiver<Infallible>) -> bool;
}

/// The clocks of the system.
#[derive(Clone, Copy)]
pub(crate) struct SystemClock {
    start: SystemTime,
    /// Of a clock that also counts while the machine sleeps.
    start_of_boot_time: Duration,
}

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self { start: SystemTime::now(), start_of_boot_time: boot_time() }
    }

    fn elapsed(&self) -> Duration {
        boot_time().saturating_sub(self.start_of_boot_time)
    }
}

/// Time since the machine started, see clock_gettime(2).
fn boot_time() -> Duration {
    // It cannot fail for a clock that exists.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn steady_now(&self) -> SystemTime {
        self.start.checked_add(self.elapsed()).unwrap_or(self.start)
    }

    fn minute(&self) -> u64 {
        self.elapsed().as_secs() / 60
    }

    fn wait(&self, pause: Duration, stops: &Receiver<Infallible>) -> bool {
        stops.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
    }
}
