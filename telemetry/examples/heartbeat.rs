//! Sends a heartbeat: `cargo run -p telemetry --example heartbeat`.

use std::process::ExitCode;

use telemetry::{Record, Severity};

fn send_heartbeat() -> Result<(), telemetry::Error> {
    Record::new(Severity::Low, "org.example/heartbeat/ping", 1)?.payload("hello\n")?.send()
}

fn main() -> ExitCode {
    // A probe that works much for a record asks first.
    if !telemetry::is_opted_in() {
        eprintln!("heartbeat: telemetry is switched off on this machine");
        return ExitCode::FAILURE;
    }
    match send_heartbeat() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heartbeat: {error}. {}", error.remedy().unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}
