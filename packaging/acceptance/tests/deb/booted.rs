//! The packages in a system whose service manager runs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use collector::Collector;
use packaging_acceptance::booted::Booted;
use packaging_acceptance::unit::Unit;
use sandbox::wait_until;

use crate::{compile_tutorial, opt_in, receive, system, user_packages};

const GREETING: &str = "Successfully sent record to daemon.\n";
/// Of probes that are not in the packages yet.
const UNITS_OF_TELEMCTL: [&str; 4] =
    ["klogscanner.service", "journal-probe-tail.service", "pstore-probe.service", "journal-probe.service"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn tutorial(booted: &Booted<'_>) -> String {
    text(&booted.command("/root/test_telem").output().unwrap().stdout)
}

fn telemctl(booted: &Booted<'_>, command: &str) -> Output {
    booted.command("telemctl").arg(command).output().unwrap()
}

/// Starts or stops all services; what is not installed is a failure, and said.
fn tell_all(booted: &Booted<'_>, command: &str) {
    let output = telemctl(booted, command);
    let said = text(&output.stderr);
    let installed: BTreeSet<_> = Unit::all().iter().map(Unit::name).collect();
    for line in said.lines().filter(|line| line.ends_with(". Continuing...")) {
        let missing = UNITS_OF_TELEMCTL.iter().any(|unit| line.contains(unit) && !installed.contains(*unit));
        assert!(missing, "{command}: {said}");
    }
}

fn main_process(booted: &Booted<'_>) -> String {
    booted.run(&["systemctl", "show", "--property=MainPID", "--value", "telemd.service"]).trim().to_owned()
}

/// No unit of ours has failed.
fn assert_is_well(booted: &Booted<'_>) {
    let failed =
        booted.run(&["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "telem*", "hprobe*"]);
    assert_eq!(failed, "", "{}", booted.run(&["journalctl", "--no-pager", "--unit=telem*", "--unit=hprobe*"]));
}

#[test]
fn a_record_goes_its_way_through_the_services_and_opting_out_and_purging_end_them() {
    let system = system();
    let collector = Collector::start().unwrap();
    let booted = Booted::new(&system);
    system.install_by(&user_packages(), |program| booted.command(program));
    compile_tutorial(&system);

    // Enabled, and not switched on.
    for unit in ["telemd.socket", "telemd.path", "hprobe.timer"] {
        assert_eq!(
            (booted.unit("is-enabled", unit), booted.unit("is-active", unit)),
            ("enabled".into(), "inactive".into())
        );
    }
    assert_eq!(tutorial(&booted), "Failed to send record to daemon: Connection refused\n");

    assert!(telemctl(&booted, "opt-in").status.success());
    opt_in(&system, &collector);
    tell_all(&booted, "start");
    let active = telemctl(&booted, "is-active");
    assert_eq!(text(&active.stdout), "telemprobd : active\ntelempostd : active\n");
    assert_eq!(booted.unit("is-active", "telemd.service"), "inactive", "nobody needs it yet");
    assert_eq!(tutorial(&booted), GREETING);
    assert_eq!(receive(&collector).header("classification").unwrap(), "org.clearlinux/hello/world");
    for unit in ["telemd.service", "telemprobd.service", "telempostd.service", "telemprobd.socket", "telempostd.path"] {
        assert_eq!(booted.unit("is-active", unit), "active", "{unit}");
    }
    let process = main_process(&booted);
    let owner = booted.run(&["stat", "--format=%U", &format!("/proc/{process}")]);
    assert_eq!(owner, "telemetry\n");
    let status = telemctl(&booted, "status");
    assert!(status.status.success() && text(&status.stdout).contains("telemd runs (process"), "{status:?}");
    booted.run(&["systemctl", "start", "hprobe.service"]);
    assert_eq!(receive(&collector).header("classification").unwrap(), "org.clearlinux/heartbeat/ping");

    // What the server rejects is moved to the place that the sandbox has for it.
    collector.answer_with(400);
    assert_eq!(tutorial(&booted), GREETING);
    wait_until("it is moved aside", || system.rejected() == 1);
    collector.answer_with(201);

    // Another server, without a restart.
    let other = Collector::start().unwrap();
    opt_in(&system, &other);
    booted.run(&["systemctl", "reload", "telemd.service"]);
    assert_eq!(tutorial(&booted), GREETING);
    receive(&other);
    assert_eq!(main_process(&booted), process);

    // Killed: it is started again.
    booted.run(&["systemctl", "kill", "--signal=KILL", "telemd.service"]);
    wait_until("it has ended", || main_process(&booted) != process);
    assert_eq!(tutorial(&booted), GREETING);
    receive(&other);
    assert_is_well(&booted);

    tell_all(&booted, "opt-out");
    for directory in ["/var/spool/telemetry", "/var/spool/rejected", "/var/lib/telemetry", "/var/log/telemetry"] {
        assert!(!system.path(directory).exists(), "{directory}");
    }
    assert_eq!(telemctl(&booted, "is-active").status.code(), Some(3));
    assert_eq!(tutorial(&booted), "Failed to send record to daemon: Connection refused\n");
    assert!(telemctl(&booted, "opt-in").status.success());
    tell_all(&booted, "start");
    assert_eq!(tutorial(&booted), GREETING);
    receive(&other);
    assert_is_well(&booted);

    booted.run(&["apt-get", "purge", "-y", "telemetrics-client", "libtelemetry-dev", "libtelemetry4"]);
    assert_eq!(booted.run(&["systemctl", "list-units", "--all", "--plain", "--no-legend", "telem*", "hprobe*"]), "");
    assert!(!Path::new(&format!("/proc/{}/exe", main_process(&booted))).exists());
    assert!(!system.path("/etc/telemetrics").exists() && !system.path("/var/spool/telemetry").exists());
}

#[test]
fn a_machine_that_is_opted_in_takes_records_after_its_next_start() {
    let system = system();
    let collector = Collector::start().unwrap();
    system.install(&user_packages());
    compile_tutorial(&system);
    opt_in(&system, &collector);
    for _ in 0..2 {
        let booted = Booted::new(&system);
        assert_eq!(tutorial(&booted), GREETING);
        receive(&collector);
        assert_is_well(&booted);
    }
}
