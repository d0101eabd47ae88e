//! `journal`: the records that were delivered, from the journal's last lines.
//!
//! The file is only read: the daemon owns it, and it need not exist.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use options::Ended;
use record::{event_id, paths, spool_file};
use serde::Serialize;
use telemd::files;
use telemd::journal_line::{LINES_KEPT, Line};

use crate::command_line::{JournalOptions, telem_journal};
use crate::failure::Failure;
use crate::output::Output;
use crate::{follow, local_time};

/// A hundred times what it has after seconds of full load.
const JOURNAL_MAX: usize = 64 << 20;
const CLASSIFICATION_WIDTH: usize = 30;
/// Titles of the columns, and their widths.
const TITLES: [(&str, usize); 5] = [
    ("Classification", CLASSIFICATION_WIDTH),
    ("Time stamp", 27),
    ("Record ID", 32),
    ("Event ID", 32),
    ("Boot ID", 36),
];

/// Reads the options and shows the journal. `program` is what messages start
/// with.
pub(crate) fn main(program: &str, arguments: &[OsString], out: &mut Output) -> Result<ExitCode, Failure> {
    let mut command = telem_journal().bin_name(program);
    let words = [OsString::from(program)].into_iter().chain(arguments.iter().cloned());
    let message = match options::read_by::<JournalOptions>(command.clone(), words) {
        Ok(options) => return show(&options, out),
        Err(Ended::Asked(help)) => {
            write!(out, "{help}")?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(Ended::Misused(message)) => message,
        Err(Ended::Refused(reason)) => format!("{program}: {reason}"),
    };
    eprintln!("{message}");
    write!(out, "{}", command.render_long_help())?;
    Ok(ExitCode::FAILURE)
}

/// Shows the journal.
pub(crate) fn show(options: &JournalOptions, out: &mut Output) -> Result<ExitCode, Failure> {
    let journal = content(Path::new(paths::JOURNAL)).map_err(|error| {
        eprintln!("ERROR: Error while opening journal file: {}", telemetry::os_text(&error));
        Failure::new("Unable to open journal")
    })?;
    let lines: Vec<&[u8]> = lines_of(&journal).collect();
    let lines = lines.get(lines.len().saturating_sub(LINES_KEPT)..).unwrap_or_default();
    let view = View { options };
    view.header(out)?;
    let mut count = 0;
    for line in lines {
        count += usize::from(view.row(line, out)?);
    }
    if options.follow {
        out.flush()?;
        return follow::run(&view, lines.last().copied(), out);
    }
    view.total(count, out)?;
    Ok(ExitCode::SUCCESS)
}

/// The whole file; nothing if there is none. It is in a directory of telemd's,
/// where whoever took telemd over could put anything.
pub(crate) fn content(path: &Path) -> io::Result<Vec<u8>> {
    match files::read_regular_itself(path, JOURNAL_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// The lines, without their newlines. The last one counts without a newline,
/// too.
pub(crate) fn lines_of(journal: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = journal.strip_suffix(b"\n").unwrap_or(journal);
    whole.split(|&byte| byte == b'\n').filter(|_| !journal.is_empty())
}

/// What is shown of the journal, and how.
pub(crate) struct View<'a> {
    pub(crate) options: &'a JournalOptions,
}

/// A record, for programs.
#[derive(Serialize)]
struct Object<'a> {
    record_id: &'a str,
    timestamp: i64,
    time: String,
    classification: &'a str,
    event_id: &'a str,
    boot_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

impl View<'_> {
    fn header(&self, out: &mut Output) -> io::Result<()> {
        if !self.options.verbose || self.options.json {
            return Ok(());
        }
        let titles = TITLES.map(|(title, width)| format!("{title:width$}"));
        writeln!(out, "{}", titles.join(" "))
    }

    fn total(&self, count: usize, out: &mut Output) -> io::Result<()> {
        match self.options.verbose && !self.options.json {
            true => writeln!(out, "Total records: {count}"),
            false => Ok(()),
        }
    }

    /// Prints a line of the journal, if it is one and passes all filters; tells
    /// whether it did.
    pub(crate) fn row(&self, line: &[u8], out: &mut Output) -> io::Result<bool> {
        let Some(line) = Line::decode(line).filter(|line| self.passes(line)) else { return Ok(false) };
        let payload = if self.options.include_record { retained(line.record_id) } else { None };
        if self.options.json {
            let text = String::from_utf8_lossy;
            let object = Object {
                record_id: &text(line.record_id),
                timestamp: seconds(&line),
                time: local_time::rfc3339(seconds(&line)),
                classification: &text(line.classification),
                event_id: &text(line.event_id),
                boot_id: &text(line.boot_id),
                payload: payload.map(|payload| text(&payload).into_owned()),
            };
            out.json(&serde_json::to_string(&object)?)?;
            return Ok(true);
        }
        out.foreign(line.classification)?;
        let padding = CLASSIFICATION_WIDTH.saturating_sub(line.classification.len());
        write!(out, "{:padding$} {} ", "", local_time::shown(seconds(&line)))?;
        out.foreign(&[line.record_id, line.event_id, line.boot_id].join(&b' '))?;
        writeln!(out)?;
        out.foreign(&payload.unwrap_or_default())?;
        Ok(true)
    }

    fn passes(&self, line: &Line<'_>) -> bool {
        let is = |filter: &Option<OsString>, value: &[u8]| filter.as_deref().is_none_or(|f| f.as_bytes() == value);
        let time = seconds(line);
        let options = self.options;
        is(&options.record_id, line.record_id)
            && is(&options.event_id, line.event_id)
            && is(&options.boot_id, line.boot_id)
            && options.classification.as_deref().is_none_or(|class| is_of_class(class, line.classification))
            && options.since.is_none_or(|since| since.as_second() <= time)
            && options.until.is_none_or(|until| time < whole_seconds(until))
    }
}

/// Equal, or, if the filter ends in `/*`, of the classes that start so.
fn is_of_class(filter: &OsStr, classification: &[u8]) -> bool {
    let filter = filter.as_bytes();
    match filter.strip_suffix(b"*").filter(|prefix| prefix.ends_with(b"/")) {
        Some(prefix) => classification.starts_with(prefix),
        None => filter == classification,
    }
}

/// The first second that is not before a time.
fn whole_seconds(time: Timestamp) -> i64 {
    time.as_second() + i64::from(time.subsec_nanosecond() > 0)
}

/// When the line was written; what is no number is 0.
fn seconds(line: &Line<'_>) -> i64 {
    std::str::from_utf8(line.timestamp).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The copy of a payload, if there is one.
fn retained(record_id: &[u8]) -> Option<Vec<u8>> {
    // Another id could name a file anywhere.
    let is_name = event_id::is_valid(record_id);
    let path = Path::new(paths::RECORDS).join(OsStr::from_bytes(record_id));
    is_name.then(|| files::read_regular_itself(&path, spool_file::MAX).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d31_a_class_filter_of_any_length_is_read_within_its_bounds() {
        let is = |filter: &str, class: &[u8]| is_of_class(OsStr::new(filter), class);
        assert!(is("a/b/c", b"a/b/c") && !is("a/b/c", b"a/b/cd") && !is("a/b/C", b"a/b/c"));
        assert!(is("a/b/*", b"a/b/c") && is("a/b/*", b"a/b/") && !is("a/b/*", b"a/bc/d"), "the slash must match");
        assert!(is("a/*", b"a/b/c") && is("/*", b"/x/y") && !is("/*", b"a/b/c"));
        for short in ["", "*", "/", "a"] {
            assert!(!is(short, b"a/b/c"), "{short:?}");
        }
        assert!(!is("a/b*", b"a/b/c"), "only behind a slash");
    }

    #[test]
    fn a_record_id_that_is_none_names_no_file() {
        assert_eq!(retained(b"../../../../etc/passwd"), None);
        assert_eq!(retained(b""), None);
    }
}
