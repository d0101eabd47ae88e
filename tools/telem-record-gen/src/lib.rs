//! telem-record-gen: creates a telemetry record and sends it.
//!
//! Station: where scripts hand in their records. Owns the checks of what they
//! say, in an order and in words that scripts know. Never sends what it had to
//! complain about, and never changes a byte of a payload.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command_line;
mod failure;
mod fields;
mod payload;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use telemetry::Record;

pub use command_line::CommandLine;
use failure::Failure;

const HINT: &str = "Try 'telem-record-gen --help' for more information.";

/// Does what a command line says, the program's name first.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match options::read(words) {
        Ok(command) => generate(&command),
        Err(ended) => return ended.report(Some(HINT)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            options::complain(failure);
            ExitCode::FAILURE
        }
    }
}

fn generate(command: &CommandLine) -> Result<(), Failure> {
    let class = fields::class(command.class.as_deref())?;
    let severity = fields::severity(command.severity)?;
    let event_id = command.event_id.as_deref().map(fields::event_id).transpose()?;
    let payload = payload::read(command)?;

    let mut record = Record::new(severity, class, command.record_version)?.payload(&payload.bytes)?;
    if let Some(event_id) = event_id {
        record = record.event_id(event_id)?;
    }
    if payload.was_cut {
        options::complain(format_args!(
            "Warning: the payload has more than {} bytes; the rest is cut off",
            payload::MAX
        ));
    }
    // Who cannot be shown the record still gets it sent.
    let shown = if command.echo || command.no_post { show(&record, &payload.bytes) } else { Ok(()) };
    if !command.no_post {
        record.send()?;
    }
    shown
}

/// Prints the record as it is sent.
fn show(record: &Record, payload: &[u8]) -> Result<(), Failure> {
    let text = [record.header_lines().concat().as_slice(), payload, b"\n"].concat();
    let mut out = io::stdout().lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        // Who reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::Output),
    }
}
