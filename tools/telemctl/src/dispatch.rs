//! From the command line to the command, in the order of checks that scripts
//! know: no command, an unknown one, rights, too many words.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use nix::unistd::getuid;

use crate::command_line::{Command, CommandLine, telemctl};
use crate::failure::Failure;
use crate::output::Output;
use crate::{
    config, is_active, journal, opt_in, opt_out, preview, rejected, restart, spool, start, status, stop, test,
};

/// A command line that cannot be understood.
const USAGE_ERROR: u8 = 2;
/// What a shell says of a program that was ended by SIGPIPE: nobody reads what
/// is printed any more.
const BROKEN_PIPE: u8 = 128 + 13;
/// Commands without options, of the C tool, that only root may give.
const PLAIN_OF_ROOT: [&str; 5] = ["stop", "start", "restart", "opt-in", "opt-out"];

/// The program.
pub fn main() -> ExitCode {
    let mut words = env::args_os();
    let program = words.next().unwrap_or_else(|| "telemctl".into());
    let words: Vec<OsString> = words.collect();
    let mut out = Output::new();
    let is_reader = Path::new(&program).file_name() == Some(OsStr::new("telem_journal"));
    let program = program.to_string_lossy();
    let done = match is_reader {
        true => journal::main(&program, &words, &mut out),
        false => dispatch(&program, &words, &mut out),
    };
    let flushed = out.flush().map_err(Failure::from);
    match done.and_then(|status| flushed.map(|()| status)) {
        Ok(status) => status,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(BROKEN_PIPE),
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(program: &str, words: &[OsString], out: &mut Output) -> Result<ExitCode, Failure> {
    let Some((command, arguments)) = words.split_first() else { return usage(program, out) };
    if command == "-V" || command == "--version" {
        writeln!(out, "{}", env!("CARGO_PKG_VERSION"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(name) = command.to_str().filter(|name| telemctl().find_subcommand(name).is_some()) else {
        writeln!(out, "Unknown command passed to {program}\n")?;
        return usage(program, out);
    };
    let is_plain_of_root = PLAIN_OF_ROOT.contains(&name);
    if (is_plain_of_root || name == "journal") && !getuid().is_root() {
        return Err(Failure::new("Must be root to run this command. Exiting..."));
    }
    if (is_plain_of_root || name == "is-active") && !arguments.is_empty() {
        return usage(program, out);
    }
    if name == "journal" {
        return journal::main(&format!("{program} journal"), arguments, out);
    }
    match CommandLine::try_parse_from([OsString::from(program)].iter().chain(words)) {
        Ok(line) => run(&line.command, out),
        // Help is one of them.
        Err(error) => {
            let _ = error.print();
            Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE_ERROR)))
        }
    }
}

fn run(command: &Command, out: &mut Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Stop => stop::run(),
        Command::Start => start::run(),
        Command::Restart => restart::run(),
        Command::IsActive => is_active::run(out),
        Command::OptIn => opt_in::run(out),
        Command::OptOut => opt_out::run(out),
        Command::Journal(options) => journal::show(options, out),
        Command::Status(options) => status::run(options, out),
        Command::Preview(options) => preview::run(options, out),
        Command::Spool { command, .. } => spool::run(command, out),
        Command::Rejected { command, .. } => rejected::run(command, out),
        Command::Config(options) => config::run(options, out),
        Command::Test(options) => test::run(options, out),
    }
}

fn usage(program: &str, out: &mut Output) -> Result<ExitCode, Failure> {
    let telemctl = telemctl();
    let about = |command: &clap::Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(out, "{program} - {}\n", about(&telemctl))?;
    for command in telemctl.get_subcommands() {
        writeln!(out, "  {:9} {}", command.get_name(), about(command))?;
    }
    writeln!(out, "\nOptions of a command: {program} COMMAND --help. Everything: man telemctl.")?;
    Ok(ExitCode::from(USAGE_ERROR))
}
