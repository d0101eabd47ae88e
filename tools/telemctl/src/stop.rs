//! `stop`: what starts services first, then the services.

use std::process::ExitCode;

use crate::failure::Failure;
use crate::{running, units};

/// Stops all services; tells by its status whether all of them are.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    Ok(ExitCode::from(u8::from(!all())))
}

/// Stops all services; tells whether that worked. What did not was said.
pub(crate) fn all() -> bool {
    if units::are_managed() {
        let activators = units::all("stop", &units::ACTIVATORS);
        return units::all("stop", &units::SERVICES) && activators;
    }
    match running::stop() {
        Ok(()) => true,
        Err(failure) => {
            eprintln!("{failure}");
            false
        }
    }
}
