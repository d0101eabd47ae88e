//! The client's end of the socket: one connection, one frame, one answer.

use record::ack::{self, Answer};
use record::frame::Outgoing;

use crate::debug_log::failure;
use crate::settings::{self, ChosenFile};
use crate::sys::{Deadline, Errno, Heap, Socket};

/// Longest time to wait for a place in the daemon's backlog.
const CONNECT_MILLISECONDS: u16 = 1000;
/// Longest time without progress while the frame is written.
const WRITE_MILLISECONDS: u16 = 1000;
/// Longest time to wait for the acknowledgement: a daemon that its socket
/// starts may have to come up first.
const ACKNOWLEDGE_MILLISECONDS: u16 = 5000;

/// Hands a record to the daemon and waits until it is in the spool.
pub(crate) fn send(header_lines: &[&[u8]], payload: &[u8]) -> Result<(), Errno> {
    let socket = Socket::new().map_err(|errno| failure(c"socket", errno))?;
    let chosen = ChosenFile::current()?;
    let socket_path = settings::socket_path(chosen.path())?;
    socket
        .connect(socket_path.as_bytes(), CONNECT_MILLISECONDS)
        .map_err(|errno| failure(c"connection to telemd", errno))?;
    let frame = Outgoing { config: chosen.path().map(|path| path.to_bytes()), header_lines, payload };
    let mut bytes = Heap::zeroed(frame.encoded_len().ok_or(Errno(libc::EMSGSIZE))?)?;
    frame.encode(bytes.bytes_mut()).map_err(|_| Errno(libc::EMSGSIZE))?;
    write(&socket, bytes.bytes()).map_err(|errno| failure(c"sending to telemd", errno))?;
    await_status(&socket).map_err(|errno| failure(c"acknowledgement of telemd", errno))
}

fn write(socket: &Socket, mut frame: &[u8]) -> Result<(), Errno> {
    while !frame.is_empty() {
        match socket.send(frame) {
            Ok(count) => frame = frame.get(count..).unwrap_or_default(),
            Err(errno @ Errno(libc::EAGAIN)) => {
                if !socket.wait_writable(Deadline::after(WRITE_MILLISECONDS))? {
                    return Err(errno);
                }
            }
            // A daemon that refuses a record before its end says why.
            Err(errno) => return Err(early_refusal(socket).unwrap_or(errno)),
        }
    }
    Ok(())
}

fn early_refusal(socket: &Socket) -> Option<Errno> {
    let mut answer = [0; ack::LEN];
    let len = socket.receive(&mut answer).ok()?;
    match ack::decode(answer.get(..len)?) {
        Answer::Status(status) if status < 0 => Some(Errno(status.saturating_neg())),
        _ => None,
    }
}

fn await_status(socket: &Socket) -> Result<(), Errno> {
    let deadline = Deadline::after(ACKNOWLEDGE_MILLISECONDS);
    let mut answer = [0; ack::LEN];
    let mut len = 0usize;
    loop {
        if !socket.wait_readable(deadline)? {
            return Err(Errno(libc::ETIMEDOUT));
        }
        match socket.receive(answer.get_mut(len..).unwrap_or_default()) {
            // A daemon without acknowledgements closes when it has read all.
            Ok(0) if len == 0 => return Ok(()),
            Ok(0) => return Err(Errno(libc::ECONNRESET)),
            Ok(count) => len = len.saturating_add(count),
            Err(Errno(libc::EAGAIN)) => {}
            Err(errno) => return Err(errno),
        }
        match ack::decode(answer.get(..len).unwrap_or_default()) {
            Answer::Incomplete => {}
            Answer::Status(0) => return Ok(()),
            Answer::Status(status) => return Err(Errno(status.saturating_neg())),
            Answer::Foreign => return Err(Errno(libc::EPROTO)),
        }
    }
}
