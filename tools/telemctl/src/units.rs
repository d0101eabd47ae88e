//! The units of the service manager, and the commands that it is given.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// What starts services: it is stopped first, so that nothing is started again.
pub(crate) const ACTIVATORS: [&str; 5] =
    ["hprobe.timer", "telemd.socket", "telemd.path", "klogscanner.service", "journal-probe-tail.service"];
/// What is started by others, and only stopped.
pub(crate) const SERVICES: [&str; 4] =
    ["hprobe.service", "pstore-probe.service", "telemd.service", "journal-probe.service"];
/// Which units stand for the two daemons of the C project.
pub(crate) const DAEMONS: [(&str, &str); 2] = [("telemprobd", "telemd.socket"), ("telempostd", "telemd.path")];

/// Made by systemd, see sd_booted(3).
const SYSTEMD: &str = "/run/systemd/system";

/// Whether there is a service manager. If not, telemctl does its work.
pub(crate) fn are_managed() -> bool {
    Path::new(SYSTEMD).is_dir()
}

/// Tells the service manager to start or stop units, one after the other, and
/// goes on after a failure; tells whether there was none.
pub(crate) fn all(verb: &str, units: &[&str]) -> bool {
    let mut all_is_well = true;
    for unit in units {
        if !run("systemctl", &[verb, unit]) {
            eprintln!("Failed to {verb} {unit}. Continuing...");
            all_is_well = false;
        }
    }
    all_is_well
}

/// The state of a unit in the service manager's word.
pub(crate) fn state(unit: &str) -> String {
    let asked = Command::new("systemctl").args(["is-active", unit]).stderr(Stdio::inherit()).output();
    let word = asked.inspect_err(|error| eprintln!("systemctl: {error}")).map(|output| output.stdout);
    match String::from_utf8_lossy(&word.unwrap_or_default()).trim() {
        "" => "unknown".to_owned(),
        word => word.to_owned(),
    }
}

/// Runs a program that is found through PATH; tells whether it succeeded.
pub(crate) fn run(program: &str, arguments: &[impl AsRef<OsStr>]) -> bool {
    let status = Command::new(program).args(arguments).status();
    status.inspect_err(|error| eprintln!("{program}: {error}")).is_ok_and(|status: ExitStatus| status.success())
}
