//! The system calls of telemd, compared with those that its unit allows.
//!
//! No service manager runs here that would install the filter; so all that
//! telemd calls on its ways is traced.

use std::collections::BTreeSet;
use std::fs;

use libtelemetry_acceptance::Program;
use libtelemetry_acceptance::machine::{Machine, frame};
use packaging_acceptance::succeed;
use packaging_acceptance::unit::Unit;
use sandbox::{Telemd, wait_until};

/// Where the trace is, in the sandbox.
const TRACE: &str = "/run/trace";

/// Starts telemd under strace, which leaves it the place of its parent's child.
fn start_traced(machine: &Machine) -> Telemd {
    let mut command = machine.sandbox.command("strace");
    command.args(["-f", "-D", "-q", "-o", TRACE, "/usr/local/bin/telemd"]);
    let telemd = machine.sandbox.spawn(command);
    wait_until("telemd listens", || telemd.log().contains("listening on"));
    telemd
}

fn send(machine: &Machine, classification: &str, status: i32) {
    assert_eq!(machine.status_of(&[&frame(classification, b"payload")]), Some(status));
}

/// The names in a trace: `PID name(…` and `PID <... name resumed>`.
fn called(trace: &str) -> BTreeSet<String> {
    let names = trace.lines().filter_map(|line| {
        let call = line.split_once(' ')?.1.trim_start();
        call.split_once('(')
            .map(|(name, _)| name)
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
    });
    names.map(str::to_owned).collect()
}

#[test]
fn telemd_makes_no_system_call_that_its_unit_forbids() {
    let machine = Machine::new();
    // A name, which has to be resolved.
    let server = machine.collector.url().replace("127.0.0.1", "localhost");
    let common = format!("server={server}\nrecord_retention_enabled=true\nspool_sync_interval=0");
    machine.sandbox.configure(&common);
    let telemd = start_traced(&machine);
    // Delivered, noted in the journal, kept.
    let program = Program::compile("send.c");
    succeed(machine.sandbox.command(&program.path).args(["-p", "kept"]));
    machine.receive();
    wait_until("it is in the journal", || !machine.journal().is_empty());
    wait_until("it is kept", || fs::read_dir(machine.sandbox.path("/var/log/telemetry/records")).unwrap().count() == 1);
    // Rejected: moved aside.
    machine.collector.answer_with(400);
    send(&machine, "org.example/trace/rejected", 0);
    wait_until("it is moved aside", || machine.sandbox.path("/var/spool/rejected").exists());
    // TLS begins, with the system's certificates, and fails.
    machine.sandbox.configure(&common.replace("http:", "https:"));
    telemd.signal("HUP");
    wait_until("the file was read again", || telemd.log().contains("the configuration was read again"));
    send(&machine, "org.example/trace/tls", 0);
    wait_until("it fails", || telemd.log().contains("InvalidContentType; next attempt"));
    // Refused.
    machine.sandbox.configure(&format!("{common}\nspool_max_size=0"));
    telemd.signal("HUP");
    wait_until("the file was read again", || telemd.log().matches("the configuration was read again").count() == 2);
    send(&machine, "org.example/trace/refused", -libc::EDQUOT);
    // Consent is withdrawn, and given again.
    machine.sandbox.opt_out();
    wait_until("it stops", || telemd.log().contains("not opted in"));
    machine.sandbox.opt_in();
    wait_until("it works", || telemd.log().matches("listening on").count() == 2);
    assert!(telemd.terminate().success());

    let trace = machine.sandbox.path(TRACE);
    wait_until("the trace is complete", || {
        fs::read_to_string(&trace).is_ok_and(|trace| trace.contains("+++ exited with"))
    });
    let called = called(&fs::read_to_string(trace).unwrap());
    let allowed = Unit::named("telemd.service").allowed_system_calls();
    for certain in ["accept4", "connect", "fsync", "getrandom", "inotify_add_watch", "rename", "signalfd4"] {
        assert!(called.contains(certain), "the trace is not of a whole run: {called:?}");
        assert!(allowed.contains(certain), "the groups were not read: {allowed:?}");
    }
    assert!(!allowed.contains("ptrace") && !allowed.contains("mount"));
    let forbidden: Vec<_> = called.difference(&allowed).collect();
    println!("{} system calls of telemd, {} allowed", called.len(), allowed.len());
    assert!(forbidden.is_empty(), "{forbidden:?}");
}
