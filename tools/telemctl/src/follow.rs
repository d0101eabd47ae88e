//! `journal --follow`: each record when it is delivered.
//!
//! The journal is cut back by replacing it. So it is read as a whole whenever
//! it changed, from the line behind the last one that was seen.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use record::paths;

use crate::directory_watch::DirectoryWatch;
use crate::failure::Failure;
use crate::journal::{self, View};
use crate::output::Output;

/// Prints what comes, until `--until`, or until it is interrupted.
pub(crate) fn run(view: &View<'_>, last: Option<&[u8]>, out: &mut Output) -> Result<ExitCode, Failure> {
    let path = Path::new(paths::JOURNAL);
    let mut last = last.map(<[u8]>::to_vec);
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut watch = DirectoryWatch::new(&[directory])?;
    loop {
        // First, for what came before the watch was there.
        let mut content = journal::content(path).map_err(|error| Failure::at(path, &error))?;
        // A line without its newline is not complete yet.
        content.truncate(content.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1));
        let lines: Vec<&[u8]> = journal::lines_of(&content).collect();
        // A record id is as good as random: no line comes twice.
        let seen = last.as_ref().and_then(|last| lines.iter().rposition(|line| line == last));
        for line in lines.iter().skip(seen.map_or(0, |seen| seen + 1)) {
            view.row(line, out)?;
        }
        if let Some(line) = lines.last() {
            last = Some(line.to_vec());
        }
        out.flush()?;
        let patience = match view.options.until {
            Some(until) => match SystemTime::from(until).duration_since(SystemTime::now()) {
                Ok(left) => Some(left),
                Err(_) => return Ok(ExitCode::SUCCESS),
            },
            None => None,
        };
        watch.wait(patience.map(|left| left + Duration::from_millis(1)))?;
    }
}
