//! HTTP: one POST per record, over connections that are kept.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use record::config::{Key, Settings};
use record::spool_file::SpoolFile;
use ureq::Agent;
use ureq::http::header::RETRY_AFTER;
use ureq::http::{self, HeaderName, HeaderValue, Request};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::answer::Verdict;
use crate::courier::{Failure, Parcel, Transport};
use crate::record_config::{self, RecordConfigError};
use crate::request_form::RequestForm;
use crate::spool::Waiting;
use crate::{files, log, settings};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Enough for a record and for an answer.
const BUFFER: usize = 16 * 1024;
/// The longest file of certificates; those of a system have about 250 kB.
const CERTIFICATES_MAX: usize = 16 * 1024 * 1024;
/// By this header a collector knows a record that comes again.
const RECORD_ID: HeaderName = HeaderName::from_static("x-telemetry-record-id");

/// What a server is told that it may answer with.
pub const ACCEPT: &str = "*/*";

/// The request for a record, to be looked at: of what goes over the wire, only
/// `Host`, `Accept` ([`ACCEPT`]) and `Content-Length` are not in it.
pub fn request_of(settings: &Settings, waiting: &Waiting) -> Result<Request<Vec<u8>>, String> {
    let record = SpoolFile::decode(&waiting.content).map_err(|error| error.to_string())?;
    let parcel = Parcel { record: &record, id: waiting.record_id(), uid: waiting.name.uid };
    HttpTransport::new(settings.clone()).request(&parcel)
}

/// Whether records could be sent with these settings, as far as that can be
/// told without sending one; tells what is wrong.
pub fn check(settings: &Settings) -> Result<(), String> {
    tid_header(settings.text(Key::TidHeader))?;
    let transport = HttpTransport::new(settings.clone());
    transport.address(Request::post(&transport.server).body(Vec::new()))?;
    match settings.text(Key::CaInfo) {
        b"" => Ok(()),
        _ => roots(settings).map(|_| ()),
    }
}

/// Posts records to the server of the settings.
pub(crate) struct HttpTransport {
    settings: Settings,
    server: String,
    form: RequestForm,
    tid: Option<(HeaderName, HeaderValue)>,
    /// Made when the certificates can be read.
    agent: OnceLock<Agent>,
}

impl HttpTransport {
    pub(crate) fn new(settings: Settings) -> Self {
        let tid = tid_header(settings.text(Key::TidHeader)).unwrap_or_else(|reason| {
            log::error(format_args!("{reason}; requests go without it"));
            None
        });
        let form = RequestForm::of(&settings);
        Self { server: settings.shown(Key::Server), form, tid, settings, agent: OnceLock::new() }
    }

    fn agent(&self) -> Result<&Agent, String> {
        if self.agent.get().is_none() {
            let made = agent(roots(&self.settings)?);
            let _ = self.agent.set(made);
        }
        self.agent.get().ok_or_else(|| "no agent".into())
    }
}

fn agent(roots: RootCerts) -> Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(TIMEOUT))
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent("")
        .accept(ACCEPT)
        .accept_encoding("")
        .build()
        .into()
}

/// Whose word counts for a server: those of `cainfo`, or the system's.
fn roots(settings: &Settings) -> Result<RootCerts, String> {
    if settings.text(Key::CaInfo).is_empty() {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            log::warning(format_args!("certificates of the system: {error}"));
        }
        let roots: Vec<_> =
            found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        return Ok(RootCerts::Specific(Arc::new(roots)));
    }
    let path = settings::path(settings, Key::CaInfo);
    let pem =
        files::read_regular(path, CERTIFICATES_MAX).map_err(|error| format!("cainfo {}: {error}", path.display()))?;
    let roots: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if roots.is_empty() {
        return Err(format!("cainfo {}: no certificate in it", path.display()));
    }
    Ok(RootCerts::Specific(Arc::new(roots)))
}

/// A line without colon means that none is sent.
fn tid_header(line: &[u8]) -> Result<Option<(HeaderName, HeaderValue)>, String> {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return Ok(None) };
    let (name, value) = line.split_at(colon);
    let name = HeaderName::from_bytes(name.trim_ascii());
    let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default().trim_ascii());
    match (name, value) {
        (Ok(name), Ok(value)) => Ok(Some((name, value))),
        _ => Err(format!("tidheader {:?} is no header line", String::from_utf8_lossy(line))),
    }
}

impl Transport for HttpTransport {
    fn post(&self, parcel: &Parcel<'_>, now: SystemTime) -> Result<Verdict, Failure> {
        let Some(path) = parcel.record.config else { return self.post_to_server(parcel, now) };
        // Server, certificates and TID are those of the file, or nothing is
        // sent: the sender asked for these settings and no others.
        let user = parcel.uid.filter(|_| self.settings.boolean(Key::AllowUserConfig));
        let settings = record_config::load(Path::new(OsStr::from_bytes(path)), user).map_err(|error| match error {
            RecordConfigError::Shortage { .. } => Failure::Retry(format!("configuration file {error}")),
            _ => Failure::Hopeless(format!("configuration file {error}")),
        })?;
        Self::new(settings).post_to_server(parcel, now)
    }
}

impl HttpTransport {
    fn post_to_server(&self, parcel: &Parcel<'_>, now: SystemTime) -> Result<Verdict, Failure> {
        let agent = self.agent().map_err(Failure::Retry)?;
        let request = self.request(parcel).map_err(Failure::Retry)?;
        let failed = |error| Failure::Retry(format!("server {}: {error}", self.server));
        let mut response = agent.run(request).map_err(failed)?;
        // A connection whose answer was read to its end can be used again.
        let _ = response.body_mut().with_config().limit(BUFFER as u64).read_to_vec();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Ok(Verdict::of(response.status(), retry_after, now))
    }

    fn request(&self, parcel: &Parcel<'_>) -> Result<Request<Vec<u8>>, String> {
        let request = Request::post(self.server.as_str()).header(RECORD_ID, &parcel.id);
        let (mut request, body) = self.form.write(parcel.record, request)?;
        if let Some((name, value)) = &self.tid {
            request = request.header(name, value);
        }
        self.address(request.body(body))
    }

    /// The request, if its address is one.
    fn address(&self, request: Result<Request<Vec<u8>>, http::Error>) -> Result<Request<Vec<u8>>, String> {
        let request = request.map_err(|error| format!("server {}: {error}", self.server))?;
        if !matches!(request.uri().scheme_str(), Some("http" | "https")) {
            return Err(format!("server {}: the address must start with http:// or https://", self.server));
        }
        Ok(request)
    }
}
