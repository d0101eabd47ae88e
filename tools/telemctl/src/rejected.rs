//! `rejected`: the records that no server took.

use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use record::config::Key;
use telemd::settings;
use telemd::spool_name::{Name, nanoseconds};

use crate::command_line::RejectedCommand;
use crate::failure::Failure;
use crate::output::Output;
use crate::record_files::RecordFiles;

/// Lists, shows, retries or deletes them.
pub(crate) fn run(command: &RejectedCommand, out: &mut Output) -> Result<ExitCode, Failure> {
    let rejected = RecordFiles::rejected()?;
    match command {
        RejectedCommand::List(options) => rejected.list(options.json, out)?,
        RejectedCommand::Show(options) => rejected.show(&options.id, out)?,
        RejectedCommand::Retry { ids, .. } => return retry(&rejected, ids, out),
        RejectedCommand::Purge(_) => writeln!(out, "Records deleted: {}", rejected.purge()?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts records into the spool again, as if they came now: their old age could
/// be that of records which are deleted.
fn retry(rejected: &RecordFiles, ids: &[String], out: &mut Output) -> Result<ExitCode, Failure> {
    let spool = RecordFiles::spool()?;
    let names = match ids {
        [] => rejected.names()?,
        ids => ids.iter().map(|id| rejected.find(id)).collect::<Result<_, _>>()?,
    };
    let mut count = 0;
    let mut arrival = nanoseconds(SystemTime::now());
    for name in &names {
        arrival += 1;
        let renewed = match name.uid {
            Some(uid) => Name::new(name.urgency, arrival, uid, std::process::id()),
            None => name.clone(),
        };
        let file = rejected.path(name);
        match spool.take(&file, &renewed) {
            Ok(()) => {
                rejected.forget_reason(name);
                count += 1;
            }
            // One bad file keeps none of the others here.
            Err(error) => eprintln!("{}", Failure::at(&file, &error)),
        }
    }
    let loaded = settings::read_settings(None).map_err(Failure::new)?;
    writeln!(
        out,
        "Records put into the spool again: {}. A telemd that runs finds them within {} seconds.",
        count,
        loaded.settings.shown(Key::SpoolProcessTime)
    )?;
    Ok(if count == names.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
