//! Intake: from a connection to a record in the spool, and the answer.
//!
//! The listener serves those who have sent their frame already, and hands all
//! others to readers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, getsockopt, recv, sockopt::PeerCredentials};
use record::ack;
use record::frame::{self, Frame};

pub(crate) use self::desk::Desk;
use self::desk::Peer;
use self::readers::Readers;
use crate::clients::Clients;

mod desk;
mod readers;

/// Clients that may be about to send their frame.
const NEWCOMERS_MAX: usize = 32;
/// How long each may be, before a reader waits for it.
const NEWCOMER_PATIENCE: Duration = Duration::from_millis(5);
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
    let listener =
        Listener { socket: listener, stops, readers, newcomers: VecDeque::new(), frame: vec![0; frame::MAX] };
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
}

impl Listener {
    fn run(mut self) {
        while let Some(comers) = self.wait() {
            self.serve_newcomers(&comers.newcomers);
            if comers.has_new {
                self.accept();
            }
        }
        for (peer, _) in std::mem::take(&mut self.newcomers) {
            self.readers.hand_over(peer);
        }
        self.readers.wait_for_the_last();
    }

    /// Waits for a client, as long as none is about to leave for a reader;
    /// `None` when it is time to stop.
    fn wait(&self) -> Option<Comers> {
        let wanted = PollFlags::POLLIN;
        let timeout = self.newcomers.front().map_or(PollTimeout::NONE, |(_, until)| {
            // Rounded up, so that the time has come afterwards.
            let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            left.try_into().unwrap_or(PollTimeout::ZERO)
        });
        let streams = self.newcomers.iter().map(|(peer, _)| peer.stream.as_fd());
        let descriptors = [self.stops.as_fd(), self.socket.as_fd()].into_iter().chain(streams);
        let mut polled: Vec<_> = descriptors.map(|descriptor| PollFd::new(descriptor, wanted)).collect();
        // Interrupted: `accept` tells that nobody is there.
        let _ = poll(&mut polled, timeout);
        let mut comes = polled.iter().map(|descriptor| descriptor.any().unwrap_or(true));
        match comes.next() {
            Some(true) => None,
            _ => Some(Comers { has_new: comes.next().unwrap_or(true), newcomers: comes.collect() }),
        }
    }

    /// Serves those who sent something; who has not for too long gets a reader.
    fn serve_newcomers(&mut self, have_sent: &[bool]) {
        let now = Instant::now();
        for has_sent in have_sent {
            let Some((peer, until)) = self.newcomers.pop_front() else { return };
            match () {
                () if *has_sent && self.serve_at_once(&peer) => {}
                () if *has_sent || until <= now => self.readers.hand_over(peer),
                () => self.newcomers.push_back((peer, until)),
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
        if self.serve_at_once(&peer) {
            return;
        }
        self.newcomers.push_back((peer, Instant::now() + NEWCOMER_PATIENCE));
        if self.newcomers.len() > NEWCOMERS_MAX {
            if let Some((peer, _)) = self.newcomers.pop_front() {
                self.readers.hand_over(peer);
            }
        }
    }

    /// Most clients have sent their frame when they are accepted, and need no
    /// thread of their own. Tells whether this was one of them.
    fn serve_at_once(&mut self, peer: &Peer) -> bool {
        let socket = peer.stream.as_raw_fd();
        // Left in the socket until the client has its answer: if telemd ends
        // before, the kernel resets the connection, and the client knows.
        let Ok(len) = recv(socket, &mut self.frame, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) else { return false };
        let Some(frame) = self.frame.get(..len).and_then(whole_frame) else { return false };
        let desk = &self.readers.desk;
        let taken = match Frame::decode(frame) {
            Ok(frame) if desk.takes_long(&frame) => return false,
            Ok(frame) => desk.take(&frame, peer.uid()),
            Err(error) => Err(error.into()),
        };
        let len = frame.len();
        desk.answer(peer, &ack::BANNER, taken);
        let _ = recv(socket, self.frame.get_mut(..len).unwrap_or_default(), MsgFlags::MSG_DONTWAIT);
        true
    }
}

/// Who has something for the listener.
struct Comers {
    /// Whether somebody connected.
    has_new: bool,
    /// Of each newcomer, whether something was sent.
    newcomers: Vec<bool>,
}

/// The frame at the start of what a client sent, if it is whole.
fn whole_frame(sent: &[u8]) -> Option<&[u8]> {
    let declared = frame::declared_len(*sent.first_chunk()?).ok()?;
    sent.get(..declared)
}
