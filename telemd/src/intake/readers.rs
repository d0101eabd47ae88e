//! Readers: threads for clients whose frame is not there when they connect, or
//! takes long, so that one that stalls delays nobody. They stay a while for the
//! next connection.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use record::ack;
use record::frame::{self, Frame, FrameError};

use super::desk::{Desk, Peer, Refusal};
use crate::clients::{Client, Clients};
use crate::users;

/// Longest life of a connection.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// Connections that are read at the same time; more wait in the backlog.
const READERS_MAX: usize = 1024;
/// Those of one user, other than root and the daemon's own.
pub(super) const USER_READERS_MAX: usize = READERS_MAX / 2;
/// How long a reader waits for its next connection.
const READER_IDLE: Duration = Duration::from_secs(10);
/// A reader holds one frame, on the heap.
const READER_STACK: usize = 128 * 1024;
/// Bytes that are read before a frame's length is known: most are not longer.
/// A client that stalls takes no more.
const FRAME_START: usize = 2048;

/// The threads that read connections.
pub(super) struct Readers {
    pub(super) desk: Arc<Desk>,
    /// Holds nothing: a connection is handed to a reader that waits, or not.
    connections: Sender<Connection>,
    waiting: Receiver<Connection>,
    count: Arc<AtomicUsize>,
    pub(super) clients: Clients,
    /// Every reader holds a sender; the channel ends with the last of them.
    all_ended: (Sender<()>, Receiver<()>),
}

impl Readers {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        let (connections, waiting) = bounded(0);
        Self { desk, connections, waiting, count: Arc::default(), clients: Clients::default(), all_ended: bounded(0) }
    }

    /// Gives the connection to a reader that waits, to a new one, or, when
    /// there are too many, to the first that is done.
    pub(super) fn hand_over(&self, peer: Peer, errand: Errand) {
        let max = if users::is_trusted(peer.uid()) { usize::MAX } else { USER_READERS_MAX };
        let Some(client) = self.clients.enter(peer.uid(), max) else {
            self.desk.answer(&peer, &ack::BANNER, Err(Refusal::TooMany));
            return;
        };
        let connection = Connection { peer, errand, _client: client };
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
                if connection.errand == Errand::Serve {
                    serve(&connection.peer, &desk);
                }
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
    pub(super) fn wait_for_the_last(self) {
        drop(self.connections);
        drop(self.waiting);
        let (ends, ended) = self.all_ended;
        drop(ends);
        let _ = ended.recv();
    }
}

/// What a reader is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Serve,
    /// The client has its answer, and closing may take long.
    Close,
}

/// A client, and its place.
struct Connection {
    peer: Peer,
    errand: Errand,
    _client: Client,
}

/// Reads one frame, and answers.
fn serve(peer: &Peer, desk: &Desk) {
    let mut stream = &peer.stream;
    // First: a client that has not been greeted when its frame was read, takes
    // the end of the connection for the acknowledgement of an old daemon.
    let _ = stream.write_all(&ack::BANNER);
    let taken = match read_frame(stream, Instant::now() + DEADLINE) {
        Ok(None) => return,
        Ok(Some(frame)) => Frame::decode(&frame).map_err(Into::into).and_then(|frame| desk.take(&frame, peer.uid())),
        Err(refusal) => Err(refusal),
    };
    desk.answer(peer, &[], taken);
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
