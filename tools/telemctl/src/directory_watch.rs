//! Waits until something changes in directories.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::failure::Failure;

/// Tells of files that are made, written or replaced.
pub(crate) struct DirectoryWatch(Inotify);

impl DirectoryWatch {
    /// Watches these directories from now on. All must exist.
    pub(crate) fn new(directories: &[&Path]) -> Result<Self, Failure> {
        let failed = |path: &Path, errno: Errno| Failure::at(path, &io::Error::from(errno));
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|errno| failed(Path::new("inotify"), errno))?;
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVE;
        for directory in directories {
            inotify.add_watch(*directory, flags).map_err(|errno| failed(directory, errno))?;
        }
        Ok(Self(inotify))
    }

    /// Waits for a change since the last wait, at most so long.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> Result<(), Failure> {
        let failed = |errno: Errno| Failure::new(format_args!("inotify: {errno}"));
        let timeout =
            patience.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(errno) if errno != Errno::EINTR => return Err(failed(errno)),
            _ => {}
        }
        match self.0.read_events() {
            Err(errno) if errno != Errno::EAGAIN => Err(failed(errno)),
            _ => Ok(()),
        }
    }
}
