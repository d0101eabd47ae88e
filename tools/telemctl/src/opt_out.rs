//! `opt-out`: consent first, so that from this moment nothing is taken or sent;
//! then the services, then everything that was collected.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use record::paths;
use telemd::opt_in::OptIn;

use crate::failure::Failure;
use crate::output::{Output, records};
use crate::record_files::RecordFiles;
use crate::{stop, work_directories};

/// Opts out. Goes on after a failure, and tells of it by its status.
pub(crate) fn run(out: &mut Output) -> Result<ExitCode, Failure> {
    match withdraw() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !is_something_left() {
                eprintln!("Already opted out. Nothing to do.");
                return Ok(ExitCode::SUCCESS);
            }
            eprintln!("Already opted out. Deleting what was left.");
        }
        Err(_) => return Err(Failure::new(format_args!("Failed to remove {}.", paths::OPT_IN))),
        Ok(()) => {}
    }
    let are_stopped = stop::all();
    let mut records_are_gone = true;
    // Records may be in a directory of the configuration, which is not deleted.
    let mut purge = |files: Result<RecordFiles, Failure>| {
        said(files.and_then(|files| files.purge())).unwrap_or_else(|| {
            records_are_gone = false;
            0
        })
    };
    let [waiting, rejected] = [purge(RecordFiles::spool()), purge(RecordFiles::rejected())];
    if let Ok(files) = RecordFiles::rejected() {
        // That of another spool is in no list. What others put there keeps it.
        let _ = fs::remove_dir(files.directory());
    }
    let kept = purge(Ok(RecordFiles::retained(Path::new(paths::RECORDS))));
    let directories_are_gone = said(work_directories::remove()).unwrap_or(false);
    if are_stopped {
        // What it tells is of the consent that ended. Without one it is gone.
        let _ = fs::remove_file(paths::STATUS);
    }
    if !records_are_gone {
        let _ = said(remember_withdrawal());
    }
    let all = records(waiting + rejected + kept);
    writeln!(out, "Removed {all}: {waiting} waiting, {rejected} rejected, {kept} kept copies.")?;
    Ok(ExitCode::from(u8::from(!(are_stopped && records_are_gone && directories_are_gone))))
}

/// Removes the consent, also if the power fails in the next moment.
fn withdraw() -> io::Result<()> {
    let file = Path::new(paths::OPT_IN);
    fs::remove_file(file)?;
    if let Some(directory) = file.parent() {
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        said(synced.map_err(|error| Failure::at(directory, &error)));
    }
    Ok(())
}

/// Whether an opt-out before was interrupted or incomplete, or the consent was
/// removed by hand.
fn is_something_left() -> bool {
    let has_records = |files: RecordFiles| files.names().is_ok_and(|names| !names.is_empty());
    let of_configuration = [RecordFiles::spool(), RecordFiles::rejected()];
    of_configuration.into_iter().flatten().any(has_records) || work_directories::have_files()
}

/// What is left must not be sent under the next consent. telemd's memory of
/// this one is in a directory that is deleted, too.
fn remember_withdrawal() -> Result<(), Failure> {
    let memory = Path::new(paths::CONSENT);
    let failed = |error| Failure::at(memory, &error);
    if let Some(directory) = memory.parent().filter(|directory| !directory.exists()) {
        work_directories::make(directory, 0o755, work_directories::owner()?).map_err(failed)?;
    }
    OptIn::at(Path::new(paths::OPT_IN), memory).forget().map_err(failed)
}

/// The value; says why there is none.
fn said<T>(done: Result<T, Failure>) -> Option<T> {
    done.inspect_err(|failure| eprintln!("{failure}")).ok()
}
