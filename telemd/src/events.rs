//! What the main thread waits for: signals, and changes of the consent.
//!
//! It sleeps until one of them comes: an idle daemon makes no system calls.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::log;
use crate::opt_in::OptIn;

/// How often consent is looked at where changes are not told.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A signal asks for the end.
    End(Signal),
    /// A signal asks to read the configuration again.
    Reload,
    /// Consent may have been given or withdrawn.
    ConsentChanged,
    /// Nothing, for as long as was asked.
    Timeout,
}

/// The source of all events.
pub(crate) struct Events {
    signals: SignalFd,
    consent: Option<ConsentWatch>,
}

impl Events {
    /// Signals come here from now on, in this thread and in those it starts.
    pub(crate) fn new(opt_in: &OptIn) -> Result<Self, Errno> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            signals.add(signal);
        }
        signals.thread_block()?;
        let consent = ConsentWatch::new(opt_in.file())
            .inspect_err(|errno| {
                log::warning(format_args!("inotify: {errno}; consent is looked at twice a second instead"));
            })
            .ok();
        Ok(Self { signals: SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?, consent })
    }

    /// Waits for the next event, at most so long.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> Result<Event, Errno> {
        let patience = match &self.consent {
            Some(_) => patience,
            None => Some(patience.unwrap_or(LOOK_INTERVAL).min(LOOK_INTERVAL)),
        };
        let timeout = patience.map_or(PollTimeout::NONE, |patience| {
            // Rounded up: what is due in less than a millisecond is not due yet.
            PollTimeout::try_from(patience + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let descriptors: Vec<BorrowedFd<'_>> =
            [Some(self.signals.as_fd()), self.consent.as_ref().map(|watch| watch.inotify.as_fd())]
                .into_iter()
                .flatten()
                .collect();
        let mut polled: Vec<_> = descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match poll(&mut polled, timeout) {
            Err(errno) if errno != Errno::EINTR => return Err(errno),
            _ => {}
        }
        if let Some(signal) = self.signals.read_signal()? {
            return Ok(match i32::try_from(signal.ssi_signo).map(Signal::try_from) {
                Ok(Ok(Signal::SIGHUP)) => Event::Reload,
                Ok(Ok(signal)) => Event::End(signal),
                _ => Event::Timeout,
            });
        }
        let has_changed = match &mut self.consent {
            Some(watch) => watch.has_changed()?,
            None => true,
        };
        Ok(if has_changed { Event::ConsentChanged } else { Event::Timeout })
    }
}

/// Watches the directory of the opt-in file, or what there is of its path.
struct ConsentWatch {
    inotify: Inotify,
    directory: PathBuf,
    watched: Option<WatchDescriptor>,
}

impl ConsentWatch {
    fn new(file: &Path) -> Result<Self, Errno> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let directory = file.parent().unwrap_or(Path::new("/")).to_owned();
        let mut watch = Self { inotify, directory, watched: None };
        watch.renew()?;
        Ok(watch)
    }

    /// Watches the nearest directory that exists.
    fn renew(&mut self) -> Result<(), Errno> {
        let mut flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE;
        flags |= AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ONLYDIR;
        let mut directories = self.directory.ancestors();
        let mut below: Option<&Path> = None;
        while let Some(directory) = directories.next() {
            let watched = match self.inotify.add_watch(directory, flags) {
                Err(Errno::ENOENT | Errno::ENOTDIR) => {
                    below = Some(directory);
                    continue;
                }
                watched => watched?,
            };
            // What came before the watch was there is not told.
            if below.is_some_and(Path::exists) {
                (directories, below) = (self.directory.ancestors(), None);
                continue;
            }
            let before = self.watched.replace(watched);
            if let Some(before) = before.filter(|before| *before != watched) {
                // It is gone by itself if its directory is.
                let _ = self.inotify.rm_watch(before);
            }
            return Ok(());
        }
        Err(Errno::ENOENT)
    }

    fn has_changed(&mut self) -> Result<bool, Errno> {
        match self.inotify.read_events() {
            Ok(events) => {
                self.renew()?;
                Ok(!events.is_empty())
            }
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn watch() -> (tempfile::TempDir, ConsentWatch) {
        let directory = tempfile::tempdir().unwrap();
        let watch = ConsentWatch::new(&directory.path().join("etc/telemetrics/opt-in")).unwrap();
        (directory, watch)
    }

    #[test]
    fn consent_is_seen_to_come_and_go_also_with_its_directory() {
        let (directory, mut watch) = watch();
        let path = directory.path().join("etc/telemetrics");
        assert!(!watch.has_changed().unwrap());
        fs::create_dir_all(&path).unwrap();
        assert!(watch.has_changed().unwrap());
        fs::write(path.join("opt-in"), "").unwrap();
        assert!(watch.has_changed().unwrap());
        assert!(!watch.has_changed().unwrap(), "once");
        fs::remove_file(path.join("opt-in")).unwrap();
        assert!(watch.has_changed().unwrap());
        fs::rename(&path, directory.path().join("etc/other")).unwrap();
        assert!(watch.has_changed().unwrap());
        fs::create_dir(&path).unwrap();
        assert!(watch.has_changed().unwrap());
        fs::write(path.join("opt-in"), "").unwrap();
        assert!(watch.has_changed().unwrap());
        fs::remove_dir_all(directory.path().join("etc")).unwrap();
        assert!(watch.has_changed().unwrap());
    }
}
