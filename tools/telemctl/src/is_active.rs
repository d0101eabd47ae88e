//! `is-active`: one line for each daemon of the C project, whose work telemd
//! does.

use std::io::Write;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::output::Output;
use crate::{running, units};

/// Exit status if not both are active, as systemctl(1) has it.
pub(crate) const INACTIVE: u8 = 3;

/// Prints the states; tells by its status whether all are active.
pub(crate) fn run(out: &mut Output) -> Result<ExitCode, Failure> {
    let mut all_are_active = true;
    for (daemon, unit) in units::DAEMONS {
        let state = match units::are_managed() {
            true => units::state(unit),
            false if running::takes_records() => "active".to_owned(),
            false => "inactive".to_owned(),
        };
        all_are_active &= state == "active";
        writeln!(out, "{daemon} : {state}")?;
    }
    Ok(if all_are_active { ExitCode::SUCCESS } else { ExitCode::from(INACTIVE) })
}
