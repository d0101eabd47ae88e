//! The daemon's end of the socket, as far as a test of the library needs one.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use sandbox::Sandbox;

/// Reads one whole frame.
pub fn read_frame(connection: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    connection.read_exact(&mut size)?;
    let mut frame = size.to_vec();
    frame.resize(record::frame::declared_len(size).map_err(io::Error::other)?, 0);
    connection.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// Takes a frame and acknowledges it.
pub fn acknowledge(mut connection: UnixStream) -> io::Result<Vec<u8>> {
    connection.write_all(b"TMA1")?;
    let frame = read_frame(&mut connection)?;
    connection.write_all(&[0; 4])?;
    Ok(frame)
}

/// Listens at `path` of the sandbox, and handles each connection in a thread.
pub fn listen(sandbox: &Sandbox, path: &str, handle: impl Fn(UnixStream) + Clone + Send + 'static) {
    let listener = UnixListener::bind(sandbox.path(path)).expect("a socket in the sandbox");
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let handle = handle.clone();
            thread::spawn(move || handle(connection));
        }
    });
}

/// Listens at the default path and acknowledges all frames.
pub fn listen_and_acknowledge(sandbox: &Sandbox) {
    listen(sandbox, "/run/telem-0", |connection| {
        // A sender that went away takes its connection with it.
        let _ = acknowledge(connection);
    });
}
