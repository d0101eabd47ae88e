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

/// The way to the collector.
pub(crate) trait Transport {
    /// Sends a record once; tells the status of the answer, or why there was
    /// none.
    fn post(&self, record: &SpoolFile<'_>, record_id: &str) -> Result<u16, String>;
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
            Err(reason) => {
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

fn deliver(waiting: &Waiting, transport: &impl Transport, opt_in: &OptIn) -> Result<(), String> {
    if !opt_in.is_given() {
        return Err("the machine is not opted in any more".into());
    }
    let record = SpoolFile::decode(&waiting.content)
        .map_err(|error| format!("spool file {}: {error}", waiting.file_name().display()))?;
    match transport.post(&record, &waiting.record_id())? {
        200..=299 => Ok(()),
        status => Err(format!("the server answered with status {status}")),
    }
}
