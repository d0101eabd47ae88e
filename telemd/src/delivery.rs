//! The courier's threads: started with the settings of the moment, ended to
//! start again with others.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use record::config::{Key, Settings};
use record::paths;
use ring::rand::{SecureRandom, SystemRandom};

use crate::clock::SystemClock;
use crate::courier::{Courier, Desk, Policy};
use crate::gate::Gate;
use crate::limits::RateLimits;
use crate::local_copy::LocalCopies;
use crate::log;
use crate::opt_in::OptIn;
use crate::spool::Spool;
use crate::status::Counters;
use crate::transport::HttpTransport;

type RunningCourier = Courier<HttpTransport, SystemClock>;

/// A courier at work.
pub(crate) struct Delivery {
    courier: Arc<RunningCourier>,
    stop: Sender<Infallible>,
    workers: Vec<JoinHandle<()>>,
}

impl Delivery {
    /// Starts to deliver. `limits` know what was sent before.
    pub(crate) fn start(
        settings: &Settings,
        spool: Spool,
        opt_in: OptIn,
        clock: SystemClock,
        limits: RateLimits,
        counters: Arc<Counters>,
    ) -> std::io::Result<Self> {
        let retain = settings.boolean(Key::RecordRetentionEnabled);
        let sync = u64::try_from(settings.integer(Key::SpoolSyncInterval)).unwrap_or_default();
        let (journal, records) = (Path::new(paths::JOURNAL), Path::new(paths::RECORDS));
        let copies = LocalCopies::open(journal, records, retain, Duration::from_secs(sync));
        let policy = Policy::new(settings);
        let courier = Arc::new(Courier {
            spool,
            transport: HttpTransport::new(settings.clone()),
            clock,
            opt_in,
            policy,
            gate: Gate::default(),
            desk: Mutex::new(Desk::new(limits, copies)),
            counters,
            random,
            warnings: log::Throttle::default(),
        });
        let (stop, stops) = bounded(0);
        let start = |number: usize| {
            let (courier, stops) = (Arc::clone(&courier), stops.clone());
            thread::Builder::new().name(format!("courier {number}")).spawn(move || courier.run(&stops))
        };
        let workers = (1..=policy.connections).map(start).collect::<Result<_, _>>()?;
        Ok(Self { courier, stop, workers })
    }

    /// Starts nothing new, waits for what is on its way, and gives what was
    /// sent.
    pub(crate) fn stop(self) -> RateLimits {
        drop(self.stop);
        for worker in self.workers {
            // A thread that panicked has ended the process.
            let _ = worker.join();
        }
        self.courier.sent()
    }
}

/// Any number, for the length of a pause.
fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without random numbers, the pause is the shortest.
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}
