//! `restart`: stop and start, the second whatever became of the first.

use std::process::ExitCode;

use crate::failure::Failure;
use crate::{start, stop};

/// Stops and starts all services.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let stopped = stop::all();
    let started = start::run()?;
    Ok(if stopped { started } else { ExitCode::FAILURE })
}
