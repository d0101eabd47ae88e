//! hprobe: sends a heartbeat, so that a collector knows of the machine.
//!
//! Station: a probe, at the start of a record's way. Owns the payload of the
//! heartbeat. Never looks at the machine before the administrator has opted in,
//! and never tries a second time: the daemon does the queueing.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bundles;
mod command_line;
mod locale;
mod payload;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use telemetry::{Record, Severity};
use thiserror::Error;

pub use command_line::CommandLine;

/// Version of the payload's format.
const PAYLOAD_VERSION: u32 = 1;

#[derive(Debug, Error)]
enum Failure {
    #[error("ERROR: scandir failed: {}", telemetry::os_text(.0))]
    Bundles(io::Error),
    #[error("Failed to create record: {}{}", .0.os_text(), advice(.0))]
    Create(telemetry::Error),
    #[error("Failed to set payload: {}{}", .0.os_text(), advice(.0))]
    Payload(telemetry::Error),
    #[error("Failed to send record to daemon: {}{}", .0.os_text(), advice(.0))]
    Send(telemetry::Error),
}

/// A second line, if there is something to say.
fn advice(error: &telemetry::Error) -> String {
    match (error.meaning(), error.remedy()) {
        (Some(meaning), Some(remedy)) => format!("\nNo record was sent: {meaning}. {remedy}"),
        _ => String::new(),
    }
}

/// Does what a command line says, the program's name first.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match options::read(words) {
        Ok(command) => send_heartbeat(&command),
        Err(ended) => return ended.report(None),
    };
    match done {
        Ok(()) => {
            // The record is sent, whoever reads of it.
            let _ = writeln!(io::stdout(), "Successfully sent record to daemon.");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            options::complain(failure);
            ExitCode::FAILURE
        }
    }
}

fn send_heartbeat(command: &CommandLine) -> Result<(), Failure> {
    if !telemetry::is_opted_in() {
        return Err(Failure::Send(telemetry::Error::NotOptedIn));
    }
    let payload = payload::of(command).map_err(Failure::Bundles)?;
    let class = if command.heartbeat { "org.clearlinux/heartbeat/ping" } else { "org.clearlinux/hello/world" };
    let record = Record::new(Severity::Low, class, PAYLOAD_VERSION).map_err(Failure::Create)?;
    record.payload_lossy(payload).map_err(Failure::Payload)?.send().map_err(Failure::Send)
}
