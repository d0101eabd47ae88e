//! `opt-in`: makes the file that is the administrator's consent, and says what
//! that means.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};
use record::paths;
use telemd::settings;

use crate::destination::Destination;
use crate::failure::Failure;
use crate::output::Output;

/// Opts in. Starts nothing.
pub(crate) fn run(out: &mut Output) -> Result<ExitCode, Failure> {
    let marker = Path::new(paths::OPT_IN);
    let directory = marker.parent().unwrap_or(Path::new("/"));
    // Everybody must be able to see the consent: telemd, and all who report.
    umask(Mode::from_bits_truncate(0o022));
    fs::create_dir_all(directory)
        .map_err(|_| Failure::new(format_args!("Failed to create {}", directory.display())))?;
    match OpenOptions::new().write(true).create_new(true).mode(0o644).open(marker) {
        Ok(_) => explain(out)?,
        // A dangling link is in the way, and is no consent.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && marker.exists() => {
            eprintln!("Already opted in. Nothing to do.");
        }
        Err(_) => return Err(Failure::new(format_args!("Failed to create {}.", paths::OPT_IN))),
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(out: &mut Output) -> io::Result<()> {
    let loaded = settings::read_settings(None);
    let destination = match &loaded {
        Ok(loaded) => {
            let destination = Destination::of(loaded, None);
            let warning = destination.warning().map_or(String::new(), |warning| format!("\n  Note: {warning}"));
            match destination.server {
                Some(server) => server + &warning,
                None => "nowhere: delivery is switched off, they stay on this machine".to_owned(),
            }
        }
        Err(error) => format!("nowhere until the configuration is put right: {error}"),
    };
    write!(
        out,
        "\
This machine is opted in to telemetry.

What is collected: what programs report through the telemetry library, such as
  crashes and kernel warnings, each with the names and versions of hardware,
  firmware, kernel and system, and a random machine id that changes every 3 days.
  Telemetry adds no host name, user name, address or serial number; what a
  program writes into its payload is its own, and the server sees the address
  of the connection.
Where it goes: {destination}

  telemctl preview   shows exactly what would be sent, and where each value is from
  telemctl start     starts the services; opting in does not
  telemctl status    shows how it is doing
  telemctl journal   shows what was delivered
  telemctl opt-out   stops everything and deletes what was collected
"
    )
}
