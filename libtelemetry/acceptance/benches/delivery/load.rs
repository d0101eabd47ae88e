//! Programs that send records, by the installed library: `c/load.c`.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use libtelemetry_acceptance::Program;
use sandbox::Sandbox;

/// How records are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Processes that send at the same time.
    pub(crate) senders: u64,
    /// Records of each.
    pub(crate) count: u64,
    /// Bytes of a record's payload.
    pub(crate) payload: usize,
    /// Time from one record of a sender to its next; zero: as soon as the one
    /// before was acknowledged.
    pub(crate) interval: Duration,
}

impl Plan {
    /// Records of all senders.
    pub(crate) fn records(self) -> u64 {
        self.senders * self.count
    }
}

/// Senders that are ready to start.
pub(crate) struct Load {
    child: Child,
    /// They start when it ends.
    go: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What became of them.
pub(crate) struct Sent {
    pub(crate) started: Instant,
    /// When the last record was acknowledged.
    pub(crate) acknowledged: Instant,
    /// How long each acknowledgement took, shortest first.
    pub(crate) latencies: Vec<Duration>,
}

impl Load {
    pub(crate) fn prepare(sandbox: &Sandbox, program: &Program, plan: Plan) -> Self {
        let numbers = [plan.senders, plan.count, plan.payload as u64, plan.interval.as_micros() as u64];
        let mut command = sandbox.command(&program.path);
        command.args(numbers.map(|number| number.to_string())).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("bwrap");
        let go = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut load = Self { child, go, output };
        load.expect("ready");
        load
    }

    fn expect(&mut self, word: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the output of the senders");
        assert_eq!(line.trim(), word, "the senders end early; telemd has refused a record, or is gone");
    }

    /// Starts them, and waits until every record was acknowledged.
    pub(crate) fn run(mut self) -> Sent {
        let started = Instant::now();
        drop(self.go.take());
        self.expect("done");
        let acknowledged = Instant::now();
        let nanoseconds = self.output.lines().map(|line| line.expect("a line").parse().expect("nanoseconds"));
        let mut latencies: Vec<_> = nanoseconds.map(Duration::from_nanos).collect();
        latencies.sort();
        assert!(self.child.wait().expect("bwrap").success());
        Sent { started, acknowledged, latencies }
    }
}

impl Sent {
    /// The time within which so many hundredths of the records were
    /// acknowledged.
    pub(crate) fn percentile(&self, hundredths: usize) -> Duration {
        let rank = (self.latencies.len() * hundredths).div_ceil(100).max(1);
        self.latencies[rank - 1]
    }
}
