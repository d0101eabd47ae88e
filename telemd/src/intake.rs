//! Intake: from a connection to a record in the spool, and the answer.
//!
//! The listener serves those who have sent their frame already, and hands all
//! others to readers.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, getsockopt, recv, recvmsg, sockopt::PeerCredentials};
use record::ack;
use record::frame::{self, Frame};

pub(crate) use self::desk::Desk;
use self::desk::Peer;
use self::readers::{Errand, Readers};
use crate::clients::Clients;

mod desk;
mod readers;

/// Clients that may be about to send their frame.
const NEWCOMERS_MAX: usize = 32;
/// How long each may be, before a reader waits for it.
const NEWCOMER_PATIENCE: Duration = Duration::from_millis(5);
/// A store that takes longer says that the disk is slow: then clients are read
/// side by side for a while, each user as many as may be.
const SLOW: Duration = Duration::from_millis(10);
const SLOW_PERIOD: Duration = Duration::from_secs(1);
/// Pause when descriptors are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

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
    let newcomers = VecDeque::new();
    let frame = vec![0; frame::MAX];
    let listener = Listener { socket: listener, stops, readers, newcomers, frame, slow_until: Instant::now() };
    let thread = thread::Builder::new().name("listener".into()).spawn(move || listener.run())?;
    Ok(Intake { desk, clients, stop, thread })
}

/// Accepts connections, and serves at once those whose frame comes at once.
struct Listener {
    socket: UnixListener,
    stops: UnixStream,
    readers: Readers,
    /// Clients whose frame is not there yet, and until when each may stay: as
    /// a rule, they are about to send it.
    newcomers: VecDeque<(Peer, Instant)>,
    /// Room for one frame.
    frame: Vec<u8>,
    /// Until then the disk counts as slow, and nothing is stored by this
    /// thread.
    slow_until: Instant,
}

/// What became of a client that the listener looked at.
enum Look {
    Served,
    /// Its frame is not there yet.
    NotYet,
    /// A reader is to serve it, or to close its connection.
    HandOver(Errand),
}

impl Listener {
    fn run(mut self) {
        while let Some(has_sent) = self.wait() {
            let (newcomers, socket) = has_sent.split_at(self.newcomers.len());
            self.look_at_newcomers(newcomers);
            if socket != [false] {
                self.accept();
            }
        }
        for (peer, _) in std::mem::take(&mut self.newcomers) {
            self.readers.hand_over(peer, Errand::Serve);
        }
        self.readers.wait_for_the_last();
    }

    /// Waits for a client, as long as none is about to leave for a reader. For
    /// each newcomer, and then for the socket, whether there is something;
    /// `None` when it is time to stop.
    fn wait(&self) -> Option<Vec<bool>> {
        let timeout = self.newcomers.front().map_or(PollTimeout::NONE, |(_, until)| {
            // Rounded up, so that the time has come afterwards.
            let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            left.try_into().unwrap_or(PollTimeout::ZERO)
        });
        let streams = self.newcomers.iter().map(|(peer, _)| peer.stream.as_fd());
        let descriptors = streams.chain([self.socket.as_fd(), self.stops.as_fd()]);
        let mut polled: Vec<_> = descriptors.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)).collect();
        // Interrupted: nothing is there.
        let _ = poll(&mut polled, timeout);
        let mut there: Vec<_> = polled.iter().map(|descriptor| descriptor.any().unwrap_or(true)).collect();
        let must_stop = there.pop()?;
        (!must_stop).then_some(there)
    }

    /// Serves those who sent something; who has not for too long gets a reader.
    fn look_at_newcomers(&mut self, has_sent: &[bool]) {
        let now = Instant::now();
        for has_sent in has_sent {
            let Some((peer, until)) = self.newcomers.pop_front() else { return };
            match if *has_sent { self.look_at(&peer) } else { Look::NotYet } {
                Look::Served => {}
                Look::NotYet if !has_sent && now < until => self.newcomers.push_back((peer, until)),
                Look::NotYet => self.readers.hand_over(peer, Errand::Serve),
                Look::HandOver(errand) => self.readers.hand_over(peer, errand),
            }
        }
    }

    fn accept(&mut self) {
        match self.socket.accept() {
            Ok((stream, _)) => self.welcome(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                self.readers.desk.refusals.log(format_args!("accept: {error}; trying again"));
                thread::sleep(SHORTAGE_PAUSE);
            }
        }
    }

    fn welcome(&mut self, stream: UnixStream) {
        self.readers.desk.counters.touch();
        let Ok(credentials) = getsockopt(&stream, PeerCredentials) else { return };
        let peer = Peer { stream, credentials };
        match self.look_at(&peer) {
            Look::Served => {}
            Look::NotYet => self.newcomers.push_back((peer, Instant::now() + NEWCOMER_PATIENCE)),
            Look::HandOver(errand) => self.readers.hand_over(peer, errand),
        }
        if self.newcomers.len() > NEWCOMERS_MAX {
            if let Some((peer, _)) = self.newcomers.pop_front() {
                self.readers.hand_over(peer, Errand::Serve);
            }
        }
    }

    /// Most clients have sent their frame when they are accepted, and need no
    /// thread of their own.
    fn look_at(&mut self, peer: &Peer) -> Look {
        // Left in the socket until the client has its answer: if telemd ends
        // before, the kernel resets the connection, and the client knows.
        let sent = match peek(&peer.stream, &mut self.frame) {
            Peeked::Bytes(len) => self.frame.get(..len).unwrap_or_default(),
            Peeked::Nothing => return Look::NotYet,
            Peeked::Descriptors => return Look::HandOver(Errand::Serve),
        };
        let Some(frame) = whole_frame(sent) else { return Look::HandOver(Errand::Serve) };
        let desk = &self.readers.desk;
        let start = Instant::now();
        let taken = match Frame::decode(frame) {
            Ok(frame) if start < self.slow_until || desk.takes_long(&frame) => return Look::HandOver(Errand::Serve),
            Ok(frame) => desk.take(&frame, peer.uid()),
            Err(error) => Err(error.into()),
        };
        if start.elapsed() > SLOW {
            self.slow_until = start + SLOW_PERIOD;
        }
        let len = frame.len();
        if !desk.answer(peer, &ack::BANNER, taken) {
            // With what it sent unread, the end of the connection is a reset.
            return Look::Served;
        }
        let _ = recv(peer.stream.as_raw_fd(), self.frame.get_mut(..len).unwrap_or_default(), MsgFlags::MSG_DONTWAIT);
        // What comes behind the frame is closed with the connection, and may be
        // descriptors, which take as long to close as their maker wants.
        let _ = peer.stream.shutdown(Shutdown::Read);
        match peek(&peer.stream, &mut self.frame) {
            Peeked::Bytes(0) | Peeked::Nothing => Look::Served,
            Peeked::Bytes(_) | Peeked::Descriptors => Look::HandOver(Errand::Close),
        }
    }
}

/// What waits in a socket.
enum Peeked {
    /// So many bytes; none: it has come to its end.
    Bytes(usize),
    Nothing,
    /// Descriptors, too.
    Descriptors,
}

/// Looks into a socket, and leaves everything there. Without room for them,
/// descriptors are not made ours, and the kernel says so.
fn peek(stream: &UnixStream, buffer: &mut [u8]) -> Peeked {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    match recvmsg::<()>(stream.as_raw_fd(), &mut [IoSliceMut::new(buffer)], None, flags) {
        Ok(message) if message.flags.contains(MsgFlags::MSG_CTRUNC) => Peeked::Descriptors,
        Ok(message) => Peeked::Bytes(message.bytes),
        Err(_) => Peeked::Nothing,
    }
}

/// The frame at the start of what a client sent, if it is whole.
fn whole_frame(sent: &[u8]) -> Option<&[u8]> {
    let declared = frame::declared_len(*sent.first_chunk()?).ok()?;
    sent.get(..declared)
}
