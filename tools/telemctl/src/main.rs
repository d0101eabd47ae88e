//! telemctl, and telem_journal; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    telemctl::main()
}
