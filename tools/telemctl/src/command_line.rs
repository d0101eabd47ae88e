//! The command line. From these definitions come the parser, the help, the
//! manual pages and the completions of shells.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueHint};
use jiff::Timestamp;
use telemetry::Severity;

use crate::local_time;

/// Of every command that the C tool did not have, and of `journal`.
#[derive(Args, Debug)]
pub struct Help {
    /// Print this text
    #[arg(short, long, action = ArgAction::HelpLong)]
    pub help: Option<bool>,
}

/// What telemctl can be asked.
#[derive(Debug, Parser)]
#[command(
    name = "telemctl",
    version,
    about = "Control actions for telemetry services",
    // In the place of a command it is an unknown one, as it always was.
    disable_help_flag = true,
    disable_help_subcommand = true
)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, in the order of the usage text.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Stop all telemetry services
    Stop,

    /// Start all telemetry services
    ///
    /// Without a service manager, as in most containers, telemd itself is started: as user telemetry, in a
    /// session of its own.
    Start,

    /// Stop all telemetry services, and start them again
    Restart,

    /// Tell whether records are taken and sent
    IsActive,

    /// Allow records to be taken and sent; starts nothing
    OptIn,

    /// Withdraw that, stop all services, and delete what was collected
    ///
    /// Records that wait, were rejected or were kept, the journal and the machine id are deleted. Of the
    /// configuration nothing is.
    OptOut,

    /// Show which records were delivered
    ///
    /// Shows the last 100 lines of the journal, as far as they pass all filters.
    Journal(JournalOptions),

    /// Show on one screen how telemetry is doing
    Status(StatusOptions),

    /// Show what would leave this machine, and where each value comes from
    ///
    /// Sends nothing. Shows the request for a sample record, or for one with the class, severity and payload that
    /// are given.
    Preview(PreviewOptions),

    /// Look at records that wait for delivery, or delete them
    Spool {
        /// What to do with them.
        #[command(subcommand)]
        command: SpoolCommand,
        /// Help.
        #[command(flatten)]
        help: Help,
    },

    /// Look at records that the server rejected; try again, or delete them
    Rejected {
        /// What to do with them.
        #[command(subcommand)]
        command: RejectedCommand,
        /// Help.
        #[command(flatten)]
        help: Help,
    },

    /// Show the settings in effect, and where each comes from
    Config(ConfigOptions),

    /// Send a heartbeat, and wait until the server took it
    ///
    /// The heartbeat is a record of class org.clearlinux/heartbeat/ping and severity 1. If it does not arrive, the
    /// station where it stopped is named. Errors of delivery are told on standard error while it waits, since telemd
    /// tries again; after the timeout the last one is the reason.
    Test(TestOptions),
}

/// Of `journal`, and of telem_journal: read by the rules of getopt_long(3).
#[derive(Debug, Args)]
pub struct JournalOptions {
    /// Only the record with this id
    #[arg(short, long = "record_id", alias = "record-id", value_name = "ID", value_hint = ValueHint::Other)]
    pub record_id: Option<OsString>,

    /// Only records of the event with this id
    #[arg(short, long = "event_id", alias = "event-id", value_name = "ID", value_hint = ValueHint::Other)]
    pub event_id: Option<OsString>,

    /// Only records of this class, or, if it ends in /*, of those that start so
    #[arg(short, long, value_name = "CLASS", value_hint = ValueHint::Other)]
    pub classification: Option<OsString>,

    /// Only records that were delivered in the boot with this id
    #[arg(short, long = "boot_id", alias = "boot-id", value_name = "ID", value_hint = ValueHint::Other)]
    pub boot_id: Option<OsString>,

    /// Print also the payload, if it was kept (record_retention_enabled)
    #[arg(short, long = "include_record", alias = "include-record")]
    pub include_record: bool,

    /// Print also a header line and the number of records
    #[arg(short = 'V', long)]
    pub verbose: bool,

    /// Only records that were delivered at this time or later: RFC 3339, or relative to now as in -2h
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other, value_parser = local_time::parse)]
    pub since: Option<Timestamp>,

    /// Only records that were delivered before this time
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other, value_parser = local_time::parse)]
    pub until: Option<Timestamp>,

    /// Wait for more records, and print each when it is delivered
    #[arg(long)]
    pub follow: bool,

    /// Print each record as a JSON object in a line of its own
    #[arg(long)]
    pub json: bool,

    /// Help.
    #[command(flatten)]
    pub help: Help,
}

/// Of `status`.
#[derive(Debug, Args)]
pub struct StatusOptions {
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,

    /// Help.
    #[command(flatten)]
    pub help: Help,
}

/// Of `preview`.
#[derive(Debug, Args)]
pub struct PreviewOptions {
    /// Classification of the record
    #[arg(short, long = "class", value_name = "CLASS", value_hint = ValueHint::Other, default_value = "org.clearlinux/hello/world")]
    pub class: String,

    /// Severity of the record: 1 (low) to 4 (critical)
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other, default_value = "1", value_parser = severity)]
    pub severity: Severity,

    /// Payload of the record
    #[arg(short, long, value_name = "TEXT", value_hint = ValueHint::Other, default_value = "hello\n", hide_default_value = true)]
    pub payload: String,

    /// Configuration file to be used in place of the one that telemd would find
    #[arg(short = 'f', long = "config_file", alias = "config-file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config_file: Option<PathBuf>,

    /// Print a JSON object
    #[arg(long)]
    pub json: bool,

    /// Help.
    #[command(flatten)]
    pub help: Help,
}

/// Of `spool`.
#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// List the records that wait, in the order in which they will be delivered
    List(ListOptions),
    /// Print a record as it waits
    Show(ShowOptions),
    /// Delete all records that wait
    Purge(PurgeOptions),
}

/// Of `rejected`.
#[derive(Debug, Subcommand)]
pub enum RejectedCommand {
    /// List the records that the server rejected
    List(ListOptions),
    /// Print a record as it was rejected
    Show(ShowOptions),
    /// Put records into the spool again, all if none is named
    Retry {
        /// Ids of the list, or parts of them that no other has
        #[arg(value_name = "ID", value_hint = ValueHint::Other)]
        ids: Vec<String>,
        /// Help.
        #[command(flatten)]
        help: Help,
    },
    /// Delete all rejected records
    Purge(PurgeOptions),
}

/// Of every `list`.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// Print each record as a JSON object in a line of its own
    #[arg(long)]
    pub json: bool,

    /// Help.
    #[command(flatten)]
    pub help: Help,
}

/// Of every `show`.
#[derive(Debug, Args)]
pub struct ShowOptions {
    /// Id of the list, or a part of it that no other has
    #[arg(value_name = "ID", value_hint = ValueHint::Other)]
    pub id: String,

    /// Help.
    #[command(flatten)]
    pub help: Help,
}

/// Of every `purge`.
#[derive(Args, Debug)]
pub struct PurgeOptions {
    /// Help.
    #[command(flatten)]
    pub help: Help,
}

/// Of `config`.
#[derive(Debug, Args)]
pub struct ConfigOptions {
    /// Only tell whether the settings can be used
    #[arg(long)]
    pub check: bool,

    /// File to be looked at in place of the one that telemd would find
    #[arg(short = 'f', long = "config_file", alias = "config-file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config_file: Option<PathBuf>,

    /// Print a JSON object
    #[arg(long)]
    pub json: bool,

    /// Help.
    #[command(flatten)]
    pub help: Help,
}

/// Of `test`.
#[derive(Debug, Args)]
pub struct TestOptions {
    /// How long to wait for the server
    #[arg(long, value_name = "SECONDS", value_hint = ValueHint::Other, default_value_t = 30)]
    pub timeout: u32,

    /// Help.
    #[command(flatten)]
    pub help: Help,
}

fn severity(text: &str) -> Result<Severity, String> {
    let number: u32 = text.parse().map_err(|_| "not a number".to_owned())?;
    Severity::try_from(number).map_err(|error| error.to_string())
}

/// The whole command line.
pub fn telemctl() -> clap::Command {
    CommandLine::command()
}

/// The same for the journal's reader under its own name.
pub fn telem_journal() -> clap::Command {
    let journal = telemctl().get_subcommands().find(|command| command.get_name() == "journal").cloned();
    let journal = journal.unwrap_or_default().name("telem_journal").display_name("telem_journal");
    journal.bin_name("telem_journal").disable_help_flag(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        telemctl().debug_assert();
        telem_journal().debug_assert();
        assert_eq!(telem_journal().get_name(), "telem_journal");
    }

    #[test]
    fn t7_opting_in_is_not_described_as_starting_anything() {
        let commands = telemctl();
        let about = |name: &str| commands.find_subcommand(name).unwrap().get_about().unwrap().to_string();
        assert!(about("opt-in").contains("starts nothing"), "{}", about("opt-in"));
        assert!(about("opt-out").contains("stop") && about("opt-out").contains("delete"), "{}", about("opt-out"));
    }
}
