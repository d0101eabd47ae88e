//! `opt-out`: consent first, so that from this moment nothing is taken or sent;
//! then the services, then everything that was collected.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use record::paths;

use crate::failure::Failure;
use crate::output::{Output, records};
use crate::record_files::RecordFiles;
use crate::{stop, work_directories};

/// Opts out. Goes on after a failure, and tells of it by its status.
pub(crate) fn run(out: &mut Output) -> Result<ExitCode, Failure> {
    match fs::remove_file(paths::OPT_IN) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("Already opted out. Nothing to do.");
            return Ok(ExitCode::SUCCESS);
        }
        Err(_) => return Err(Failure::new(format_args!("Failed to remove {}.", paths::OPT_IN))),
        Ok(()) => {}
    }
    let mut all_is_well = stop::all();
    // Records may be in a directory of the configuration, which is not deleted.
    let mut purge = |files: Result<RecordFiles, Failure>| match files.and_then(|files| files.purge()) {
        Ok(count) => count,
        Err(failure) => {
            eprintln!("{failure}");
            all_is_well = false;
            0
        }
    };
    let [waiting, rejected] = [purge(RecordFiles::spool()), purge(RecordFiles::rejected())];
    if let Ok(files) = RecordFiles::rejected() {
        // It is in no list. What others put there keeps it.
        let _ = fs::remove_dir(files.directory());
    }
    let kept = purge(Ok(RecordFiles::retained(Path::new(paths::RECORDS))));
    match work_directories::remove() {
        Ok(all_are_gone) => all_is_well &= all_are_gone,
        Err(failure) => {
            eprintln!("{failure}");
            all_is_well = false;
        }
    }
    let all = records(waiting + rejected + kept);
    writeln!(out, "Removed {all}: {waiting} waiting, {rejected} rejected, {kept} kept copies.")?;
    Ok(ExitCode::from(u8::from(!all_is_well)))
}
