//! Intake: from a connection to a record in the spool, and the answer.
//!
//! A listener hands each connection to a reader thread, so that a client that
//! stalls delays nobody. Readers stay a while for the next connection.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use record::frame::{self, Frame, FrameError};
use record::header::Header;
use record::{ack, severity, spool_file};
use thiserror::Error;

use crate::log;
use crate::machine_id::MachineId;
use crate::opt_in::OptIn;
use crate::record_config::{self, RecordConfigError};
use crate::spool::Spool;
use crate::spool_name::Urgency;

/// Longest life of a connection.
const DEADLINE: Duration = Duration::from_secs(10);
/// Connections that are read at the same time; more wait in the backlog.
const READERS_MAX: usize = 512;
/// How long a reader waits for its next connection.
const READER_IDLE: Duration = Duration::from_secs(10);
/// A reader holds one frame, on the heap.
const READER_STACK: usize = 128 * 1024;
/// Pause when descriptors are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Error)]
enum Refusal {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the classification holds control characters")]
    Classification,
    #[error("configuration file {0}")]
    Config(#[from] RecordConfigError),
    #[error("the machine is not opted in")]
    NotOptedIn,
    #[error("the frame was not complete after {} s", DEADLINE.as_secs())]
    TooSlow,
    #[error("the connection: {0}")]
    Connection(io::Error),
    #[error("spool_dir: {0}")]
    Spool(io::Error),
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
            Self::TooSlow => Errno::ETIMEDOUT,
            Self::Connection(error) | Self::Spool(error) => of_io(error),
        }
    }
}

/// What a reader needs to make a record of a frame.
struct Desk {
    spool: Spool,
    machine_id: Arc<MachineId>,
    opt_in: OptIn,
    refusals: log::Throttle,
}

/// The listener and its readers.
pub(crate) struct Intake {
    /// Its end wakes the listener. (Not a shutdown of the socket, which can be
    /// the service manager's, and is used again.)
    stop: UnixStream,
    thread: JoinHandle<()>,
}

impl Intake {
    /// Takes no more connections; returns when those that were taken have had
    /// their answers. What waits in the backlog waits on.
    pub(crate) fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

/// Starts to take connections.
pub(crate) fn start(
    listener: UnixListener,
    spool: Spool,
    machine_id: Arc<MachineId>,
    opt_in: OptIn,
) -> io::Result<Intake> {
    // Between `poll` and `accept` a client may go away.
    listener.set_nonblocking(true)?;
    let (stop, stops) = UnixStream::pair()?;
    let desk = Arc::new(Desk { spool, machine_id, opt_in, refusals: log::Throttle::default() });
    let thread = thread::spawn(move || accept_all(&listener, &stops, &desk));
    Ok(Intake { stop, thread })
}

fn accept_all(listener: &UnixListener, stops: &UnixStream, desk: &Arc<Desk>) {
    let (all_ended, ended) = bounded::<()>(0);
    let readers = Readers::new(Arc::clone(desk), all_ended);
    while wait_for_client(listener, stops) {
        match listener.accept() {
            Ok((connection, _)) => readers.hand_over(connection),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                desk.refusals.log(format_args!("accept: {error}; trying again"));
                thread::sleep(SHORTAGE_PAUSE);
            }
        }
    }
    drop(readers);
    // Every reader holds a sender; the channel ends with the last of them.
    let _ = ended.recv();
}

/// Waits without a bound; false when it is time to stop.
fn wait_for_client(listener: &UnixListener, stops: &UnixStream) -> bool {
    let wanted = PollFlags::POLLIN;
    let mut both = [PollFd::new(listener.as_fd(), wanted), PollFd::new(stops.as_fd(), wanted)];
    match poll(&mut both, PollTimeout::NONE) {
        Ok(_) => !both.last().is_some_and(|stop| stop.any().unwrap_or(true)),
        // Interrupted: `accept` tells that nobody is there.
        Err(_) => true,
    }
}

/// The threads that read connections.
struct Readers {
    desk: Arc<Desk>,
    /// Holds nothing: a connection is handed to a reader that waits, or not.
    connections: Sender<UnixStream>,
    waiting: Receiver<UnixStream>,
    count: Arc<AtomicUsize>,
    all_ended: Sender<()>,
}

impl Readers {
    fn new(desk: Arc<Desk>, all_ended: Sender<()>) -> Self {
        let (connections, waiting) = bounded(0);
        Self { desk, connections, waiting, count: Arc::new(AtomicUsize::new(0)), all_ended }
    }

    /// Gives the connection to a reader that waits, to a new one, or, when
    /// there are too many, to the first that is done.
    fn hand_over(&self, connection: UnixStream) {
        let connection = match self.connections.try_send(connection) {
            Ok(()) => return,
            Err(TrySendError::Full(connection) | TrySendError::Disconnected(connection)) => connection,
        };
        if self.count.load(Ordering::Relaxed) >= READERS_MAX {
            let _ = self.connections.send(connection);
            return;
        }
        if let Err(error) = self.start(connection) {
            log::warning(format_args!("no thread for a connection: {error}; it is closed"));
        }
    }

    fn start(&self, connection: UnixStream) -> io::Result<()> {
        let (desk, waiting) = (Arc::clone(&self.desk), self.waiting.clone());
        let (count, ends) = (Arc::clone(&self.count), self.all_ended.clone());
        let reader = move || {
            let mut next = Some(connection);
            while let Some(connection) = next {
                serve(&connection, &desk);
                drop(connection);
                next = waiting.recv_timeout(READER_IDLE).ok();
            }
            count.fetch_sub(1, Ordering::Relaxed);
            drop(ends);
        };
        self.count.fetch_add(1, Ordering::Relaxed);
        let started = thread::Builder::new().name("reader".into()).stack_size(READER_STACK).spawn(reader);
        started.map(|_| ()).inspect_err(|_| {
            self.count.fetch_sub(1, Ordering::Relaxed);
        })
    }
}

/// Reads one frame, and answers.
fn serve(mut connection: &UnixStream, desk: &Desk) {
    // An older library does not read, and may have closed already.
    let _ = connection.write_all(&ack::BANNER);
    let deadline = Instant::now() + DEADLINE;
    let taken = read_frame(connection, deadline).and_then(|frame| match frame {
        Some(frame) => take(&frame, desk).map(Some),
        None => Ok(None),
    });
    let status = match taken {
        Ok(Some(())) => 0,
        Ok(None) => return,
        Err(refusal) => {
            desk.refusals.log(format_args!("a record was refused: {refusal}"));
            -(refusal.errno() as i32)
        }
    };
    let _ = connection.write_all(&ack::encode_status(status));
}

/// Reads a whole frame; `None` if the client closed without sending.
fn read_frame(connection: &UnixStream, deadline: Instant) -> Result<Option<Vec<u8>>, Refusal> {
    let mut frame = vec![0; frame::SIZE_LEN];
    if read_full(connection, &mut frame, deadline)? == 0 {
        return Ok(None);
    }
    let size = frame.first_chunk().copied().unwrap_or_default();
    frame.resize(frame::declared_len(size)?, 0);
    let rest = frame.get_mut(frame::SIZE_LEN..).unwrap_or_default();
    if read_full(connection, rest, deadline)? == 0 {
        return Err(FrameError::Incomplete.into());
    }
    Ok(Some(frame))
}

/// Fills the buffer; 0 if the connection ended before its first byte.
fn read_full(mut connection: &UnixStream, buffer: &mut [u8], deadline: Instant) -> Result<usize, Refusal> {
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(Refusal::TooSlow);
        }
        connection.set_read_timeout(Some(remaining)).map_err(Refusal::Connection)?;
        match connection.read(rest) {
            Ok(0) if len == 0 => return Ok(0),
            Ok(0) => return Err(FrameError::Incomplete.into()),
            Ok(count) => len += count,
            // Of the time-out, the deadline is looked at again.
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(Refusal::Connection(error)),
        }
    }
    Ok(len)
}

/// Makes a record of a frame and puts it in the spool.
fn take(frame: &[u8], desk: &Desk) -> Result<(), Refusal> {
    let frame = Frame::decode(frame)?;
    if frame.headers.get(Header::Classification).iter().any(u8::is_ascii_control) {
        return Err(Refusal::Classification);
    }
    if !desk.opt_in.is_given() {
        return Err(Refusal::NotOptedIn);
    }
    if let Some(path) = frame.config {
        // Looked at again when the record is sent; here, so that the sender
        // learns of it.
        record_config::load(Path::new(OsStr::from_bytes(path)))?;
    }
    let machine_id = desk.machine_id.get(SystemTime::now());
    let headers = frame.headers.with(Header::MachineId, &machine_id);
    let is_critical = headers.get(Header::Severity) == severity::CRITICAL.to_string().as_bytes();
    let file = spool_file::encode(frame.config, &headers, frame.payload);
    let urgency = if is_critical { Urgency::Critical } else { Urgency::Ordinary };
    desk.spool.store(file, urgency).map_err(Refusal::Spool)
}
