//! telemd: takes records from a socket, keeps them on disk, and sends them to
//! a collector.
//!
//! A record's way: intake → spool → courier, each with threads of its own;
//! `daemon` starts and ends them. A record that was acknowledged is in the
//! spool, and stays there until a collector has it.
//!
//! A library only for telemctl, which shows and changes what telemd keeps: what
//! is public here is a format or a rule that both must have the same of.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::indexing_slicing)]

mod address;
mod answer;
mod back_off;
mod certificates;
mod clients;
mod clock;
mod cork;
mod courier;
mod daemon;
mod delivery;
mod events;
pub mod files;
mod fresh;
mod gate;
mod intake;
mod inventory;
mod journal;
pub mod journal_line;
mod journal_sync;
mod limits;
mod listed;
mod local_copy;
mod log;
pub mod machine_id;
pub mod opt_in;
mod options;
mod proxy;
mod queue;
mod record_config;
pub mod rejected;
pub mod report;
pub mod request_form;
mod service_manager;
pub mod settings;
pub mod socket;
pub mod spool;
mod spool_directory;
pub mod spool_name;
mod status;
mod sync;
mod tls;
pub mod transport;
mod usage;
mod users;

use std::process::ExitCode;

use record::config::Key;

pub use spool_directory::name_of;

use daemon::DaemonError;
use options::{Action, Options};

/// Exit status after an error in the configuration, see sysexits.h(3head).
const EX_CONFIG: u8 = 78;

/// The program: reads its command line, and works until a signal or idleness
/// ends it.
pub fn main() -> ExitCode {
    match options::parse() {
        Ok(Action::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Action::Run(options)) => {
            if options.is_verbose {
                log::be_verbose();
            }
            let done = if options.check { check(&options) } else { daemon::run(options) };
            done.map_or_else(
                |error| {
                    log::error(format_args!("{error}"));
                    exit_code(&error)
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

fn exit_code(error: &DaemonError) -> ExitCode {
    match error {
        DaemonError::Settings(_) => ExitCode::from(EX_CONFIG),
        _ => ExitCode::FAILURE,
    }
}

/// Prints the settings in effect, as they stand in a file, and above each where
/// it comes from. The first line names the file that was read. Settings by
/// which nothing can be sent are an error, too: telemd itself starts with them,
/// since a missing file may come.
fn check(options: &Options) -> Result<(), DaemonError> {
    let loaded = settings::load_with_file(options.config_file.as_deref())?;
    println!("# {}", loaded.origin());
    for key in Key::ALL {
        println!("# {}\n{}={}", loaded.source(key), key.name(), loaded.settings.shown(key));
    }
    transport::check(&loaded).map_err(DaemonError::Delivery)
}
