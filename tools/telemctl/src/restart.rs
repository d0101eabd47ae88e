//! `restart`: stop and start, the second whatever became of the first. What
//! could not start again is not stopped.

use std::process::ExitCode;

use telemd::settings;

use crate::failure::Failure;
use crate::{start, stop};

/// Stops and starts all services.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    settings::read_settings(None)
        .map_err(|error| Failure::new(format_args!("{error}\nNothing was stopped. Correct the file first.")))?;
    let stopped = stop::all();
    let started = start::run()?;
    Ok(if stopped { started } else { ExitCode::FAILURE })
}
