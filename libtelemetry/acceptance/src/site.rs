//! A machine whose records go to a collector, by a door that can be shut.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::machine::frame;
use collector::door::Door;
use collector::{Collector, Received};
use sandbox::{Sandbox, Telemd, wait_until};

/// An opted-in machine, and the collector that its configuration names.
pub struct Site {
    /// The machine.
    pub sandbox: Sandbox,
    /// The address that the machine knows.
    pub door: Door,
    /// Where it leads to.
    pub collector: Collector,
}

impl Site {
    /// The door is open.
    pub fn new(collector: Collector) -> Self {
        let door = Door::to(collector.address()).expect("a port");
        let site = Self { sandbox: Sandbox::new(), door, collector };
        site.sandbox.opt_in();
        site.configure("");
        site
    }

    /// Writes the configuration file: the server, and these lines.
    pub fn configure(&self, assignments: &str) {
        self.sandbox.configure(&format!("server={}\n{assignments}", self.collector.url_by(self.door.address())));
    }

    /// Hands a record to telemd, which acknowledges it.
    pub fn send(&self, payload: &str) {
        let mut connection = UnixStream::connect(self.sandbox.path("/run/telem-0")).expect("telemd listens");
        connection.write_all(&frame("org.example/demo/ping", payload.as_bytes())).expect("telemd reads");
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).expect("telemd answers");
        assert_eq!(record::ack::decode(&answer), record::ack::Answer::Status(0), "{payload}");
    }

    /// Waits until the collector has taken so many records; requests that it
    /// answered otherwise are none.
    pub fn take(&self, count: usize, patience: Duration) -> Vec<Received> {
        let deadline = Instant::now() + patience;
        let mut taken = Vec::new();
        while taken.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            let received = self.collector.received().recv_timeout(left);
            let received = received.unwrap_or_else(|_| panic!("{} of {count} records came", taken.len()));
            if (200..300).contains(&received.status) {
                taken.push(received);
            }
        }
        taken
    }

    /// Waits until nothing is left to be sent.
    pub fn wait_until_the_spool_is_empty(&self) {
        wait_until("the spool is empty", || self.spooled() == 0);
    }

    /// Records that wait.
    pub fn spooled(&self) -> usize {
        fs::read_dir(self.sandbox.path("/var/spool/telemetry")).expect("the spool").count()
    }
}

/// Waits until telemd wrote this; panics with all that it wrote.
pub fn wait_for_log(telemd: &Telemd, text: &str, patience: Duration) {
    let deadline = Instant::now() + patience;
    while !telemd.log().contains(text) {
        assert!(Instant::now() < deadline, "{text:?} is not in: {}", telemd.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The payloads of requests, sorted: records may overtake each other.
pub fn payloads(received: &[Received]) -> Vec<String> {
    let bodies = received.iter().map(|received| String::from_utf8_lossy(&received.body).into_owned());
    let mut payloads: Vec<String> = bodies.map(|body| body.trim_end().to_owned()).collect();
    payloads.sort();
    payloads
}
