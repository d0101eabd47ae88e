//! `status`: what it shows of each state.

use std::process::Command;

use libtelemetry_acceptance::machine::frame;
use sandbox::wait_until;
use serde_json::Value;

use crate::operator::{Done, Operator};

/// The line with this title.
fn line(done: &Done, title: &str) -> String {
    let found = done.stdout.lines().find_map(|line| line.strip_prefix(&format!("{title:12} ")));
    found.unwrap_or_else(|| panic!("{title}: {done:?}")).to_owned()
}

fn json(operator: &Operator) -> Value {
    serde_json::from_str(&operator.telemctl(&["status", "--json"]).stdout).unwrap()
}

#[test]
fn a_machine_that_is_not_opted_in_is_told_how_to_be() {
    let operator = Operator::new();
    operator.machine.sandbox.opt_out();
    let done = operator.telemctl(&["status"]);
    assert_eq!((done.status, done.stderr.as_str()), (3, ""));
    assert_eq!(line(&done, "telemetry"), "not opted in: nothing is taken or sent");
    assert_eq!(line(&done, "service"), "telemd does not run");
    assert_eq!(line(&done, "to do"), "to switch telemetry on: telemctl opt-in, telemctl start");
    assert_eq!(json(&operator)["opted_in"], false);
}

#[test]
fn a_machine_on_which_telemd_does_not_run_is_told_to_start_it() {
    let operator = Operator::new();
    let done = operator.telemctl(&["status"]);
    assert_eq!((done.status, line(&done, "to do").as_str()), (3, "telemctl start"));
    assert_eq!(line(&done, "telemetry"), "opted in");
    let url = operator.machine.collector.url();
    assert_eq!(line(&done, "server"), format!("{url} (/etc/telemetrics/telemetrics.conf:2)"));
}

#[test]
fn a_machine_that_is_well_shows_what_it_did_on_one_screen() {
    let operator = Operator::new();
    let telemd = operator.machine.sandbox.start_telemd();
    assert_eq!(operator.telemctl(&["test"]).status, 0);
    wait_until("it is counted", || json(&operator)["telemd"]["delivered"] == 1);
    let done = operator.telemctl(&["status"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    assert!(line(&done, "service").starts_with(&format!("telemd runs (process {}, since ", telemd.pid())), "{done:?}");
    assert_eq!(line(&done, "spool"), "0 records, 0 of 5120 KiB");
    assert_eq!(line(&done, "rejected"), "0 records, 0 KiB");
    assert!(line(&done, "delivered").starts_with("1 record since it started, the last at "), "{done:?}");
    assert!(!done.stdout.contains("to do") && !done.stdout.contains("last error"), "{done:?}");
    assert!(done.stdout.lines().count() <= 24);
}

#[test]
fn a_machine_whose_server_is_not_well_shows_the_error_and_the_next_attempt() {
    let operator = Operator::new();
    operator.machine.collector.answer_with(500);
    let _telemd = operator.machine.sandbox.start_telemd();
    assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"")]), Some(0));
    assert_eq!(operator.machine.status_of(&[&frame("a/b\x01/c", b"")]), Some(-22));
    wait_until("the error is told", || json(&operator)["failing"] == true);
    let done = operator.telemctl(&["status"]);
    assert_eq!(done.status, 4, "{done:?}");
    assert!(line(&done, "spool").starts_with("1 record, 4 of 5120 KiB"), "{done:?}");
    assert!(line(&done, "last error").ends_with(": the server answered 500 Internal Server Error"), "{done:?}");
    assert!(line(&done, "next attempt").starts_with("at "), "{done:?}");
    assert!(line(&done, "to do").contains("records wait and are tried again"), "{done:?}");
    assert_eq!((line(&done, "refused").as_str(), line(&done, "").as_str()), ("1 record since it started", "frame: 1"));

    operator.machine.collector.answer_with(201);
    wait_until("it is over", || json(&operator)["failing"] == false);
    let done = operator.telemctl(&["status"]);
    assert_eq!(done.status, 0, "{done:?}");
    assert!(!done.stdout.contains("to do") || line(&done, "last error").contains("500"), "{done:?}");
}

#[test]
fn a_configuration_that_cannot_be_used_is_shown_with_its_line() {
    let operator = Operator::new();
    let _telemd = operator.machine.sandbox.start_telemd();
    operator.machine.sandbox.configure("record_expiry=abc");
    let done = operator.telemctl(&["status"]);
    assert_eq!(done.status, 4, "{done:?}");
    let error = "/etc/telemetrics/telemetrics.conf:2: record_expiry: expected minutes as an integer, got \"abc\"";
    assert_eq!(line(&done, "settings"), error);
    assert!(line(&done, "to do").contains("telemctl config --check"));
    assert_eq!(line(&done, "spool"), "0 records", "as telemd tells");
    assert_eq!(line(&done, "rejected"), "not known until the configuration is put right");
}

#[test]
fn a_machine_that_gets_rid_of_no_record_is_not_well_whatever_the_reason() {
    let operator = Operator::new();
    operator.machine.collector.answer_with(400);
    let _telemd = operator.machine.sandbox.start_telemd();
    assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"")]), Some(0));
    wait_until("it is rejected", || json(&operator)["telemd"]["rejected"] == 1);
    let done = operator.telemctl(&["status"]);
    assert!(done.status == 4 && line(&done, "to do").contains("telemctl rejected list"), "{done:?}");
    operator.machine.collector.answer_with(201);
    assert_eq!(operator.telemctl(&["test"]).status, 0);
    // In the same second it is of the delivery.
    assert_eq!(operator.telemctl(&["status"]).status, 0);

    let operator = Operator::new();
    operator.machine.sandbox.configure("spool_max_size=0");
    let _telemd = operator.machine.sandbox.start_telemd();
    assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"")]), Some(-122));
    wait_until("it is refused", || json(&operator)["telemd"]["refused"]["spool_full"] == 1);
    let done = operator.telemctl(&["status"]);
    assert!(done.status == 4 && line(&done, "to do").contains("raise spool_max_size"), "{done:?}");
}

#[test]
fn a_telemd_that_was_stopped_has_no_next_attempt() {
    let operator = Operator::new();
    operator.machine.collector.answer_with(503);
    let telemd = operator.machine.sandbox.start_telemd();
    assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"")]), Some(0));
    wait_until("it fails", || operator.telemctl(&["status"]).stdout.contains("next attempt"));
    telemd.terminate();
    let done = operator.telemctl(&["status"]);
    assert!(done.status == 3 && !done.stdout.contains("next attempt"), "{done:?}");
}

#[test]
fn who_is_not_root_sees_what_telemd_tells_everybody() {
    let operator = Operator::new();
    std::fs::set_permissions(
        operator.path("/var/spool/telemetry"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    operator.machine.collector.answer_with(503);
    let _telemd = operator.machine.sandbox.start_telemd();
    assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"")]), Some(0));
    wait_until("it is told", || json(&operator)["telemd"]["spooled"] == 1);
    let done = operator.telemctl_as_nobody(&["status"]);
    assert!(line(&done, "spool").starts_with("1 record"), "{done:?}");
}

#[test]
fn a_machine_without_a_status_file_or_with_a_foreign_one_is_shown_all_the_same() {
    let operator = Operator::new();
    for content in ["", "{}", "{\"version\": 99}", "\u{1b}[2J"] {
        operator.machine.sandbox.write("/run/telemetry/status.json", content);
        let done = operator.telemctl(&["status"]);
        assert_eq!((done.status, done.stderr.as_str()), (3, ""), "{content:?}");
    }
}

#[test]
fn the_units_are_shown_where_a_service_manager_runs() {
    let operator = Operator::new().with_service_manager("echo active");
    let done = operator.telemctl_with_scripts(&["status"]);
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(line(&done, "service"), "telemd starts when a record comes");
    for unit in ["telemd.socket", "telemd.path", "telemd.service", "hprobe.timer"] {
        assert!(done.stdout.contains(&format!("{:12} {unit}: active\n", "")), "{done:?}");
    }
}

/// What the command prints on a terminal.
fn on_a_terminal(operator: &Operator, environment: &[(&str, &str)]) -> String {
    let mut command = operator.command("/usr/bin/script");
    command.args(["-qec", "/usr/local/bin/telemctl status", "/dev/null"]).env("TERM", "xterm");
    for (name, value) in environment {
        command.env(name, value);
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn colours_are_for_terminals_only_and_not_for_those_who_do_not_want_them() {
    if Command::new("script").arg("--version").output().is_err() {
        panic!("script(1) of bsdutils is not installed");
    }
    let operator = Operator::new();
    assert!(on_a_terminal(&operator, &[]).contains("\x1b[32mopted in\x1b[0m"));
    assert!(on_a_terminal(&operator, &[("NO_COLOR", "")]).contains('\x1b'), "empty is as if not set");
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_a_terminal(&operator, &[environment]);
        assert!(shown.contains("opted in") && !shown.contains('\x1b'), "{environment:?}: {shown:?}");
    }
    assert!(!operator.telemctl(&["status"]).stdout.contains('\x1b'));
}
