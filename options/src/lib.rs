//! The command line of the tools and probes.
//!
//! Station: between a program's words and its options. Options are defined
//! once, by clap: help, manual page and completions come from there. They are
//! read by the rules of getopt_long(3), which scripts rely on: letters stand
//! together, long names may be shortened, other words are ignored, the last of
//! several wins, and `-h` and `-V` act the moment they are met. Never runs the
//! program itself.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod config_file;
mod getopt;
#[cfg(test)]
mod getopt_of_the_c_library;

use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Command, FromArgMatches, Parser};

pub use config_file::ConfigFile;
use getopt::{End, Request};
use telemetry::os_text;

/// Why a program does not run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked for this text.
    Asked(String),
    /// There is no such option, or it lacks its value.
    Misused(String),
    /// The value of an option is refused.
    Refused(String),
}

impl Ended {
    /// Says so, and gives the exit status. Who used an unknown option gets the
    /// `hint`, too.
    pub fn report(self, hint: Option<&str>) -> ExitCode {
        match self {
            Self::Asked(text) => match io::stdout().lock().write_all(text.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    complain(format_args!("Error: standard output could not be written: {}", os_text(&error)));
                    ExitCode::FAILURE
                }
                _ => ExitCode::SUCCESS,
            },
            Self::Misused(message) => {
                complain(message);
                if let Some(hint) = hint {
                    complain(hint);
                }
                ExitCode::FAILURE
            }
            Self::Refused(message) => {
                complain(message);
                ExitCode::FAILURE
            }
        }
    }
}

/// Writes a line to standard error. Who closed that does not want to know.
pub fn complain(message: impl Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// Reads the words of a command line, the program's own name first.
pub fn read<T: Parser>(words: impl IntoIterator<Item = OsString>) -> Result<T, Ended> {
    read_by(T::command(), words)
}

/// The same, by a command that defines the options of `T`.
pub fn read_by<T: FromArgMatches>(command: Command, words: impl IntoIterator<Item = OsString>) -> Result<T, Ended> {
    let mut command = command.no_binary_name(true).args_override_self(true);
    command.build();
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_else(|| command.get_name().into());
    let read = getopt::read(&command, words);
    // What stands before an error, or before a call for help, counts first.
    let matches = command.try_get_matches_from_mut(read.arguments).map_err(refused)?;
    match read.end {
        End::Done => T::from_arg_matches(&matches).map_err(refused),
        End::Asked(Request::ShortHelp) => Err(Ended::Asked(command.render_help().to_string())),
        End::Asked(Request::LongHelp) => Err(Ended::Asked(command.render_long_help().to_string())),
        End::Asked(Request::Version) => Err(Ended::Asked(format!("{}\n", command.get_version().unwrap_or_default()))),
        End::Misused(misuse) => Err(Ended::Misused(format!("{}: {misuse}", program.to_string_lossy()))),
    }
}

/// The reason alone: programs have their own words for a refused value.
fn refused(error: clap::Error) -> Ended {
    Ended::Refused(error.source().map_or_else(|| error.to_string(), ToString::to_string))
}
