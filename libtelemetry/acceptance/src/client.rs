//! A client that writes its frames itself, right or wrong ones, and at its own
//! pace.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use record::ack::{self, Answer};
use record::frame::Outgoing;
use record::header::Header;
use sandbox::Sandbox;

/// The values of the worked example of the format, but for the severity.
fn value(header: Header, severity: &'static str) -> &'static str {
    match header {
        Header::RecordFormatVersion => "4",
        Header::Classification => "org.example/demo/ping",
        Header::Severity => severity,
        Header::MachineId => "FFFFFFFF",
        Header::CreationTimestamp => "1700000000",
        Header::Arch => "x86_64",
        Header::HostType => "ACME|Box|1.0",
        Header::Build => "42",
        Header::KernelVersion => "6.1.0",
        Header::PayloadFormatVersion => "1",
        Header::SystemName => "exampleos",
        Header::BoardName => "B1|ACME",
        Header::CpuModel => "Demo CPU",
        Header::BiosVersion => "F1",
        Header::EventId => "0123456789abcdef0123456789abcdef",
    }
}

/// The header block of the worked example.
pub fn header_block(severity: &'static str) -> Vec<u8> {
    Header::ALL.map(|header| format!("{}: {}\n", header.name(), value(header, severity))).concat().into_bytes()
}

/// A frame as the library writes it.
pub fn frame(config: Option<&[u8]>, severity: &'static str, payload: &[u8]) -> Vec<u8> {
    let outgoing = Outgoing { config, header_lines: &[&header_block(severity)], payload };
    let mut frame = vec![0; outgoing.encoded_len().expect("it is not too long")];
    outgoing.encode(&mut frame).expect("it has its length");
    frame
}

/// A connection to the telemd of a sandbox.
pub fn connect(sandbox: &Sandbox) -> UnixStream {
    let connection = UnixStream::connect(sandbox.path("/run/telem-0")).expect("telemd listens");
    connection.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    connection
}

/// Writes all these bytes and no more; the status that telemd answers, if it
/// does.
pub fn send(sandbox: &Sandbox, bytes: &[u8]) -> Option<i32> {
    let mut connection = connect(sandbox);
    // What is wrong from its first bytes on is not read to its end.
    let _ = connection.write_all(bytes);
    let _ = connection.shutdown(Shutdown::Write);
    status(connection).expect("an answer, or the end, within the time")
}

/// Reads the answer to its end.
pub fn status(mut connection: UnixStream) -> io::Result<Option<i32>> {
    let mut answer = Vec::new();
    match connection.read_to_end(&mut answer) {
        // After what it did not read, the end of the connection is a reset.
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => return Err(error),
        _ => {}
    }
    Ok(match ack::decode(&answer) {
        Answer::Status(status) => Some(status),
        _ => None,
    })
}
