//! What the configuration says, and where: the library and the daemon read the
//! same.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use libtelemetry_acceptance::Program;
use libtelemetry_acceptance::machine::{Machine, PATIENCE, SPOOL, frame};
use sandbox::{Sandbox, TELEMD, wait_until};

const CONFIG: &str = "/etc/telemetrics/telemetrics.conf";

/// The code that `tm_send_record` gave to a program.
fn send(sandbox: &Sandbox) -> i32 {
    let program = Program::compile("send.c");
    let output = sandbox.command(&program.path).output().unwrap();
    assert!(output.status.success(), "the program went on: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(' ').next().and_then(|code| code.parse().ok()).unwrap()
}

/// What telemd said when it could not start.
fn complaint(sandbox: &Sandbox) -> String {
    let output = sandbox.command(TELEMD).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "EX_CONFIG: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn c1_a_wrong_configuration_file_is_an_error_and_ends_no_program_that_sends() {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    sandbox.configure("record_expiry=abc");
    assert!(send(&sandbox) < 0);
    assert!(complaint(&sandbox).contains(&format!("{CONFIG}:2: record_expiry")), "{}", complaint(&sandbox));
}

#[test]
fn c15_without_any_configuration_library_and_daemon_meet_at_the_socket_of_the_build() {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    for file in [CONFIG, "/usr/share/defaults/telemetrics/telemetrics.conf"] {
        let _ = fs::remove_file(sandbox.path(file));
    }
    let telemd = sandbox.start_telemd();
    assert!(sandbox.path(record::paths::SOCKET).exists(), "{}", telemd.log());
    assert_eq!(send(&sandbox), 0);
}

#[test]
fn c17_only_a_file_that_is_absent_leads_to_the_next_one() {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    let _ = fs::remove_file(sandbox.path(CONFIG));
    // For every user, a file that cannot be read.
    fs::create_dir_all(sandbox.path(CONFIG)).unwrap();
    assert!(send(&sandbox) < 0, "the distribution's file is not used instead");
    assert!(complaint(&sandbox).contains(CONFIG), "{}", complaint(&sandbox));
}

#[test]
fn d29_what_telemd_keeps_is_below_the_directories_of_the_build() {
    let machine = Machine::configured("record_retention_enabled=true");
    let telemd = machine.sandbox.start_telemd();
    assert_eq!(machine.status_of(&[&frame("a/b/c", b"kept")]), Some(0));
    machine.receive();
    use record::paths::{CONSENT, JOURNAL, MACHINE_ID, RECORDS, STATUS};
    for path in [CONSENT, JOURNAL, MACHINE_ID, RECORDS, STATUS] {
        wait_until("it is there", || machine.sandbox.path(path).exists());
    }
    assert!(telemd.terminate().success());
}

#[test]
fn d30_what_telemd_keeps_others_may_not_read() {
    let machine = Machine::configured("record_retention_enabled=true");
    machine.collector.answer_with(503);
    let telemd = machine.sandbox.start_telemd();
    assert_eq!(machine.status_of(&[&frame("a/b/c", b"kept")]), Some(0));
    let mode = |path: &str| fs::metadata(machine.sandbox.path(path)).unwrap().permissions().mode() & 0o777;
    let spooled = machine.spooled();
    assert_eq!(mode(&format!("{SPOOL}/{}", spooled[0])), 0o600);
    machine.collector.answer_with(201);
    wait_until("it is delivered", || !machine.names(record::paths::RECORDS).is_empty());
    wait_until("it is in the journal", || !machine.journal().is_empty());
    let copy = &machine.names(record::paths::RECORDS)[0];
    assert_eq!(mode(&format!("{}/{copy}", record::paths::RECORDS)) & 0o007, 0);
    assert_eq!(mode(record::paths::JOURNAL) & 0o007, 0);
    assert!(telemd.terminate().success());
}

#[test]
fn d8_more_records_than_a_run_of_the_c_daemon_had_go_without_a_pause() {
    const RECORDS: usize = 120;
    // The C daemon sent about 50, and went on after this time.
    let machine = Machine::configured("spool_process_time=3600");
    machine.collector.answer_with(503);
    let _telemd = machine.sandbox.start_telemd();
    for _ in 0..RECORDS {
        assert_eq!(machine.status_of(&[&frame("a/b/c", b"")]), Some(0));
    }
    machine.collector.answer_with(201);
    while machine.collector.received().recv_timeout(Duration::ZERO).is_ok() {}
    wait_until("all are delivered", || machine.spooled().is_empty());
}

#[test]
fn w12_a_request_that_cannot_be_prepared_is_no_delivery() {
    let machine = Machine::new();
    let server = machine.collector.url().replace("http://", "https://");
    machine.sandbox.configure(&format!("server={server}\ncainfo=/etc/no-such-file.pem"));
    let telemd = machine.sandbox.start_telemd();
    assert_eq!(machine.status_of(&[&frame("a/b/c", b"")]), Some(0));
    wait_until("it says why", || telemd.log().contains("/etc/no-such-file.pem"));
    assert_eq!(machine.spooled().len(), 1);
    assert!(machine.collector.received().recv_timeout(PATIENCE / 30).is_err());
}
