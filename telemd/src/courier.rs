//! The courier: from the spool to the collector.
//!
//! It takes one record at a time, the oldest first, and lets go of it when the
//! collector has it. What it holds is on disk, too.

use std::convert::Infallible;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, select};
use record::spool_file::SpoolFile;

use crate::log;
use crate::opt_in::OptIn;
use crate::spool::{Spool, Waiting};

/// Shortest pause after a failure; it doubles with each one that follows.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
/// Longest pause after a failure.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// Why a record did not reach the collector.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A later attempt may succeed.
    Retry(String),
    /// No attempt can ever succeed.
    Hopeless(String),
}

/// The way to the collector.
pub(crate) trait Transport {
    /// Sends a record once; tells the status of the answer, or why there was
    /// none.
    fn post(&self, record: &SpoolFile<'_>, record_id: &str) -> Result<u16, Failure>;
}

/// Delivers until `stops` is closed.
pub(crate) fn run(spool: &Spool, transport: &impl Transport, opt_in: &OptIn, stops: &Receiver<Infallible>) {
    let mut pause = BACK_OFF_MIN;
    loop {
        let next = spool.next();
        let waiting = select! {
            recv(next) -> waiting => waiting.ok(),
            recv(stops) -> _ => None,
        };
        let Some(waiting) = waiting else { return };
        match deliver(&waiting, transport, opt_in) {
            Ok(()) => {
                spool.remove(waiting);
                pause = BACK_OFF_MIN;
            }
            Err(Failure::Hopeless(reason)) => {
                log::error(format_args!("spool file {}: {reason}; it is deleted", waiting.file_name().display()));
                spool.remove(waiting);
            }
            // Its server is not that of the others.
            Err(Failure::Retry(reason)) if waiting.has_config() => {
                log::warning(format_args!("not delivered: {reason}; next attempt in a minute"));
                spool.set_aside(waiting);
            }
            Err(Failure::Retry(reason)) => {
                log::warning(format_args!("not delivered: {reason}; next attempt in {} s", pause.as_secs()));
                spool.give_back(waiting);
                if stops.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                pause = (pause * 2).min(BACK_OFF_MAX);
            }
        }
    }
}

fn deliver(waiting: &Waiting, transport: &impl Transport, opt_in: &OptIn) -> Result<(), Failure> {
    if !opt_in.is_given() {
        return Err(Failure::Retry("the machine is not opted in any more".into()));
    }
    let record = SpoolFile::decode(&waiting.content).map_err(|error| Failure::Hopeless(error.to_string()))?;
    match transport.post(&record, &waiting.record_id())? {
        200..=299 => Ok(()),
        status => Err(Failure::Retry(format!("the server answered with status {status}"))),
    }
}
