//! `status`: one screen that tells whether telemetry works, and if not, what to
//! do about it.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use record::config::Key;
use record::paths;
use serde::Serialize;
use telemd::report::{LastError, Report, State};
use telemd::settings::{self, Loaded, SettingsError};

use crate::command_line::StatusOptions;
use crate::destination::Destination;
use crate::failure::Failure;
use crate::is_active::INACTIVE;
use crate::output::{Mood, Output, one_line, records};
use crate::record_files::RecordFiles;
use crate::{advice, local_time, running, units};

/// Exit status if it is switched on and does not work.
const TROUBLE: u8 = 4;
/// Units whose state is shown.
const UNITS: [&str; 4] = ["telemd.socket", "telemd.path", "telemd.service", "hprobe.timer"];

/// What is known, for programs.
#[derive(Serialize)]
struct Status {
    opted_in: bool,
    running: bool,
    units: Vec<Unit>,
    #[serde(flatten)]
    destination: Option<Destination>,
    configuration_error: Option<String>,
    spool: Shelf,
    rejected: Shelf,
    telemd: Option<Report>,
    /// Whether records are not delivered, or not taken, now.
    failing: bool,
    advice: Option<String>,
}

#[derive(Serialize)]
struct Unit {
    unit: &'static str,
    state: String,
}

/// Records in files. What this user must not see is not known.
#[derive(Serialize, Default)]
struct Shelf {
    records: Option<u64>,
    bytes: Option<u64>,
    limit: Option<u64>,
}

/// Shows the status; tells by its own whether all is well.
pub(crate) fn run(options: &StatusOptions, out: &mut Output) -> Result<ExitCode, Failure> {
    let loaded = settings::read_settings(None);
    let status = look(&loaded);
    match options.json {
        true => out.json(&serde_json::to_string_pretty(&status).map_err(io::Error::from)?)?,
        false => print(&status, out)?,
    }
    Ok(if !status.opted_in || !status.running {
        ExitCode::from(INACTIVE)
    } else if status.failing || status.configuration_error.is_some() {
        ExitCode::from(TROUBLE)
    } else {
        ExitCode::SUCCESS
    })
}

fn look(loaded: &Result<Loaded, SettingsError>) -> Status {
    let opted_in = telemetry::is_opted_in();
    let units: Vec<Unit> = match units::are_managed() {
        true => UNITS.map(|unit| Unit { unit, state: units::state(unit) }).into(),
        false => Vec::new(),
    };
    // A socket that listens starts telemd when it is needed.
    let is_active = |unit: &Unit| unit.state == "active" && ["telemd.socket", "telemd.service"].contains(&unit.unit);
    let running = running::is_running() || units.iter().any(is_active);
    let report = Report::read(Path::new(paths::STATUS)).ok();
    let failing = report.as_ref().is_some_and(|report| trouble(report).is_some());
    let in_use = running::report();
    let loaded = loaded.as_ref();
    let mut spool = shelf(RecordFiles::spool());
    spool.records = spool.records.or_else(|| report.as_ref().map(|report| report.spooled));
    spool.limit = loaded.ok().and_then(|loaded| {
        let kibibytes = u64::try_from(loaded.settings.integer(Key::SpoolMaxSize)).ok();
        kibibytes.map(|kibibytes| kibibytes.saturating_mul(1024))
    });
    let configuration_error = loaded.err().map(ToString::to_string);
    let mut status = Status {
        opted_in,
        running,
        units,
        destination: loaded.ok().map(|loaded| Destination::of(loaded, in_use.as_ref())),
        configuration_error,
        spool,
        rejected: shelf(RecordFiles::rejected()),
        telemd: report,
        failing,
        advice: None,
    };
    status.advice = advise(&status);
    status
}

fn shelf(files: Result<RecordFiles, Failure>) -> Shelf {
    match files.and_then(|files| files.size()) {
        Ok((records, bytes)) => Shelf { records: Some(records), bytes: Some(bytes), limit: None },
        Err(_) => Shelf::default(),
    }
}

/// What to do next.
fn advise(status: &Status) -> Option<String> {
    if !status.opted_in {
        return Some("to switch telemetry on: telemctl opt-in, telemctl start".to_owned());
    }
    if status.configuration_error.is_some() {
        return Some("correct the file; telemctl config --check tells whether it can be used".to_owned());
    }
    if !status.running {
        return Some("telemctl start".to_owned());
    }
    if let Some(advice) = status.telemd.as_ref().and_then(trouble) {
        return Some(advice.to_owned());
    }
    status.destination.as_ref().and_then(Destination::warning).map(str::to_owned)
}

/// What to do about the last error or refusal, if no delivery worked since. One
/// in the same second may have.
fn trouble(report: &Report) -> Option<&'static str> {
    let delivered = report.last_delivery.unwrap_or_default();
    let unresolved = |event: &Option<LastError>| event.clone().filter(|event| event.time > delivered);
    let (error, refusal) = (unresolved(&report.last_error), unresolved(&report.last_refusal));
    error
        .map(|error| advice::on_error(&error.message))
        .or_else(|| refusal.map(|refusal| advice::on_refusal(&refusal.message)))
}

fn print(status: &Status, out: &mut Output) -> io::Result<()> {
    let line = |out: &mut Output, title: &str, text: String| writeln!(out, "{title:12} {text}");
    let consent = match status.opted_in {
        true => out.coloured(Mood::Good, "opted in"),
        false => out.coloured(Mood::Notable, "not opted in: nothing is taken or sent"),
    };
    line(out, "telemetry", consent)?;
    let service = service(status, out);
    line(out, "service", service)?;
    for Unit { unit, state } in &status.units {
        line(out, "", format!("{unit}: {state}"))?;
    }
    match (&status.destination, &status.configuration_error) {
        (Some(destination), _) => line(out, "server", destination.to_string())?,
        (None, error) => {
            let error = out.coloured(Mood::Bad, error.as_deref().unwrap_or_default());
            line(out, "settings", error)?;
        }
    }
    let unknown = match status.configuration_error {
        Some(_) => "not known until the configuration is put right",
        None => "only root may look",
    };
    line(out, "spool", shown(&status.spool, unknown))?;
    line(out, "rejected", shown(&status.rejected, unknown))?;
    if let Some(report) = &status.telemd {
        deliveries(status, report, out)?;
    }
    if let Some(advice) = &status.advice {
        line(out, "to do", advice.clone())?;
    }
    Ok(())
}

fn service(status: &Status, out: &Output) -> String {
    let report = status.telemd.as_ref();
    match (status.running, report.filter(|report| report.state != State::Stopped)) {
        (true, Some(report)) => {
            let since = local_time::shown_unsigned(report.started);
            let text = match report.state {
                State::NotOptedIn => format!("telemd waits for consent (process {}, since {since})", report.pid),
                _ => format!("telemd runs (process {}, since {since})", report.pid),
            };
            out.coloured(Mood::Good, text)
        }
        (true, None) => out.coloured(Mood::Good, "telemd starts when a record comes"),
        (false, _) => out.coloured(if status.opted_in { Mood::Bad } else { Mood::Notable }, "telemd does not run"),
    }
}

/// What telemd did since it started.
fn deliveries(status: &Status, report: &Report, out: &mut Output) -> io::Result<()> {
    let last = match report.last_delivery {
        Some(time) => format!(", the last at {}", local_time::shown_unsigned(time)),
        None => String::new(),
    };
    writeln!(out, "{:12} {} since it started{last}", "delivered", records(report.delivered))?;
    let counts = [
        ("kept here", report.kept_locally),
        ("expired", report.expired),
        ("dropped", report.dropped),
        ("refused", report.refused.values().sum()),
    ];
    for (title, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        writeln!(out, "{title:12} {} since it started", records(count))?;
    }
    for (reason, count) in report.refused.iter().filter(|(_, count)| **count > 0) {
        writeln!(out, "{:12} {}: {count}", "", one_line(reason.as_bytes()))?;
    }
    if let Some(error) = &report.last_error {
        let text = one_line(error.message.as_bytes());
        let text = match status.failing {
            true => out.coloured(Mood::Bad, text),
            false => out.coloured(Mood::Notable, text),
        };
        writeln!(out, "{:12} {}: {text}", "last error", local_time::shown_unsigned(error.time))?;
    }
    if let Some(until) = report.back_off_until.filter(|_| status.running && report.state == State::Running) {
        let left = until.saturating_sub(local_time::now());
        writeln!(out, "{:12} at {}, in {left} s", "next attempt", local_time::shown_unsigned(until))?;
    }
    Ok(())
}

fn shown(shelf: &Shelf, unknown: &str) -> String {
    let Some(count) = shelf.records else { return unknown.to_owned() };
    let mut text = records(count);
    match (shelf.bytes, shelf.limit) {
        (Some(bytes), Some(limit)) => text += &format!(", {} of {} KiB", bytes.div_ceil(1024), limit / 1024),
        (Some(bytes), None) => text += &format!(", {} KiB", bytes.div_ceil(1024)),
        _ => {}
    }
    text
}
