//! The options: the source of help, manual page and completions, too.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, ValueHint};
use options::ConfigFile;

use crate::fields;

/// Create a telemetry record and send it
#[derive(Clone, Debug, Parser)]
#[command(name = "telem-record-gen", version, override_usage = "telem-record-gen -c CLASS [OPTIONS]")]
pub struct CommandLine {
    /// Classification, as in org.example/disk/full (required)
    ///
    /// It has three parts, separated by slashes: at most 122 characters in all,
    /// 41 in the first part and 40 in each of the others. Parts may be empty.
    /// Required.
    #[arg(short, long, value_name = "CLASS", value_hint = ValueHint::Other)]
    pub class: Option<OsString>,

    /// Severity: 1 (low), 2 (medium), 3 (high) or 4 (critical)
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other, default_value = "1", value_parser = number("severity"))]
    pub severity: u32,

    /// Payload; without -p and -P, it is read from standard input
    #[arg(short, long, value_name = "TEXT", value_hint = ValueHint::Other)]
    pub payload: Option<OsString>,

    /// File with the payload; counts more than -p
    #[arg(short = 'P', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub payload_file: Option<PathBuf>,

    /// Version of the payload's format, 0 to 4294967295
    #[arg(short = 'R', long, value_name = "N", value_hint = ValueHint::Other, default_value = "1", value_parser = number("record-version"))]
    pub record_version: u32,

    /// Event id, 32 characters of 0123456789abcdef [default: random]
    ///
    /// Records that belong to one event carry the same id: 32 characters of
    /// 0123456789abcdef. Without this option, the record gets a random one.
    #[arg(short, long, value_name = "ID", value_hint = ValueHint::Other)]
    pub event_id: Option<OsString>,

    /// Print the record on standard output
    #[arg(short = 'o', long)]
    pub echo: bool,

    /// Do not send the record, print it
    #[arg(short, long)]
    pub no_post: bool,

    /// The option `-f`.
    #[command(flatten)]
    pub config_file: ConfigFile,
}

/// A number of 32 bits, which is called so in complaints.
fn number(name: &'static str) -> impl TypedValueParser<Value = u32> {
    OsStringValueParser::new().try_map(move |text| fields::number(name, &text))
}
