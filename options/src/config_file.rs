//! The option `-f`, which every tool and probe has.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

/// An alternative configuration file. It counts for all records of the process
/// from the moment the option is met.
#[derive(Args, Clone, Debug)]
pub struct ConfigFile {
    /// Configuration file for this record: an absolute path
    ///
    /// The daemon uses it for this record, too, if it belongs to root or to the
    /// daemon's user and nobody else may write to it. The default is
    /// /etc/telemetrics/telemetrics.conf, or the one of the distribution.
    // The programs of the C project spelled it in both ways.
    #[arg(
        short = 'f',
        long = "config-file",
        alias = "config_file",
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(choose),
    )]
    pub config_file: Option<PathBuf>,
}

fn choose(path: OsString) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(path);
    telemetry::set_config_file(&path).map_err(|_| "Configuration file path not valid")?;
    Ok(path)
}
