//! `test`: a heartbeat on its whole way, and the station where it stopped if it
//! did not arrive.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use record::config::Key;
use record::header::{Header, Headers};
use record::paths;
use record::spool_file::SpoolFile;
use telemd::journal_line::Line;
use telemd::report::Report;
use telemd::settings;
use telemetry::{Record, Severity};

use crate::command_line::TestOptions;
use crate::directory_watch::DirectoryWatch;
use crate::failure::Failure;
use crate::output::Output;
use crate::record_files::RecordFiles;
use crate::{advice, config, journal};

/// As hprobe has it.
const CLASS: &str = "org.clearlinux/heartbeat/ping";
const PAYLOAD: &str = "hello\n";

/// Where the heartbeat stopped. The numbers are exit statuses.
#[derive(Clone, Copy)]
enum Station {
    Consent = 3,
    Socket = 4,
    Intake = 5,
    Courier = 6,
    Server = 7,
    SwitchedOff = 8,
}

/// Sends a heartbeat; tells by its status where it came to.
pub(crate) fn run(options: &TestOptions, out: &mut Output) -> Result<ExitCode, Failure> {
    if !telemetry::is_opted_in() {
        return stopped(Station::Consent, out, "this machine is not opted in; telemctl opt-in");
    }
    let loaded = settings::read_settings(None).map_err(Failure::new)?;
    let mut record =
        Record::new(Severity::Low, CLASS, 1).and_then(|record| record.payload(PAYLOAD)).map_err(Failure::new)?;
    let event_id = event_id(&record)?;
    let before = Report::read(Path::new(paths::STATUS)).ok();
    let watch = Watch::new(event_id, before);
    if let Err(error) = record.send() {
        let socket = loaded.settings.shown(Key::SocketPath);
        let remedy = error.remedy().unwrap_or("Its log may say more (journalctl -u telemd).");
        return match error.is_about_connecting() {
            true => stopped(Station::Socket, out, format_args!("{socket}: {error}\n{remedy}")),
            false => stopped(Station::Intake, out, format_args!("telemd did not take it: {error}\n{remedy}")),
        };
    }
    writeln!(out, "telemd took the heartbeat, event {}", String::from_utf8_lossy(&watch.event_id))?;
    out.flush()?;
    if !loaded.settings.boolean(Key::RecordServerDeliveryEnabled) {
        let reason = "it was noted and not sent: record_server_delivery_enabled is false";
        return stopped(Station::SwitchedOff, out, reason);
    }
    match watch.arrival(Duration::from_secs(options.timeout.into()))? {
        Arrival::Delivered => {
            writeln!(out, "the server took it: {}", config::destination(&loaded))?;
            Ok(ExitCode::SUCCESS)
        }
        Arrival::Rejected(reason) => stopped(
            Station::Server,
            out,
            format_args!("the server rejected it: {reason}; {}", advice::on_error(&reason)),
        ),
        Arrival::Failed(reason) => {
            let advice = advice::on_error(&reason);
            stopped(Station::Courier, out, format_args!("it waits in the spool, delivery fails: {reason}; {advice}"))
        }
        Arrival::Unknown(reason) => {
            let seconds = options.timeout;
            stopped(Station::Courier, out, format_args!("it was not delivered within {seconds} s; {reason}"))
        }
    }
}

fn stopped(station: Station, out: &mut Output, reason: impl std::fmt::Display) -> Result<ExitCode, Failure> {
    let name = match station {
        Station::Consent => "consent",
        Station::Socket => "the socket of telemd",
        Station::Intake => "the intake of telemd",
        Station::Courier => "the way to the server",
        Station::Server => "the server",
        Station::SwitchedOff => "telemd",
    };
    // telemd tells what a server said.
    out.foreign(format!("stopped at {name}: {reason}\n").as_bytes())?;
    Ok(ExitCode::from(station as u8))
}

fn event_id(record: &Record) -> Result<Vec<u8>, Failure> {
    let lines = record.header_lines().concat();
    let (headers, _) = Headers::decode(&lines).map_err(Failure::new)?;
    Ok(headers.get(Header::EventId).to_vec())
}

/// What became of the heartbeat.
enum Arrival {
    Delivered,
    Rejected(String),
    Failed(String),
    Unknown(String),
}

/// Looks at what telemd writes.
struct Watch {
    event_id: Vec<u8>,
    /// What telemd told before.
    before: Option<Report>,
}

impl Watch {
    fn new(event_id: Vec<u8>, before: Option<Report>) -> Self {
        Self { event_id, before }
    }

    fn arrival(&self, patience: Duration) -> Result<Arrival, Failure> {
        let start = Instant::now();
        let directories = [paths::JOURNAL, paths::STATUS].map(|file| Path::new(file).parent());
        let visible: Vec<&Path> = directories.into_iter().flatten().filter(|path| path.read_dir().is_ok()).collect();
        let mut watch = DirectoryWatch::new(&visible)?;
        loop {
            if let Some(arrival) = self.look()? {
                return Ok(arrival);
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(Arrival::Unknown(self.reason_to_wait()));
            }
            watch.wait(Some(left))?;
        }
    }

    fn look(&self) -> Result<Option<Arrival>, Failure> {
        let report = Report::read(Path::new(paths::STATUS)).ok();
        match journal::content(Path::new(paths::JOURNAL)) {
            Ok(journal) => {
                let mut lines = journal::lines_of(&journal).filter_map(Line::decode);
                if lines.any(|line| line.event_id == self.event_id) {
                    return Ok(Some(Arrival::Delivered));
                }
            }
            // Who must not read the journal goes by the counter.
            Err(_) => {
                let delivered = |report: &Option<Report>| report.as_ref().map_or(0, |report| report.delivered);
                if delivered(&report) > delivered(&self.before) {
                    return Ok(Some(Arrival::Delivered));
                }
            }
        }
        let Some(report) = report else { return Ok(None) };
        let Some(error) = &report.last_error else { return Ok(None) };
        let known = self.before.as_ref().and_then(|before| before.last_error.as_ref());
        if known == Some(error) {
            return Ok(None);
        }
        if report.back_off_until.is_some() {
            return Ok(Some(Arrival::Failed(error.message.clone())));
        }
        // A record was rejected; which one, tells the place that it goes to.
        Ok(self.is_rejected(&report).then(|| Arrival::Rejected(error.message.clone())))
    }

    /// Whether the heartbeat is among the rejected records. Who must not look
    /// goes by their number.
    fn is_rejected(&self, report: &Report) -> bool {
        let Ok(rejected) = RecordFiles::rejected() else { return false };
        let Ok(names) = rejected.names() else {
            return report.rejected > self.before.as_ref().map_or(0, |before| before.rejected);
        };
        let is_ours = |content: &[u8]| {
            SpoolFile::decode(content).is_ok_and(|record| record.headers.get(Header::EventId) == self.event_id)
        };
        names.iter().any(|name| rejected.read(name).ok().flatten().is_some_and(|waiting| is_ours(&waiting.content)))
    }

    /// Why nothing may have happened.
    fn reason_to_wait(&self) -> String {
        match Report::read(Path::new(paths::STATUS)) {
            Ok(Report { back_off_until: Some(_), last_error: Some(error), .. }) => {
                format!("telemd waits after an error: {}; {}", error.message, advice::on_error(&error.message))
            }
            Ok(report) if report.spooled > 1 => {
                format!("{} records wait; a rate limit may hold them: telemctl status", report.spooled)
            }
            _ => "telemctl status may tell more".to_owned(),
        }
    }
}
