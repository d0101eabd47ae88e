//! Where a frame becomes a record in the spool, or is refused.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::sys::socket::UnixCredentials;
use record::frame::{Frame, FrameError};
use record::header::Header;
use record::{ack, severity, spool_file};
use thiserror::Error;

use super::readers::{DEADLINE, USER_READERS_MAX};
use crate::log;
use crate::machine_id::MachineId;
use crate::opt_in::OptIn;
use crate::record_config::{self, RecordConfigError};
use crate::spool::Spool;
use crate::spool_name::Urgency;
use crate::status::{Counters, RefusalReason};
use crate::usage::StoreError;

#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the classification holds control characters")]
    Classification,
    #[error("configuration file {0}")]
    Config(#[from] RecordConfigError),
    #[error("the user has {USER_READERS_MAX} connections already")]
    TooMany,
    #[error("the machine is not opted in")]
    NotOptedIn,
    #[error("the frame was not complete after {} s", DEADLINE.as_secs())]
    TooSlow,
    #[error("the connection: {0}")]
    Connection(io::Error),
    #[error("{0}")]
    Spool(StoreError),
}

impl Refusal {
    /// What the client is told.
    fn errno(&self) -> Errno {
        let of_io = |error: &io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        match self {
            Self::Frame(FrameError::Size(_) | FrameError::PayloadTooLong(_)) => Errno::EMSGSIZE,
            Self::Frame(_) | Self::Classification => Errno::EINVAL,
            Self::Config(RecordConfigError::Shortage { error, .. }) => of_io(error),
            // One answer to all else: the daemon may see files that the client
            // may not, and must not tell which there are.
            Self::Config(_) => Errno::EPERM,
            Self::NotOptedIn => Errno::ECONNREFUSED,
            Self::TooMany => Errno::EAGAIN,
            Self::TooSlow => Errno::ETIMEDOUT,
            Self::Connection(error) => of_io(error),
            Self::Spool(error) => error.errno(),
        }
    }

    /// What it counts as.
    const fn reason(&self) -> RefusalReason {
        match self {
            Self::Frame(_) | Self::Classification => RefusalReason::Frame,
            Self::Config(_) => RefusalReason::Configuration,
            Self::NotOptedIn => RefusalReason::NotOptedIn,
            Self::TooMany => RefusalReason::TooMany,
            Self::TooSlow => RefusalReason::TooSlow,
            Self::Connection(_) => RefusalReason::Connection,
            Self::Spool(StoreError::Full) => RefusalReason::SpoolFull,
            Self::Spool(StoreError::ShareUsed) => RefusalReason::ShareUsed,
            Self::Spool(StoreError::Io(_)) => RefusalReason::Disk,
        }
    }
}

/// What a reader needs to make a record of a frame.
pub(crate) struct Desk {
    pub(crate) spool: Spool,
    pub(crate) machine_id: Arc<MachineId>,
    pub(crate) opt_in: OptIn,
    pub(crate) counters: Arc<Counters>,
    /// Whether senders may choose configuration files of their own.
    pub(crate) allow_user_config: AtomicBool,
    pub(crate) refusals: log::Throttle,
}

/// A connection, and who made it.
pub(super) struct Peer {
    pub(super) stream: UnixStream,
    pub(super) credentials: UnixCredentials,
}

impl Peer {
    /// The user who sent what comes.
    pub(super) fn uid(&self) -> u32 {
        self.credentials.uid()
    }
}

impl Desk {
    /// Tells the client what became of its record; `greeting` is what it has
    /// not been told yet. Whether it could be told.
    pub(super) fn answer(&self, peer: &Peer, greeting: &[u8], taken: Result<(), Refusal>) -> bool {
        let is_taken = taken.is_ok();
        let status = match taken {
            Ok(()) => 0,
            Err(refusal) => {
                self.counters.refused(refusal.reason());
                let (uid, pid) = (peer.credentials.uid(), peer.credentials.pid());
                self.refusals.log(format_args!("a record of uid {uid} (process {pid}) was refused: {refusal}"));
                -(refusal.errno() as i32)
            }
        };
        // An older library does not read, and may have closed already.
        let told = (&peer.stream).write_all(&[greeting, &ack::encode_status(status)].concat());
        // Only now: a courier that wakes may take this thread's core.
        if is_taken {
            self.spool.hand_out();
        }
        told.is_ok()
    }

    /// Whether taking it waits for a disk, or for files that others chose.
    pub(super) fn takes_long(&self, frame: &Frame<'_>) -> bool {
        frame.config.is_some() || self.spool.is_synced(urgency(frame))
    }

    /// Makes a record of a frame and puts it in the spool.
    pub(super) fn take(&self, frame: &Frame<'_>, uid: u32) -> Result<(), Refusal> {
        if frame.headers.get(Header::Classification).iter().any(u8::is_ascii_control) {
            return Err(Refusal::Classification);
        }
        if !self.opt_in.is_given() {
            return Err(Refusal::NotOptedIn);
        }
        if let Some(path) = frame.config {
            // Looked at again when the record is sent; here, so that the sender
            // learns of it.
            let user = self.allow_user_config.load(Ordering::Relaxed).then_some(uid);
            record_config::load(Path::new(OsStr::from_bytes(path)), user)?;
        }
        let machine_id = self.machine_id.get(SystemTime::now());
        let headers = frame.headers.with(Header::MachineId, &machine_id);
        let file = spool_file::encode(frame.config, &headers, frame.payload);
        self.spool.store(file, urgency(frame), uid).map_err(Refusal::Spool)?;
        self.counters.accepted();
        let classification = headers.get(Header::Classification);
        log::info(format_args!("taken from uid {uid}: {}", String::from_utf8_lossy(classification)));
        Ok(())
    }
}

fn urgency(frame: &Frame<'_>) -> Urgency {
    match frame.headers.get(Header::Severity) == severity::CRITICAL.to_string().as_bytes() {
        true => Urgency::Critical,
        false => Urgency::Ordinary,
    }
}
