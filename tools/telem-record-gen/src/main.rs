//! telem-record-gen: creates a telemetry record and sends it.

use std::process::ExitCode;

fn main() -> ExitCode {
    telem_record_gen::run(std::env::args_os())
}
