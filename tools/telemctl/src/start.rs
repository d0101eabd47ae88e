//! `start`: the directories first, then everything that starts services.

use std::process::ExitCode;

use record::paths;
use telemd::settings;

use crate::failure::Failure;
use crate::{launch, units, work_directories};

/// Starts all services, if the machine is opted in.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    if !telemetry::is_opted_in() {
        return Err(Failure::new("Opt in to telemetry first."));
    }
    if units::are_managed() {
        // Without their directories, services would start and fail.
        if !units::run("systemd-tmpfiles", &["--create", paths::WORK_DIRECTORIES]) {
            let list = paths::WORK_DIRECTORIES;
            return Err(Failure::new(format_args!("Failed to create the directories of {list}. Nothing was started.")));
        }
        return Ok(ExitCode::from(u8::from(!units::all("start", &units::ACTIVATORS))));
    }
    work_directories::create()?;
    let loaded = settings::read_settings(None).map_err(Failure::new)?;
    launch::telemd(&loaded.settings)?;
    Ok(ExitCode::SUCCESS)
}
