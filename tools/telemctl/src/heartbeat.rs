//! What became of a heartbeat: looks at what telemd writes, until it is known or
//! patience ends.

use std::path::Path;
use std::time::{Duration, Instant};

use record::header::Header;
use record::paths;
use record::spool_file::SpoolFile;
use telemd::journal_line::Line;
use telemd::report::Report;

use crate::directory_watch::DirectoryWatch;
use crate::failure::Failure;
use crate::record_files::RecordFiles;
use crate::{advice, journal, running};

/// How long telemd may take to tell of a delivery that is in its journal.
const TELLS_WITHIN: Duration = Duration::from_secs(3);

/// Where it came to.
pub(crate) enum Arrival {
    Delivered,
    /// It was noted, and delivery is switched off.
    Kept,
    Rejected(String),
    /// It was over a rate limit.
    Dropped,
    /// It waits after the last error of telemd, if there is one.
    Waiting(Option<String>),
}

/// A heartbeat that was sent, or is to be.
pub(crate) struct Heartbeat {
    event_id: Vec<u8>,
    /// What telemd told before it was sent.
    before: Option<Report>,
}

impl Heartbeat {
    pub(crate) fn new(event_id: Vec<u8>) -> Self {
        Self { event_id, before: Report::read(Path::new(paths::STATUS)).ok() }
    }

    /// Waits until it is known; tells each error that telemd has meanwhile.
    pub(crate) fn arrival(&self, patience: Duration) -> Result<Arrival, Failure> {
        let start = Instant::now();
        let directories = [paths::JOURNAL, paths::STATUS].map(|file| Path::new(file).parent());
        let visible: Vec<&Path> = directories.into_iter().flatten().filter(|path| path.read_dir().is_ok()).collect();
        let mut watch = DirectoryWatch::new(&visible)?;
        let (mut told, mut delivered) = (None, None);
        loop {
            let report = running::report();
            // It is in the journal then, too.
            if report.as_ref().is_some_and(|report| self.is_kept(report)) {
                return Ok(Arrival::Kept);
            }
            let is_told = report.as_ref().is_some_and(|report| self.more(report, |report| report.delivered));
            if delivered.is_none() && (self.is_in_journal().unwrap_or(is_told)) {
                delivered = Some(Instant::now());
            }
            // Who asks for the status next shall see it there, too.
            let left = match delivered {
                Some(_) if is_told => return Ok(Arrival::Delivered),
                Some(since) => TELLS_WITHIN.saturating_sub(since.elapsed()),
                None => patience.saturating_sub(start.elapsed()),
            };
            if delivered.is_none() {
                if let Some(arrival) = report.as_ref().and_then(|report| self.end(report)) {
                    return Ok(arrival);
                }
            }
            let error = report.as_ref().and_then(|report| self.error(report));
            if left.is_zero() {
                return Ok(if delivered.is_some() { Arrival::Delivered } else { Arrival::Waiting(error) });
            }
            if let Some(error) = error.filter(|error| delivered.is_none() && told.as_ref() != Some(error)) {
                eprintln!("it waits: {error}; {}", advice::on_error(&error));
                told = Some(error);
            }
            watch.wait(Some(left))?;
        }
    }

    /// The end of its way that is none at the server.
    fn end(&self, report: &Report) -> Option<Arrival> {
        if self.more(report, |report| report.rejected) && self.is_in(RecordFiles::rejected()).unwrap_or(true) {
            let reason = report.last_error.as_ref().map(|error| error.message.clone());
            return Some(Arrival::Rejected(reason.unwrap_or_default()));
        }
        let is_dropped =
            self.more(report, |report| report.dropped) && !self.is_in(RecordFiles::spool()).unwrap_or(false);
        is_dropped.then_some(Arrival::Dropped)
    }

    fn is_kept(&self, report: &Report) -> bool {
        report.server.is_none() && self.more(report, |report| report.kept_locally)
    }

    /// Whether a counter of telemd rose since it was sent.
    fn more(&self, report: &Report, counter: impl Fn(&Report) -> u64) -> bool {
        let is_same = |before: &&Report| (before.pid, before.started) == (report.pid, report.started);
        counter(report) > self.before.as_ref().filter(is_same).map_or(0, counter)
    }

    /// The error that it waits after: one that came since, or that telemd waits
    /// after anyway.
    fn error(&self, report: &Report) -> Option<String> {
        let known = self.before.as_ref().and_then(|before| before.last_error.as_ref());
        let error = report.last_error.as_ref().filter(|error| report.back_off_until.is_some() || known != Some(*error));
        error.map(|error| error.message.clone())
    }

    /// `None`: only root may look.
    fn is_in_journal(&self) -> Option<bool> {
        let journal = journal::content(Path::new(paths::JOURNAL)).ok()?;
        let mut lines = journal::lines_of(&journal).filter_map(Line::decode);
        Some(lines.any(|line| line.event_id == self.event_id))
    }

    /// The same of a directory of records.
    fn is_in(&self, files: Result<RecordFiles, Failure>) -> Option<bool> {
        let files = files.ok()?;
        let is_ours = |content: &[u8]| {
            SpoolFile::decode(content).is_ok_and(|record| record.headers.get(Header::EventId) == self.event_id)
        };
        let names = files.names().ok()?;
        Some(names.iter().any(|name| files.read(name).ok().flatten().is_some_and(|waiting| is_ours(&waiting.content))))
    }
}
