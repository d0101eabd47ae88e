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
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{UnixCredentials, getsockopt, sockopt::PeerCredentials};
use record::frame::{self, Frame, FrameError};
use record::header::Header;
use record::{ack, severity, spool_file};
use thiserror::Error;

use crate::clients::{Client, Clients};
use crate::log;
use crate::machine_id::MachineId;
use crate::opt_in::OptIn;
use crate::record_config::{self, RecordConfigError};
use crate::spool::Spool;
use crate::spool_name::Urgency;
use crate::status::{Counters, RefusalReason};
use crate::usage::StoreError;
use crate::users;

/// Longest life of a connection.
const DEADLINE: Duration = Duration::from_secs(10);
/// Connections that are read at the same time; more wait in the backlog.
const READERS_MAX: usize = 1024;
/// Those of one user, other than root and the daemon's own.
const USER_READERS_MAX: usize = READERS_MAX / 2;
/// How long a reader waits for its next connection.
const READER_IDLE: Duration = Duration::from_secs(10);
/// A reader holds one frame, on the heap.
const READER_STACK: usize = 128 * 1024;
/// Bytes that are read before a frame's length is known: most are not longer.
/// A client that stalls takes no more.
const FRAME_START: usize = 2048;
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

impl Desk {
    fn refuse(&self, mut stream: &UnixStream, sender: &UnixCredentials, refusal: &Refusal) {
        self.counters.refused(refusal.reason());
        let (uid, pid) = (sender.uid(), sender.pid());
        self.refusals.log(format_args!("a record of uid {uid} (process {pid}) was refused: {refusal}"));
        let _ = stream.write_all(&ack::encode_status(-(refusal.errno() as i32)));
    }
}

/// The listener and its readers.
pub(crate) struct Intake {
    desk: Arc<Desk>,
    clients: Clients,
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

    /// Whether nobody is connected.
    pub(crate) fn is_quiet(&self) -> bool {
        self.clients.is_empty()
    }

    /// What may change while it works.
    pub(crate) fn allow_user_config(&self, allow: bool) {
        self.desk.allow_user_config.store(allow, Ordering::Relaxed);
    }
}

/// Starts to take connections.
pub(crate) fn start(listener: UnixListener, desk: Desk) -> io::Result<Intake> {
    // Between `poll` and `accept` a client may go away.
    listener.set_nonblocking(true)?;
    let (stop, stops) = UnixStream::pair()?;
    let desk = Arc::new(desk);
    let readers = Readers::new(Arc::clone(&desk));
    let clients = readers.clients.clone();
    let thread =
        thread::Builder::new().name("listener".into()).spawn(move || accept_all(&listener, &stops, readers))?;
    Ok(Intake { desk, clients, stop, thread })
}

fn accept_all(listener: &UnixListener, stops: &UnixStream, readers: Readers) {
    while wait_for_client(listener, stops) {
        match listener.accept() {
            Ok((connection, _)) => readers.hand_over(connection),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                readers.desk.refusals.log(format_args!("accept: {error}; trying again"));
                thread::sleep(SHORTAGE_PAUSE);
            }
        }
    }
    readers.wait_for_the_last();
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
    connections: Sender<Connection>,
    waiting: Receiver<Connection>,
    count: Arc<AtomicUsize>,
    clients: Clients,
    /// Every reader holds a sender; the channel ends with the last of them.
    all_ended: (Sender<()>, Receiver<()>),
}

impl Readers {
    fn new(desk: Arc<Desk>) -> Self {
        let (connections, waiting) = bounded(0);
        Self { desk, connections, waiting, count: Arc::default(), clients: Clients::default(), all_ended: bounded(0) }
    }

    /// Gives the connection to a reader that waits, to a new one, or, when
    /// there are too many, to the first that is done.
    fn hand_over(&self, stream: UnixStream) {
        self.desk.counters.touch();
        let Ok(sender) = getsockopt(&stream, PeerCredentials) else { return };
        let max = if users::is_trusted(sender.uid()) { usize::MAX } else { USER_READERS_MAX };
        let Some(client) = self.clients.enter(sender.uid(), max) else {
            let _ = (&stream).write_all(&ack::BANNER);
            return self.desk.refuse(&stream, &sender, &Refusal::TooMany);
        };
        let connection = Connection { stream, sender, _client: client };
        let connection = match self.connections.try_send(connection) {
            Ok(()) => return,
            Err(TrySendError::Full(connection) | TrySendError::Disconnected(connection)) => connection,
        };
        if self.count.load(Ordering::Relaxed) >= READERS_MAX {
            let _ = self.connections.send(connection);
            return;
        }
        if let Err(error) = self.start(connection) {
            self.desk.refusals.log(format_args!("no thread for a connection: {error}; it is closed"));
        }
    }

    fn start(&self, connection: Connection) -> io::Result<()> {
        let (desk, waiting) = (Arc::clone(&self.desk), self.waiting.clone());
        let count = Arc::clone(&self.count);
        let ends = self.all_ended.0.clone();
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

    /// Returns when all connections that were handed over have had their
    /// answers.
    fn wait_for_the_last(self) {
        drop(self.connections);
        drop(self.waiting);
        let (ends, ended) = self.all_ended;
        drop(ends);
        let _ = ended.recv();
    }
}

/// A client, and who that is.
struct Connection {
    stream: UnixStream,
    sender: UnixCredentials,
    _client: Client,
}

/// Reads one frame, and answers.
fn serve(connection: &Connection, desk: &Desk) {
    let mut stream = &connection.stream;
    // An older library does not read, and may have closed already.
    let _ = stream.write_all(&ack::BANNER);
    let taken = match read_frame(stream, Instant::now() + DEADLINE) {
        Ok(None) => return,
        Ok(Some(frame)) => take(&frame, connection.sender.uid(), desk),
        Err(refusal) => Err(refusal),
    };
    match taken {
        Ok(()) => drop(stream.write_all(&ack::encode_status(0))),
        Err(refusal) => desk.refuse(stream, &connection.sender, &refusal),
    }
}

/// Reads a whole frame; `None` if the client closed without sending. What
/// comes behind the frame is not looked at.
fn read_frame(mut connection: &UnixStream, deadline: Instant) -> Result<Option<Vec<u8>>, Refusal> {
    let mut frame = vec![0; FRAME_START];
    let mut len = 0;
    loop {
        if let Some(size) = frame.get(..len).and_then(|read| read.first_chunk()) {
            let declared = frame::declared_len(*size)?;
            if len >= declared {
                frame.truncate(declared);
                return Ok(Some(frame));
            }
            frame.resize(declared.max(frame.len()), 0);
        }
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(Refusal::TooSlow);
        }
        connection.set_read_timeout(Some(remaining)).map_err(Refusal::Connection)?;
        match connection.read(frame.get_mut(len..).unwrap_or_default()) {
            Ok(0) if len == 0 => return Ok(None),
            Ok(0) => return Err(FrameError::Incomplete.into()),
            Ok(read) => len += read,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(Refusal::Connection(error)),
        }
    }
}

/// Makes a record of a frame and puts it in the spool.
fn take(frame: &[u8], uid: u32, desk: &Desk) -> Result<(), Refusal> {
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
        let user = desk.allow_user_config.load(Ordering::Relaxed).then_some(uid);
        record_config::load(Path::new(OsStr::from_bytes(path)), user)?;
    }
    let machine_id = desk.machine_id.get(SystemTime::now());
    let headers = frame.headers.with(Header::MachineId, &machine_id);
    let is_critical = headers.get(Header::Severity) == severity::CRITICAL.to_string().as_bytes();
    let file = spool_file::encode(frame.config, &headers, frame.payload);
    let urgency = if is_critical { Urgency::Critical } else { Urgency::Ordinary };
    desk.spool.store(file, urgency, uid).map_err(Refusal::Spool)?;
    desk.counters.accepted();
    let classification = headers.get(Header::Classification);
    log::info(format_args!("taken from uid {uid}: {}", String::from_utf8_lossy(classification)));
    Ok(())
}
