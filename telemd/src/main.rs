//! telemd: takes records from a socket, keeps them on disk, and sends them to
//! a collector.
//!
//! A record's way: intake → spool → courier. Every station is a file, runs in
//! threads of its own, and hands over by channels. A record that was
//! acknowledged is in the spool, and stays there until a collector has it.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::indexing_slicing)]

mod answer;
mod back_off;
mod certificates;
mod clock;
mod courier;
mod files;
mod intake;
mod journal;
mod limits;
mod listed;
mod local_copy;
mod log;
mod machine_id;
mod opt_in;
mod options;
mod proxy;
mod record_config;
mod rejected;
mod request_form;
mod settings;
mod socket;
mod spool;
mod spool_name;
mod spooler;
mod sync;
mod tls;
mod transport;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use record::config::Key;
use record::paths;
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use back_off::BackOff;
use clock::SystemClock;
use courier::{Courier, Policy};
use limits::RateLimits;
use local_copy::LocalCopies;
use machine_id::MachineId;
use opt_in::OptIn;
use options::{Action, Options};
use spool::{Spool, SpoolRules};
use transport::HttpTransport;

#[derive(Debug, Error)]
enum StartError {
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    #[error(transparent)]
    Spool(#[from] spool::SpoolError),
    #[error("the intake: {0}")]
    Intake(#[from] std::io::Error),
    #[error("signals: {0}")]
    Signals(#[from] nix::Error),
}

impl StartError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_) => ExitCode::from(EX_CONFIG),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Exit status after an error in the configuration, see sysexits.h(3head).
const EX_CONFIG: u8 = 78;

fn main() -> ExitCode {
    match options::parse() {
        Ok(Action::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Action::Run(options)) => {
            let done = if options.check { check(&options) } else { run(&options) };
            done.map_or_else(
                |error| {
                    log::error(format_args!("{error}"));
                    error.exit_code()
                },
                |()| ExitCode::SUCCESS,
            )
        }
        Err(error) => {
            log::error(format_args!("{error}"));
            print!("{}", options::USAGE);
            ExitCode::FAILURE
        }
    }
}

/// Prints the settings in effect, as they would stand in a file, and where each
/// comes from.
fn check(options: &Options) -> Result<(), StartError> {
    let settings = settings::load(options.config_file.as_deref())?;
    for key in Key::ALL {
        let source = settings.line(key).map_or("default".to_owned(), |line| format!("line {line}"));
        println!("{}={}  # {source}", key.name(), settings.shown(key));
    }
    Ok(())
}

/// Starts the stations, waits for the signal to end, and ends them in the
/// order of a record's way, so that none loses what it holds.
fn run(options: &Options) -> Result<(), StartError> {
    let settings = settings::load(options.config_file.as_deref())?;
    let opt_in = OptIn::at(Path::new(paths::OPT_IN));
    if !opt_in.is_given() {
        log::notice(format_args!("not opted in: {} does not exist; nothing is taken or sent", opt_in.path().display()));
        return Ok(());
    }
    let end_signals = block_end_signals()?;
    let listener = socket::obtain(settings::path(&settings, Key::SocketPath))?;
    let (spool, spooler) = Spool::open(settings::path(&settings, Key::SpoolDir), SpoolRules::new(&settings))?;
    let machine_id = Arc::new(MachineId::of_this_machine());

    let intake = intake::start(listener, spool.clone(), machine_id, opt_in.clone())?;
    let (stop_courier, courier_stops) = crossbeam_channel::bounded(0);
    let destination = match settings.boolean(Key::RecordServerDeliveryEnabled) {
        true => format!("sending to {}", settings.shown(Key::Server)),
        false => "delivery is switched off: records stay on this machine".to_owned(),
    };
    let socket = settings::path(&settings, Key::SocketPath).display();
    log::notice(format_args!("listening on {socket}, {destination}"));

    let retain = settings.boolean(Key::RecordRetentionEnabled);
    let mut courier = Courier {
        spool: spool.clone(),
        clock: SystemClock::new(),
        opt_in,
        limits: RateLimits::new(&settings),
        copies: LocalCopies::open(Path::new(paths::JOURNAL), Path::new(paths::RECORDS), retain),
        policy: Policy::new(&settings),
        back_off: BackOff::default(),
        random,
        warnings: log::Throttle::default(),
        transport: HttpTransport::new(settings),
    };
    let courier = thread::spawn(move || courier.run(&courier_stops));

    let signal = end_signals.wait()?;
    log::notice(format_args!("{signal}: ending; what is in the spool stays there"));
    // First, so that it starts nothing new while the intake ends.
    drop(stop_courier);
    intake.stop();
    // A thread that panicked has ended the process.
    let _ = courier.join();
    drop(spool);
    let _ = spooler.join();
    Ok(())
}

/// Any number, for the length of a pause.
fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without random numbers, the pause is the shortest.
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Blocks the signals in this thread and in those it starts.
fn block_end_signals() -> Result<SigSet, nix::Error> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    Ok(signals)
}
