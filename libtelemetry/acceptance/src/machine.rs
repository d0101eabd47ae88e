//! A machine as its administrator set it up, and the collector that its records
//! go to.

use std::fs;
use std::time::Duration;

use collector::{Collector, Received};
use sandbox::Sandbox;

/// The directory of the spool, in the sandbox.
pub const SPOOL: &str = "/var/spool/telemetry";
/// Where records go that nobody will ever take.
pub const REJECTED: &str = "/var/spool/rejected";

/// An opted-in machine whose records go to a collector.
pub struct Machine {
    /// Its files.
    pub sandbox: Sandbox,
    /// Where its records go.
    pub collector: Collector,
}

impl Machine {
    /// A machine on which neither rates nor shares bound what is delivered, and
    /// records arrive one after the other.
    pub fn new(assignments: &str) -> Self {
        let collector = Collector::start().expect("a port of the loopback interface");
        let sandbox = Sandbox::new();
        sandbox.opt_in();
        sandbox.configure(&format!(
            "server={}\nrate_limit_enabled=false\nspool_user_share=100\ndelivery_connections=1\n{assignments}",
            collector.url()
        ));
        Self { sandbox, collector }
    }

    /// The next request.
    pub fn receive(&self) -> Received {
        self.collector.received().recv_timeout(Duration::from_secs(30)).expect("a record arrives")
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
}
