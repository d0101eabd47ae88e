//! A machine with telemetry, and a client that speaks to its telemd as any
//! local program may.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use collector::{Collector, Received};
use record::header::Header;
use sandbox::Sandbox;

/// The directory of the spool, in the sandbox.
pub const SPOOL: &str = "/var/spool/telemetry";
/// Where records go that nobody will ever take.
pub const REJECTED: &str = "/var/spool/rejected";
/// How long a test waits for what takes a moment.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// An opted-in machine whose records go to a collector.
pub struct Machine {
    /// Its private root.
    pub sandbox: Sandbox,
    /// Where its records go.
    pub collector: Collector,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// Opted in; telemd does not run yet.
    pub fn new() -> Self {
        let collector = Collector::start().unwrap();
        let sandbox = Sandbox::new();
        sandbox.opt_in();
        sandbox.configure(&format!("server={}", collector.url()));
        Self { sandbox, collector }
    }

    /// A machine on which neither rates nor shares bound what is delivered, and
    /// records arrive one after the other; and these lines of configuration.
    pub fn configured(assignments: &str) -> Self {
        let machine = Self::new();
        machine.sandbox.configure(&format!(
            "server={}\nrate_limit_enabled=false\nspool_user_share=100\ndelivery_connections=1\n{assignments}",
            machine.collector.url()
        ));
        machine
    }

    /// The names in a directory, in their order.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.sandbox.path(directory)) else { return Vec::new() };
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("names are ASCII");
        let mut names: Vec<String> = entries.map(|entry| name(entry.expect("it can be read"))).collect();
        names.sort();
        names
    }

    /// The spool files, without what readers skip.
    pub fn spooled(&self) -> Vec<String> {
        self.names(SPOOL).into_iter().filter(|name| !name.starts_with('.')).collect()
    }

    /// The records that were rejected, without what is noted of them.
    pub fn rejected(&self) -> Vec<String> {
        self.names(REJECTED).into_iter().filter(|name| !name.starts_with('.')).collect()
    }

    /// The next record that arrives.
    pub fn receive(&self) -> Received {
        self.collector.received().recv_timeout(PATIENCE).expect("a record arrives")
    }

    /// The journal, empty if there is none.
    pub fn journal(&self) -> String {
        fs::read_to_string(self.sandbox.path("/var/log/telemetry/journal")).unwrap_or_default()
    }

    /// The files of the spool.
    pub fn spool(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.sandbox.path("/var/spool/telemetry")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Writes pieces to telemd, a little apart; what it answers, if it does.
    pub fn status_of(&self, pieces: &[&[u8]]) -> Option<i32> {
        let mut connection = UnixStream::connect(self.sandbox.path("/run/telem-0")).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        for piece in pieces {
            connection.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
        let mut answer = Vec::new();
        // After what it did not read, the end of the connection is a reset.
        let _ = connection.read_to_end(&mut answer);
        match record::ack::decode(&answer) {
            record::ack::Answer::Status(status) => Some(status),
            _ => None,
        }
    }
}

/// A whole frame, as any local program may write it.
pub fn frame(classification: &str, payload: &[u8]) -> Vec<u8> {
    let value = |header| match header {
        Header::Classification => classification,
        Header::EventId => "0123456789abcdef0123456789abcdef",
        _ => "1",
    };
    let lines = Header::ALL.map(|header| format!("{}: {}\n", header.name(), value(header)).into_bytes());
    let header_lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let outgoing = record::frame::Outgoing { config: None, header_lines: &header_lines, payload };
    let mut frame = vec![0; outgoing.encoded_len().unwrap()];
    outgoing.encode(&mut frame).unwrap();
    frame
}
