//! telemd: takes records from a socket, keeps them on disk, and sends them to
//! a collector.
//!
//! A record's way: intake → spool → courier. Every station is a file, runs in
//! threads of its own, and hands over by channels. A record that was
//! acknowledged is in the spool, and stays there until a collector has it.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::indexing_slicing)]

mod courier;
mod files;
mod intake;
mod log;
mod machine_id;
mod opt_in;
mod options;
mod record_config;
mod settings;
mod socket;
mod spool;
mod transport;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use record::config::Key;
use thiserror::Error;

use machine_id::MachineId;
use opt_in::OptIn;
use options::{Action, Options};
use spool::Spool;
use transport::HttpTransport;

#[derive(Debug, Error)]
enum StartError {
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    #[error(transparent)]
    Spool(#[from] spool::SpoolError),
    #[error("signals: {0}")]
    Signals(#[from] nix::Error),
}

/// Keys that are read and checked, and have no effect yet.
const NOT_IN_FORCE: [Key; 10] = [
    Key::RecordExpiry,
    Key::SpoolMaxSize,
    Key::SpoolProcessTime,
    Key::RateLimitEnabled,
    Key::RecordBurstLimit,
    Key::RecordWindowLength,
    Key::ByteBurstLimit,
    Key::ByteWindowLength,
    Key::RateLimitStrategy,
    Key::RecordRetentionEnabled,
];

fn main() -> ExitCode {
    match options::parse() {
        Ok(Action::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Action::Run(options)) => match run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                log::error(format_args!("{error}"));
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            log::error(format_args!("{error}"));
            print!("{}", options::USAGE);
            ExitCode::FAILURE
        }
    }
}

/// Starts the stations, waits for the signal to end, and ends them in the
/// order of a record's way, so that none loses what it holds.
fn run(options: &Options) -> Result<(), StartError> {
    let settings = settings::load(options.config_file.as_deref())?;
    let opt_in = OptIn::of_this_machine();
    if !opt_in.is_given() {
        log::notice(format_args!("not opted in: {} does not exist; nothing is taken or sent", opt_in.path().display()));
        return Ok(());
    }
    let end_signals = block_end_signals()?;
    let listener = socket::listen(settings::path(&settings, Key::SocketPath))?;
    let (spool, spooler) = Spool::open(settings::path(&settings, Key::SpoolDir))?;
    let machine_id = Arc::new(MachineId::of_this_machine());

    let intake = intake::start(listener, spool.clone(), machine_id, opt_in.clone());
    let (stop_courier, courier_stops) = crossbeam_channel::bounded(0);
    let destination = match settings.boolean(Key::RecordServerDeliveryEnabled) {
        true => format!("sending to {}", settings.shown(Key::Server)),
        false => "delivery is switched off: records stay in the spool".to_owned(),
    };
    let socket = settings::path(&settings, Key::SocketPath).display();
    log::notice(format_args!("listening on {socket}, {destination}"));
    for key in NOT_IN_FORCE.into_iter().filter(|key| settings.line(*key).is_some()) {
        log::warning(format_args!("{} is not in force in this version", key.name()));
    }

    let courier = settings.boolean(Key::RecordServerDeliveryEnabled).then(|| {
        let transport = HttpTransport::new(settings);
        let spool = spool.clone();
        thread::spawn(move || courier::run(&spool, &transport, &opt_in, &courier_stops))
    });

    let signal = end_signals.wait()?;
    log::notice(format_args!("{signal}: ending; what is in the spool stays there"));
    // First, so that it starts nothing new while the intake ends.
    drop(stop_courier);
    intake.stop();
    // A thread that panicked has ended the process.
    let _ = courier.map(thread::JoinHandle::join);
    drop(spool);
    let _ = spooler.join();
    Ok(())
}

/// Blocks the signals in this thread and in those it starts.
fn block_end_signals() -> Result<SigSet, nix::Error> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    Ok(signals)
}
