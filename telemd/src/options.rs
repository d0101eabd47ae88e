//! The command line.

use std::path::PathBuf;

use thiserror::Error;

pub(crate) const USAGE: &str = "\
Usage: telemd [-f FILE] [-v] [--check]

Takes telemetry records from a socket, keeps them on disk, and sends them to a
collector.

  -f, --config_file FILE  read this configuration file, and no other
      --check             check the configuration, print what it says, and end
      --stay              run in a session of its own, and do not end for want of
                          work: for a socket that nobody starts telemd for again
  -v, --verbose           say more of what is done
  -h, --help              print this text
  -V, --version           print the version
";

/// What the command line asks for.
pub(crate) enum Action {
    Run(Options),
    Print(String),
}

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) config_file: Option<PathBuf>,
    /// Only look at the configuration.
    pub(crate) check: bool,
    /// Nobody starts it again: telemctl has, without a service manager.
    pub(crate) stays: bool,
    /// Say more.
    pub(crate) is_verbose: bool,
}

#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct OptionsError(#[from] lexopt::Error);

/// Reads the command line, from left to right. Words that are no options are
/// ignored, as they always were.
pub(crate) fn parse() -> Result<Action, OptionsError> {
    use lexopt::prelude::*;
    let mut options = Options::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('f') | Long("config_file" | "config-file") => {
                options.config_file = Some(arguments.value()?.into());
            }
            Short('v') | Long("verbose") => options.is_verbose = true,
            Long("check") => options.check = true,
            Long("stay") => options.stays = true,
            Short('h') | Long("help") => return Ok(Action::Print(USAGE.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Action::Print(concat!(env!("CARGO_PKG_VERSION"), "\n").to_owned()));
            }
            Value(_) => {}
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Action::Run(options))
}
