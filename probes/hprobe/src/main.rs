//! hprobe: sends a heartbeat, so that a collector knows of the machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    hprobe::run(std::env::args_os())
}
