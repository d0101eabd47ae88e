//! The example of the crate `telemetry`, which programs in Rust start from.

use std::path::PathBuf;
use std::process::Command;

use libtelemetry_acceptance::machine::Machine;
use libtelemetry_acceptance::stdout_of;
use sandbox::{Sandbox, project};
use tools_acceptance::{Ran, payload, run};

/// Builds the example; where it is.
fn heartbeat() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(project()).args(["build", "--locked", "-p", "telemetry", "--example", "heartbeat"]);
    let messages = stdout_of(cargo.arg("--message-format=json-render-diagnostics"));
    let executable = messages.lines().rev().find_map(|line| line.split("\"executable\":\"").nth(1)).unwrap();
    PathBuf::from(executable.split('"').next().unwrap())
}

#[test]
fn the_heartbeat_example_in_rust_works_and_asks_for_consent_first() {
    let heartbeat = heartbeat();
    let ran = run(&mut Sandbox::new().command(&heartbeat));
    assert_eq!(ran, Ran::badly("heartbeat: telemetry is switched off on this machine"));

    let machine = Machine::new();
    let telemd = machine.sandbox.start_telemd();
    assert_eq!(run(&mut machine.sandbox.command(&heartbeat)), Ran::well(""));
    let received = machine.receive();
    assert_eq!(received.header("classification").unwrap(), "org.example/heartbeat/ping");
    assert_eq!(payload(&received), b"hello\n");

    telemd.kill();
    let expected = "heartbeat: Connection refused: no daemon listens on its socket. \
        Start the daemon by 'telemctl start'.";
    assert_eq!(run(&mut machine.sandbox.command(&heartbeat)), Ran::badly(expected));
}
