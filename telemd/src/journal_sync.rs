//! Makes what was appended to the journal safe against a power failure, as
//! soon after it as the configuration says, in a thread of its own.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::log;

/// Told of every line.
pub(crate) struct JournalSync {
    path: PathBuf,
    /// `None`: the caller syncs.
    dirty: Option<Sender<()>>,
}

impl JournalSync {
    pub(crate) fn start(path: &Path, interval: Duration) -> io::Result<Self> {
        let mut sync = Self { path: path.to_owned(), dirty: None };
        if !interval.is_zero() {
            let (dirty, lines) = bounded(1);
            let path = sync.path.clone();
            thread::Builder::new().name("journal".into()).spawn(move || follow(&path, interval, &lines))?;
            sync.dirty = Some(dirty);
        }
        Ok(sync)
    }

    /// A line was appended.
    pub(crate) fn appended(&self) {
        match &self.dirty {
            // Who is told already, will sync this line, too.
            Some(dirty) => drop(dirty.try_send(())),
            None => sync(&self.path),
        }
    }
}

impl Drop for JournalSync {
    fn drop(&mut self) {
        // The thread sleeps, and may not come to it any more.
        if self.dirty.is_some() {
            sync(&self.path);
        }
    }
}

/// Syncs an interval after the first line that was not synced yet.
fn follow(path: &Path, interval: Duration, lines: &Receiver<()>) {
    while lines.recv().is_ok() {
        thread::sleep(interval);
        // From here on, a line is a new one.
        let _ = lines.try_recv();
        sync(path);
    }
}

fn sync(path: &Path) {
    // By its path: the file is another one after it was cut back.
    match File::open(path).and_then(|file| file.sync_data()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::error(format_args!("journal {}: {error}; a power failure may take lines", path.display()));
        }
        _ => {}
    }
}
