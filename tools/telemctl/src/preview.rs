//! `preview`: the request for a sample record, and where each value in it comes
//! from.
//!
//! The record is made by the library, and the request by the code of telemd, so
//! that what is shown is what would be sent. Nothing is.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use record::config::Key;
use record::header::{Header, Headers};
use record::spool_file::{self, SpoolFile};
use serde::Serialize;
use telemd::request_form::RequestForm;
use telemd::settings::{self, Loaded};
use telemd::spool::Waiting;
use telemd::spool_name::{Name, Urgency, nanoseconds};
use telemd::{machine_id, transport};
use telemetry::Record;

use crate::command_line::PreviewOptions;
use crate::failure::Failure;
use crate::origin;
use crate::output::Output;

/// Version of the payload's format, as probes have it.
const PAYLOAD_VERSION: u32 = 1;
/// Stands for an id that telemd has not made yet.
const NEW_MACHINE_ID: &str = "(a new random id)";

/// A name with its value, and where that comes from.
#[derive(Serialize)]
struct Field {
    name: String,
    value: String,
    from: String,
}

/// Everything that is shown.
#[derive(Serialize)]
struct Preview {
    url: String,
    delivery: bool,
    request_headers: Vec<Field>,
    record: Vec<Field>,
    payload: String,
    body: String,
}

/// Shows what would be sent.
pub(crate) fn run(options: &PreviewOptions, out: &mut Output) -> Result<ExitCode, Failure> {
    let loaded = settings::read_settings(options.config_file.as_deref()).map_err(Failure::new)?;
    let preview = preview(options, &loaded)?;
    match options.json {
        true => out.json(&serde_json::to_string_pretty(&preview).map_err(io::Error::from)?)?,
        false => print(&preview, &loaded, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn preview(options: &PreviewOptions, loaded: &Loaded) -> Result<Preview, Failure> {
    let settings = &loaded.settings;
    let waiting = as_it_would_wait(options)?;
    let record = SpoolFile::decode(&waiting.content).map_err(Failure::new)?;
    let request = transport::request_of(settings, &waiting).map_err(Failure::new)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    let fields = record.headers.iter().map(|(header, value)| Field {
        name: header.name().to_owned(),
        value: text(value),
        from: origin::of(header),
    });
    let fields: Vec<Field> = fields.collect();

    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let length = request.body().len().to_string();
    let added = [("host", host), ("accept", transport::ACCEPT.to_owned()), ("content-length", length)];
    let own = request.headers().iter().map(|(name, value)| (name.as_str(), text(value.as_bytes())));
    let headers: Vec<(&str, String)> = own.chain(added).collect();
    let request_headers = headers.into_iter().map(|(name, value)| {
        let of_record = Header::ALL.into_iter().find(|header| header.http_name().eq_ignore_ascii_case(name));
        let from = match (of_record, name) {
            (Some(header), _) => origin::of(header),
            (None, "content-type") => form(loaded),
            (None, name) => match origin::of_request_header(name) {
                Ok(key) => setting(loaded, key),
                Err(words) => words.to_owned(),
            },
        };
        Field { name: of_record.map_or(name, |header| header.http_name()).to_owned(), value, from }
    });
    Ok(Preview {
        url: request.uri().to_string(),
        delivery: settings.boolean(Key::RecordServerDeliveryEnabled),
        request_headers: request_headers.collect(),
        record: fields,
        payload: options.payload.clone(),
        body: text(request.body()),
    })
}

/// The record as telemd would have it in its spool.
fn as_it_would_wait(options: &PreviewOptions) -> Result<Waiting, Failure> {
    let record = sample(options)
        .map_err(|error| Failure::new(format_args!("the library does not make this record: {error}")))?;
    let now = SystemTime::now();
    let id = machine_id::current(now).map_err(|error| Failure::new(format_args!("machine id: {error}")))?;
    let id = id.unwrap_or_else(|| NEW_MACHINE_ID.into());
    let lines = record.header_lines().concat();
    let (headers, _) = Headers::decode(&lines).map_err(Failure::new)?;
    let content = spool_file::encode(None, &headers.with(Header::MachineId, &id), payload(options));
    let user = nix::unistd::Uid::effective().as_raw();
    let name = Name::new(Urgency::Ordinary, nanoseconds(now), user, std::process::id());
    Ok(Waiting { name, content })
}

fn sample(options: &PreviewOptions) -> Result<Record, telemetry::Error> {
    Record::new(options.severity, &options.class, PAYLOAD_VERSION)?.payload(payload(options))
}

/// The payload, as the C functions cut it.
fn payload(options: &PreviewOptions) -> &[u8] {
    let payload = options.payload.as_bytes();
    payload.get(..telemetry::PAYLOAD_MAX).unwrap_or(payload)
}

/// Why the request has its form.
fn form(loaded: &Loaded) -> String {
    let settings = &loaded.settings;
    match (RequestForm::of(settings), settings.text(Key::DeliveryFormat)) {
        (RequestForm::Json, format) if format != b"json" => format!("the path in {}", setting(loaded, Key::Server)),
        _ => setting(loaded, Key::DeliveryFormat),
    }
}

/// The name of a setting and its place.
fn setting(loaded: &Loaded, key: Key) -> String {
    format!("{} ({})", key.name(), loaded.source(key))
}

fn print(preview: &Preview, loaded: &Loaded, out: &mut Output) -> io::Result<()> {
    if !telemetry::is_opted_in() {
        writeln!(out, "This machine is not opted in: nothing is sent. If it were, this would be:\n")?;
    } else if !preview.delivery {
        let place = setting(loaded, Key::RecordServerDeliveryEnabled);
        writeln!(out, "Delivery is switched off by {place}: nothing is sent. If it were on, this would be:\n")?;
    }
    writeln!(out, "POST {}    <- {}", preview.url, setting(loaded, Key::Server))?;
    writeln!(out, "\nHeaders of the request, in any order:")?;
    fields(&preview.request_headers, out)?;
    if RequestForm::of(&loaded.settings) == RequestForm::Json {
        writeln!(out, "\nHeaders of the record, in the body:")?;
        fields(&preview.record, out)?;
    }
    writeln!(out, "\nPayload, {} bytes, and one newline:    <- the program", preview.payload.len())?;
    out.foreign(preview.payload.as_bytes())?;
    writeln!(out, "\n\nBody as it is sent, {} bytes:", preview.body.len())?;
    out.foreign(preview.body.as_bytes())?;
    if !preview.body.ends_with('\n') {
        writeln!(out)?;
    }
    Ok(())
}

fn fields(fields: &[Field], out: &mut Output) -> io::Result<()> {
    for Field { name, value, from } in fields {
        let line = format!("  {name}: {value}");
        out.foreign(format!("{line:50}  <- {from}\n").as_bytes())?;
    }
    Ok(())
}
