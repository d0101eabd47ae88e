//! Which spool files a power failure could still take, and when they are made
//! safe.
//!
//! Syncing every record would cost milliseconds each; most are delivered and
//! gone before the interval ends, and need no sync at all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError, bounded};
use nix::unistd::syncfs;

use crate::log;

/// Files that are synced one by one. With more, the whole file system is: one
/// commit of its journal, and not one for each file.
const FILES_MAX: usize = 16;

/// Time until a busy syncer is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// What is to be made safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    /// These files of the directory.
    Files(Vec<PathBuf>),
    /// All that is on its file system.
    All,
}

/// The files of a directory that were not synced yet.
pub(crate) struct SyncQueue {
    interval: Duration,
    waiting: Batch,
    /// When what waits is handed over; `None` if nothing does.
    due: Option<Instant>,
}

impl SyncQueue {
    /// Each file's time comes at most `interval` after the file.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, waiting: Batch::Files(Vec::new()), due: None }
    }

    /// Another interval, for files that come from now on.
    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Notes a file that was written at `now`.
    pub(crate) fn add(&mut self, file: &Path, now: Instant) {
        match &mut self.waiting {
            Batch::Files(files) if files.len() < FILES_MAX => files.push(file.to_owned()),
            waiting => *waiting = Batch::All,
        }
        self.due.get_or_insert(now + self.interval);
    }

    /// Syncs all that waits, here and now: nobody will later.
    pub(crate) fn flush(&mut self, directory: &Path) {
        if self.due.take().is_some() {
            sync_or_say(directory, &std::mem::replace(&mut self.waiting, Batch::Files(Vec::new())));
        }
    }

    /// Time until the next sync; `None` if nothing waits.
    pub(crate) fn due_in(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(now))
    }

    /// If it is time, hands all that waits to the syncer, unless it is still
    /// busy with what it got before: then it is asked again a moment later.
    pub(crate) fn hand_over_if_due(&mut self, syncer: &Sender<Batch>, now: Instant) {
        if self.due_in(now) != Some(Duration::ZERO) {
            return;
        }
        match syncer.try_send(std::mem::replace(&mut self.waiting, Batch::Files(Vec::new()))) {
            Ok(()) => self.due = None,
            Err(TrySendError::Full(waiting) | TrySendError::Disconnected(waiting)) => {
                self.waiting = waiting;
                self.due = Some(now + BUSY_PAUSE);
            }
        }
    }
}

/// Starts the syncer: a thread of its own, because senders wait for the
/// spool, and syncing takes long. It ends when the sender is dropped.
pub(crate) fn start(directory: &Path) -> io::Result<Sender<Batch>> {
    let (sender, batches) = bounded::<Batch>(1);
    let directory = directory.to_owned();
    thread::Builder::new().name("syncer".into()).spawn(move || {
        for batch in batches {
            sync_or_say(&directory, &batch);
        }
    })?;
    Ok(sender)
}

fn sync_or_say(directory: &Path, batch: &Batch) {
    if let Err(error) = sync(directory, batch) {
        let directory = directory.display();
        log::error(format_args!("spool_dir {directory}: {error}; a power failure may take records"));
    }
}

/// Syncs the files that are still there, and then their names.
fn sync(directory: &Path, batch: &Batch) -> io::Result<()> {
    let names = File::open(directory)?;
    let Batch::Files(files) = batch else { return Ok(syncfs(names)?) };
    let mut result = Ok(());
    for file in files {
        // One that fails is no reason to leave the others.
        let synced = match File::open(directory.join(file)) {
            Ok(file) => file.sync_data(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        result = result.and(synced);
    }
    result.and(names.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[test]
    fn a_file_is_handed_over_within_the_interval_after_it_came() {
        let (syncer, batches) = bounded(1);
        let mut queue = SyncQueue::new(INTERVAL);
        let start = Instant::now();
        assert_eq!(queue.due_in(start), None);
        queue.add(Path::new("a"), start);
        queue.add(Path::new("b"), start + INTERVAL / 2);
        assert_eq!(queue.due_in(start + INTERVAL / 2), Some(INTERVAL / 2), "that of the oldest");
        queue.hand_over_if_due(&syncer, start + INTERVAL / 2);
        assert!(batches.try_recv().is_err(), "not yet");
        queue.hand_over_if_due(&syncer, start + INTERVAL);
        assert_eq!(batches.try_recv().unwrap(), Batch::Files(vec!["a".into(), "b".into()]));
        assert_eq!(queue.due_in(start + INTERVAL), None);
    }

    #[test]
    fn a_busy_syncer_gets_it_later_and_nothing_is_forgotten() {
        let (syncer, batches) = bounded(1);
        syncer.send(Batch::All).unwrap();
        let mut queue = SyncQueue::new(Duration::ZERO);
        let now = Instant::now();
        queue.add(Path::new("a"), now);
        queue.hand_over_if_due(&syncer, now);
        assert_eq!(queue.due_in(now), Some(BUSY_PAUSE), "the keeper does not spin meanwhile");
        batches.recv().unwrap();
        queue.hand_over_if_due(&syncer, now + BUSY_PAUSE);
        assert_eq!(batches.try_recv().unwrap(), Batch::Files(vec!["a".into()]));
    }

    #[test]
    fn a_flood_is_synced_as_a_whole_and_takes_no_memory() {
        let (syncer, batches) = bounded(1);
        let mut queue = SyncQueue::new(INTERVAL);
        let now = Instant::now();
        for number in 0..=FILES_MAX {
            queue.add(Path::new(&number.to_string()), now);
        }
        assert_eq!(queue.due_in(now), Some(INTERVAL));
        queue.hand_over_if_due(&syncer, now + INTERVAL);
        assert_eq!(batches.try_recv().unwrap(), Batch::All);
        sync(tempfile::tempdir().unwrap().path(), &Batch::All).unwrap();
    }

    #[test]
    fn files_that_were_delivered_meanwhile_are_no_error() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("here"), "a").unwrap();
        sync(directory.path(), &Batch::Files(vec!["gone".into(), "here".into()])).unwrap();
        assert!(sync(Path::new("/nonexistent"), &Batch::All).is_err());
    }
}
