//! Time, handed in, so that the rules about it can be tested without waiting.

use std::convert::Infallible;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};

/// Tells the time, and waits.
pub(crate) trait Clock {
    /// The wall clock, which may jump.
    fn now(&self) -> SystemTime;

    /// Minutes of a clock that never jumps.
    fn minute(&self) -> u64;

    /// Waits; true if `stops` was closed meanwhile.
    fn wait(&self, pause: Duration, stops: &Receiver<Infallible>) -> bool;
}

/// The clocks of the system.
#[derive(Clone, Copy)]
pub(crate) struct SystemClock(Instant);

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn minute(&self) -> u64 {
        self.0.elapsed().as_secs() / 60
    }

    fn wait(&self, pause: Duration, stops: &Receiver<Infallible>) -> bool {
        stops.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
    }
}
