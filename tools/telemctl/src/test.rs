//! `test`: a heartbeat on its whole way, and the station where it stopped if it
//! did not arrive.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use record::config::{Key, Settings};
use record::header::{Header, Headers};
use telemd::settings;
use telemetry::{Record, Severity};

use crate::command_line::TestOptions;
use crate::destination::Destination;
use crate::failure::Failure;
use crate::heartbeat::{Arrival, Heartbeat};
use crate::output::Output;
use crate::{advice, running};

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
    Limits = 9,
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
    let shown_id = String::from_utf8_lossy(&event_id).into_owned();
    let heartbeat = Heartbeat::new(event_id);
    if let Err(error) = record.send() {
        let socket = loaded.settings.shown(Key::SocketPath);
        let remedy = error.remedy().unwrap_or("Its log may say more (journalctl -u telemd).");
        return match error.is_about_connecting() {
            true => stopped(Station::Socket, out, format_args!("{socket}: {error}\n{remedy}")),
            false => stopped(Station::Intake, out, format_args!("telemd did not take it: {error}\n{remedy}")),
        };
    }
    writeln!(out, "telemd took the heartbeat, event {shown_id}")?;
    out.flush()?;
    match heartbeat.arrival(Duration::from_secs(options.timeout.into()))? {
        Arrival::Delivered => {
            writeln!(out, "the server took it: {}", Destination::of(&loaded, running::report().as_ref()))?;
            Ok(ExitCode::SUCCESS)
        }
        Arrival::Kept => {
            let reason = "it was noted and not sent: record_server_delivery_enabled is false";
            stopped(Station::SwitchedOff, out, reason)
        }
        Arrival::Rejected(reason) => stopped(
            Station::Server,
            out,
            format_args!("the server rejected it: {reason}; {}", advice::on_error(&reason)),
        ),
        Arrival::Dropped => {
            let limits = limits(&loaded.settings);
            let why = format!("telemd dropped it, as rate_limit_strategy=drop says: {limits} is reached");
            stopped(Station::Limits, out, why)
        }
        Arrival::Waiting(error) => {
            let why = match error {
                Some(error) => format!("delivery fails: {error}; {}", advice::on_error(&error)),
                None => "telemctl status may tell more".to_owned(),
            };
            let seconds = options.timeout;
            stopped(Station::Courier, out, format_args!("it waits in the spool after {seconds} s; {why}"))
        }
    }
}

/// The rate limits that are in force, as the file has them.
fn limits(settings: &Settings) -> String {
    let limits = [Key::RecordBurstLimit, Key::ByteBurstLimit].into_iter().filter(|&key| settings.integer(key) >= 0);
    let shown: Vec<String> = limits.map(|key| format!("{}={}", key.name(), settings.shown(key))).collect();
    shown.join(" or ")
}

fn stopped(station: Station, out: &mut Output, reason: impl std::fmt::Display) -> Result<ExitCode, Failure> {
    let name = match station {
        Station::Consent => "consent",
        Station::Socket => "the socket of telemd",
        Station::Intake => "the intake of telemd",
        Station::Courier => "the way to the server",
        Station::Server => "the server",
        Station::SwitchedOff => "telemd",
        Station::Limits => "the rate limits",
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
