//! What is measured, and how: each experiment has a sink, a machine and a
//! telemd of its own.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use libtelemetry_acceptance::Program;
use sandbox::{Sandbox, Telemd};

use crate::ceiling::{self, LookUp};
use crate::load::{Load, Plan, Sent};
use crate::sink::{Connections, Scheme, Sink};

/// Bytes of a record's payload.
const PAYLOAD: usize = 1024;
/// Records of an experiment.
const RECORDS: u64 = 20_000;
/// Records of an experiment in which every record has a connection of its own.
const RECORDS_CLOSED: u64 = 5_000;
/// Enough to keep telemd busy: with twice as many it takes no more.
const SENDERS: u64 = 8;
const PACED_SENDERS: u64 = 4;
/// Records that come each second from paced senders.
const PACE: u64 = 1_000;
const PACED_SECONDS: u64 = 10;
/// Time for the records of an experiment to arrive.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two looks at the sink: much less than an experiment takes, and
/// seldom enough to cost it nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What an experiment prints.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What is wanted over HTTPS and HTTP; may be empty.
    pub(crate) target: &'static str,
}

/// Gives a figure for each row.
pub(crate) struct Experiment {
    pub(crate) name: &'static str,
    pub(crate) rows: &'static [Row],
    pub(crate) run: fn(&Workshop, Scheme) -> Vec<f64>,
}

const fn row(name: &'static str) -> Row {
    Row { name, target: "" }
}

/// All of them, in the order of the table.
pub(crate) const EXPERIMENTS: [Experiment; 8] = [
    Experiment {
        name: "file",
        rows: &[row("a file in the spool: create, write, rename, remove; µs")],
        run: |_, _| vec![microseconds(file_cost())],
    },
    Experiment {
        name: "ceiling",
        rows: &[row("ceiling: ureq, 2 kept connections, nothing else; records/s")],
        run: |_, scheme| vec![ceiling(scheme, Connections::Kept, LookUp::ForEveryRequest, RECORDS)],
    },
    Experiment {
        name: "ceiling-known",
        rows: &[row("  the same, the address looked up once; records/s")],
        run: |_, scheme| vec![ceiling(scheme, Connections::Kept, LookUp::Once, RECORDS)],
    },
    Experiment {
        name: "end-to-end",
        rows: &[
            Row { name: "telemd, first send to last delivery; records/s", target: "≥ 6,000, ≥ 7,000" },
            row("  meanwhile acknowledged to the senders; records/s"),
        ],
        run: |workshop, scheme| workshop.end_to_end(scheme, Connections::Kept, RECORDS),
    },
    Experiment {
        name: "drain",
        rows: &[row("telemd, all spooled when the server comes; records/s")],
        run: |workshop, scheme| vec![workshop.drain(scheme)],
    },
    Experiment {
        name: "ceiling-closed",
        rows: &[row("ceiling, a connection for every record; records/s")],
        run: |_, scheme| vec![ceiling(scheme, Connections::Closed, LookUp::ForEveryRequest, RECORDS_CLOSED)],
    },
    Experiment {
        name: "end-to-end-closed",
        rows: &[row("telemd, a connection for every record; records/s")],
        run: |workshop, scheme| {
            let mut figures = workshop.end_to_end(scheme, Connections::Closed, RECORDS_CLOSED);
            figures.truncate(1);
            figures
        },
    },
    Experiment {
        name: "paced",
        rows: &[
            Row { name: "tm_send_record at a pace: median, µs", target: "≤ 150" },
            Row { name: "  99 of 100 within, µs", target: "≤ 2,000" },
        ],
        run: Workshop::paced,
    },
];

/// What was done, for the head of the table.
pub(crate) fn description() -> String {
    format!(
        "{RECORDS} records of {PAYLOAD} bytes from {SENDERS} senders ({RECORDS_CLOSED} if each has a connection of its \
         own);\nat a pace: {PACED_SENDERS} senders, together {PACE} records a second, for {PACED_SECONDS} s"
    )
}

/// What a record costs the file system at least. Some grow slow with the number
/// of files that were removed lately, and all that is spooled with them.
fn file_cost() -> Duration {
    const FILES: u32 = 1_000;
    let sandbox = Sandbox::new();
    let [temporary, target] = [".new", "record"].map(|name| sandbox.path("/var/spool/telemetry").join(name));
    let content = vec![b'p'; PAYLOAD + 500];
    let start = Instant::now();
    for _ in 0..FILES {
        fs::write(&temporary, &content).expect("a file in the spool");
        fs::rename(&temporary, &target).expect("a file in the spool");
        fs::remove_file(&target).expect("a file in the spool");
    }
    start.elapsed() / FILES
}

fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

fn ceiling(scheme: Scheme, connections: Connections, look_up: LookUp, records: u64) -> f64 {
    let mut sink = Sink::new(scheme, connections);
    sink.start();
    ceiling::posts_each_second(&sink, look_up, records, PAYLOAD)
}

/// What experiments share.
pub(crate) struct Workshop {
    senders: Program,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self { senders: Program::compile_with("load.c", &["-O2"]) }
    }

    /// The rates of delivery and of acknowledgement.
    fn end_to_end(&self, scheme: Scheme, connections: Connections, records: u64) -> Vec<f64> {
        let mut machine = Machine::new(Sink::new(scheme, connections));
        machine.sink.start();
        let plan = Plan { senders: SENDERS, count: records / SENDERS, payload: PAYLOAD, interval: Duration::ZERO };
        let sent = machine.send(&self.senders, plan);
        let delivered = machine.delivery_of(plan.records());
        let rate = |end: Instant| plan.records() as f64 / end.duration_since(sent.started).as_secs_f64();
        vec![rate(delivered), rate(sent.acknowledged)]
    }

    /// The rate at which what was spooled is delivered, from the first record
    /// that the sink has: what telemd waits before it tries again is not in it.
    fn drain(&self, scheme: Scheme) -> f64 {
        let mut machine = Machine::new(Sink::new(scheme, Connections::Kept));
        let plan = Plan { senders: SENDERS, count: RECORDS / SENDERS, payload: PAYLOAD, interval: Duration::ZERO };
        machine.send(&self.senders, plan);
        machine.sink.start();
        let (first, before) = machine.wait_for(|received| received > 0);
        let delivered = machine.delivery_of(plan.records());
        (plan.records() - before) as f64 / delivered.duration_since(first).as_secs_f64()
    }

    /// Median and 99th percentile of an acknowledged send, in microseconds.
    fn paced(&self, scheme: Scheme) -> Vec<f64> {
        let mut machine = Machine::new(Sink::new(scheme, Connections::Kept));
        machine.sink.start();
        let plan = Plan {
            senders: PACED_SENDERS,
            count: PACE / PACED_SENDERS * PACED_SECONDS,
            payload: PAYLOAD,
            interval: Duration::from_secs(1) / (PACE / PACED_SENDERS) as u32,
        };
        let sent = machine.send(&self.senders, plan);
        machine.delivery_of(plan.records());
        [50, 99].map(|hundredths| microseconds(sent.percentile(hundredths))).into()
    }
}

/// An opted-in machine whose records go to a sink.
struct Machine {
    sandbox: Sandbox,
    telemd: Telemd,
    sink: Sink,
}

impl Machine {
    fn new(sink: Sink) -> Self {
        let sandbox = Sandbox::new();
        sandbox.opt_in();
        let mut settings = format!("server={}\nspool_max_size=-1\nrate_limit_enabled=false", sink.url());
        if sink.scheme() == Scheme::Https {
            sandbox.write("/etc/telemetrics/authority.pem", sink.authority());
            settings.push_str("\ncainfo=/etc/telemetrics/authority.pem");
        }
        sandbox.configure(&settings);
        let telemd = sandbox.start_telemd();
        Self { sandbox, telemd, sink }
    }

    fn send(&self, senders: &Program, plan: Plan) -> Sent {
        Load::prepare(&self.sandbox, senders, plan).run()
    }

    /// When the sink had all records and nothing of them was left in the spool.
    fn delivery_of(&self, records: u64) -> Instant {
        let (_, received) = self.wait_for(|received| received >= records);
        let deadline = Instant::now() + PATIENCE;
        while !self.spool_is_empty() {
            assert!(Instant::now() < deadline, "records stay in the spool; telemd says:\n{}", self.telemd.log());
            thread::sleep(LOOK_INTERVAL / 10);
        }
        let end = Instant::now();
        if received > records {
            eprintln!("{} records were delivered more than once", received - records);
        }
        end
    }

    fn spool_is_empty(&self) -> bool {
        let mut entries = fs::read_dir(self.sandbox.path("/var/spool/telemetry")).expect("the spool");
        entries.next().is_none()
    }

    /// When the number of records at the sink was so, and the number.
    fn wait_for(&self, is_so: impl Fn(u64) -> bool) -> (Instant, u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.sink.received();
            if is_so(received) {
                return (Instant::now(), received);
            }
            let log = || self.telemd.log();
            assert!(Instant::now() < deadline, "the sink has {received} records; telemd says:\n{}", log());
            thread::sleep(LOOK_INTERVAL);
        }
    }
}
