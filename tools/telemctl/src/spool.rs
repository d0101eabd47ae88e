//! `spool`: the records that wait for delivery.

use std::io::Write;
use std::process::ExitCode;

use crate::command_line::SpoolCommand;
use crate::failure::Failure;
use crate::output::Output;
use crate::record_files::RecordFiles;

/// Lists, shows or deletes them.
pub(crate) fn run(command: &SpoolCommand, out: &mut Output) -> Result<ExitCode, Failure> {
    let spool = RecordFiles::spool()?;
    match command {
        SpoolCommand::List(options) => spool.list(options.json, out)?,
        SpoolCommand::Show(options) => spool.show(&options.id, out)?,
        SpoolCommand::Purge(_) => writeln!(out, "Records deleted: {}", spool.purge()?)?,
    }
    Ok(ExitCode::SUCCESS)
}
