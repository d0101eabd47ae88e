//! The gate before the server: open while it is well, shut after a failure.
//!
//! While it is shut, one worker waits and then tries with one record; the
//! others wait for the outcome.

use std::convert::Infallible;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::back_off::BackOff;
use crate::clock::Clock;

/// What a worker may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Deliver: the server is well.
    Open,
    /// Try with one record.
    Probe,
}

#[derive(Default)]
struct Inside {
    /// Time until the next attempt; `None`: the gate is open.
    pause: Option<Duration>,
    is_probed: bool,
    is_over: bool,
    back_off: BackOff,
}

#[derive(Default)]
pub(crate) struct Gate {
    inside: Mutex<Inside>,
    changes: Condvar,
}

impl Gate {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a record may be tried; `None` when `stops` is closed.
    pub(crate) fn enter(&self, clock: &impl Clock, stops: &Receiver<Infallible>) -> Option<Pass> {
        let mut inside = self.inside();
        let pause = loop {
            match inside.pause {
                _ if inside.is_over => return None,
                None => return Some(Pass::Open),
                Some(pause) if !inside.is_probed => break pause,
                Some(_) => inside = self.changes.wait(inside).unwrap_or_else(PoisonError::into_inner),
            }
        };
        inside.is_probed = true;
        drop(inside);
        if pause.is_zero() || !clock.wait(pause, stops) {
            // Another worker's answer may have opened it meanwhile.
            return Some(if self.is_open() { Pass::Open } else { Pass::Probe });
        }
        self.end();
        None
    }

    pub(crate) fn is_open(&self) -> bool {
        self.inside().pause.is_none()
    }

    /// The worker ends, and with it all that wait here.
    pub(crate) fn end(&self) {
        self.inside().is_over = true;
        self.changes.notify_all();
    }

    /// The server answered; tells whether it had failed before.
    pub(crate) fn open(&self) -> bool {
        let mut inside = self.inside();
        inside.pause = None;
        // Who still waits to probe need not be waited for.
        inside.is_probed = false;
        self.changes.notify_all();
        inside.back_off.reset()
    }

    /// The attempt told nothing about the server.
    pub(crate) fn leave(&self, pass: Pass) {
        if pass == Pass::Probe {
            let mut inside = self.inside();
            inside.is_probed = false;
            // If others opened it meanwhile, it stays open.
            inside.pause = inside.pause.map(|_| Duration::ZERO);
            self.changes.notify_one();
        }
    }

    /// The server failed, or asked to wait for `asked`: at least as long as it
    /// is waited for after so many failures. Gives the pause; `None` if others
    /// saw the same failure before.
    pub(crate) fn shut(&self, pass: Pass, asked: Option<Duration>, random: u64) -> Option<Duration> {
        let mut inside = self.inside();
        if pass == Pass::Open && inside.pause.is_some() {
            return None;
        }
        let pause = inside.back_off.after_failure(random).max(asked.unwrap_or_default());
        self.close(inside, pass, pause);
        Some(pause)
    }

    /// Not before so long, for reasons of our own.
    pub(crate) fn pause(&self, pass: Pass, pause: Duration) {
        self.close(self.inside(), pass, pause);
    }

    fn close(&self, mut inside: MutexGuard<'_, Inside>, pass: Pass, pause: Duration) {
        inside.pause = Some(pause);
        inside.is_probed &= pass == Pass::Open;
        self.changes.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crossbeam_channel::bounded;
    use std::thread;

    /// The pause of a first failure is random: at most a second.
    const SHORT: Option<Duration> = Some(Duration::from_millis(5));

    #[test]
    fn after_a_failure_one_worker_tries_and_its_success_lets_all_in() {
        let (_stop, stops) = bounded(0);
        let (gate, clock) = (Gate::default(), SystemClock::new());
        assert_eq!(gate.enter(&clock, &stops), Some(Pass::Open));
        assert_eq!(gate.shut(Pass::Open, SHORT, 0), SHORT);
        assert_eq!(gate.shut(Pass::Open, SHORT, 0), None, "the other worker saw the same failure");
        assert_eq!(gate.enter(&clock, &stops), Some(Pass::Probe));
        thread::scope(|scope| {
            let others = [(); 3].map(|()| scope.spawn(|| gate.enter(&clock, &stops)));
            thread::sleep(Duration::from_millis(20));
            assert!(others.iter().all(|other| !other.is_finished()));
            gate.open();
            assert!(others.into_iter().all(|other| other.join().unwrap() == Some(Pass::Open)));
        });
    }

    #[test]
    fn an_attempt_that_tells_nothing_is_followed_by_another() {
        let (_stop, stops) = bounded(0);
        let (gate, clock) = (Gate::default(), SystemClock::new());
        gate.shut(Pass::Open, SHORT, 0);
        for _ in 0..3 {
            assert_eq!(gate.enter(&clock, &stops), Some(Pass::Probe));
            gate.leave(Pass::Probe);
        }
    }

    #[test]
    fn the_end_wakes_those_who_wait() {
        let (stop, stops) = bounded::<Infallible>(0);
        let (gate, clock) = (Gate::default(), SystemClock::new());
        gate.shut(Pass::Open, Some(Duration::from_secs(3600)), 0);
        thread::scope(|scope| {
            let workers = [(); 3].map(|()| scope.spawn(|| gate.enter(&clock, &stops)));
            drop(stop);
            assert!(workers.into_iter().all(|worker| worker.join().unwrap().is_none()));
        });
    }
}
