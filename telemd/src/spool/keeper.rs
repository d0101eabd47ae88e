//! The keeper of the spool: does what is to be done from time to time, and
//! sleeps otherwise.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::Shared;

/// What the keeper is asked.
pub(super) enum Request {
    /// There is something to be done sooner than it knew.
    Come,
    /// Whether all is well, and how many records wait.
    Count { patience: Duration, reply: Sender<Option<u64>> },
}

/// Starts the keeper; it ends when the sender is dropped.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<(Sender<Request>, JoinHandle<()>)> {
    let (sender, requests) = bounded(4);
    let thread = thread::Builder::new().name("keeper".into()).spawn(move || keep(&shared, &requests))?;
    Ok((sender, thread))
}

fn keep(shared: &Shared, requests: &Receiver<Request>) {
    loop {
        let next_chore = shared.inventory().schedule_keeper();
        match requests.recv_timeout(next_chore) {
            Ok(Request::Count { patience, reply }) => {
                let inventory = shared.inventory();
                let is_well = inventory.slowest_arrival() < patience;
                // Who does not wait for the reply any more does not need it.
                let _ = reply.send(is_well.then_some(inventory.count()));
            }
            Ok(Request::Come) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let directory = shared.directory();
                return shared.inventory().flush(&directory);
            }
        }
        let directory = shared.directory();
        let undeleted = shared.inventory().do_chores(&directory);
        for name in undeleted {
            if shared.delete(&directory, &name) {
                shared.inventory().deleted_at_last(&name);
            }
        }
    }
}
