//! HTTP: one POST per record, over connections that are kept.

use std::ffi::OsStr;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use record::config::{Key, Settings};
use record::spool_file::SpoolFile;
use ureq::http::header::RETRY_AFTER;
use ureq::http::{HeaderName, HeaderValue, Request, Uri};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, SocksConnector, TcpConnector};
use ureq::{Agent, Proxy};

use crate::address::RememberingResolver;
use crate::answer::Verdict;
use crate::certificates::Certificates;
use crate::cork::CorkConnector;
use crate::courier::{Failure, Parcel, Transport};
use crate::record_config::{self, RecordConfigError};
use crate::request_form::RequestForm;
use crate::settings::Loaded;
use crate::spool::Waiting;
use crate::tls::TlsConnector;
use crate::{log, proxy};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Enough for a record and for an answer.
const BUFFER: usize = 16 * 1024;
/// By this header a collector knows a record that comes again.
const RECORD_ID: HeaderName = HeaderName::from_static("x-telemetry-record-id");

/// What a server is told that it may answer with.
pub const ACCEPT: &str = "*/*";

/// The request for a record, to be looked at: of what goes over the wire, only
/// `Host`, `Accept` ([`ACCEPT`]) and `Content-Length` are not in it.
pub fn request_of(settings: &Settings, waiting: &Waiting) -> Result<Request<Vec<u8>>, String> {
    let record = SpoolFile::decode(&waiting.content).map_err(|error| error.to_string())?;
    let parcel = Parcel { record: &record, id: waiting.record_id(), uid: waiting.name.uid };
    HttpTransport::new(settings.clone()).request(&server(settings)?, &parcel)
}

/// What to do about a `cainfo` that cannot be used.
const CAINFO_REMEDY: &str = "put a PEM file that user telemetry can read in its place, or remove the key";

/// Whether records could be sent with these settings, as far as that can be
/// told without sending one; tells what is wrong.
pub fn check(loaded: &Loaded) -> Result<(), String> {
    let settings = &loaded.settings;
    let at = |key: Key| {
        move |error: String| match settings.line(key) {
            Some(_) => format!("{}: {error}", loaded.source(key)),
            None => error,
        }
    };
    tid_header(settings.text(Key::TidHeader)).map_err(at(Key::TidHeader))?;
    server(settings).map_err(at(Key::Server))?;
    match Certificates::of(settings) {
        Certificates::System => Ok(()),
        cainfo => match cainfo.client_config() {
            Ok(_) => Ok(()),
            Err(error) => Err(at(Key::CaInfo)(format!("{error}; {CAINFO_REMEDY}"))),
        },
    }
}

/// Posts records to the server of the settings.
pub(crate) struct HttpTransport {
    /// Whether a sender's own configuration file counts.
    allow_user_config: bool,
    form: RequestForm,
    tid: Option<(HeaderName, HeaderValue)>,
    /// Or why there is none.
    way: Result<Way, String>,
}

/// The way to a server.
struct Way {
    /// For messages.
    name: String,
    server: Uri,
    addresses: RememberingResolver,
    agent: Agent,
}

impl HttpTransport {
    pub(crate) fn new(settings: Settings) -> Self {
        let tid = tid_header(settings.text(Key::TidHeader)).unwrap_or_else(|reason| {
            log::error(format_args!("{reason}; requests go without it"));
            None
        });
        let form = RequestForm::of(&settings);
        let allow_user_config = settings.boolean(Key::AllowUserConfig);
        let way = server(&settings).and_then(|server| {
            let name = name(&settings);
            let proxy = proxy::of_environment(&server).map_err(|error| format!("{name}: {error}"))?;
            Ok(Way::new(name, server, proxy, Certificates::of(&settings)))
        });
        Self { allow_user_config, form, tid, way }
    }
}

/// The server, for messages.
fn name(settings: &Settings) -> String {
    format!("server {}", settings.shown(Key::Server))
}

fn server(settings: &Settings) -> Result<Uri, String> {
    let name = name(settings);
    let server: Uri = settings
        .shown(Key::Server)
        .parse()
        .map_err(|error| format!("{name}: not an address, {error}; it must begin with http:// or https://"))?;
    match server.scheme_str() {
        Some("http" | "https") => Ok(server),
        _ => Err(format!("{name}: the address must begin with http:// or https://")),
    }
}

impl Way {
    fn new(mut name: String, server: Uri, proxy: Option<Proxy>, certificates: Certificates) -> Self {
        if let Some(proxy) = &proxy {
            name += &format!(", by the proxy {}:{}", proxy.host(), proxy.port());
        }
        let config = Agent::config_builder()
            .proxy(proxy)
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
            .build();
        // The first that can makes a connection; TLS comes over it.
        let connector =
            ().chain(SocksConnector::default())
                .chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(TlsConnector::new(certificates))
                .chain(CorkConnector);
        let addresses = RememberingResolver::default();
        let agent = Agent::with_parts(config, connector, addresses.clone());
        Self { name, server, addresses, agent }
    }
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
        let user = parcel.uid.filter(|_| self.allow_user_config);
        let settings = record_config::load(Path::new(OsStr::from_bytes(path)), user).map_err(|error| match error {
            RecordConfigError::Shortage { .. } => Failure::Retry(format!("configuration file {error}")),
            _ => Failure::Hopeless(format!("configuration file {error}")),
        })?;
        Self::new(settings).post_to_server(parcel, now)
    }
}

impl HttpTransport {
    fn post_to_server(&self, parcel: &Parcel<'_>, now: SystemTime) -> Result<Verdict, Failure> {
        let way = self.way.as_ref().map_err(|error| Failure::Retry(error.clone()))?;
        let failed = |error: &dyn Display| Failure::Retry(format!("{}: {error}", way.name));
        let request = self.request(&way.server, parcel).map_err(|error| failed(&error))?;
        let answer = way.agent.run(request).inspect_err(|_| way.addresses.forget());
        let mut response = answer.map_err(|error| failed(&error))?;
        // A connection whose answer was read to its end can be used again.
        let _ = response.body_mut().with_config().limit(BUFFER as u64).read_to_vec();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Ok(Verdict::of(response.status(), retry_after, now))
    }

    fn request(&self, server: &Uri, parcel: &Parcel<'_>) -> Result<Request<Vec<u8>>, String> {
        let request = Request::post(server).header(RECORD_ID, &parcel.id);
        let (mut request, body) = self.form.write(parcel.record, request)?;
        if let Some((name, value)) = &self.tid {
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use collector::door::{Door, read_request};
    use proptest::prelude::*;
    use std::io::{Read, Write};
    use std::sync::{Arc, Mutex};

    fn parcel<'a>(record: &'a SpoolFile<'a>) -> Parcel<'a> {
        Parcel { record, id: "0123456789abcdef0123456789abcdef".into(), uid: None }
    }

    const FILE: &str = include_str!("../tests/data/spool-file-of-the-c-daemon");

    fn post(server: &str, assignments: &str) -> Result<Verdict, Failure> {
        let settings = format!("[settings]\nserver={server}\n{assignments}\n");
        let transport = HttpTransport::new(Settings::read(settings.as_bytes()).unwrap().0);
        let record = SpoolFile::decode(FILE.as_bytes()).unwrap();
        transport.post(&parcel(&record), SystemTime::now())
    }

    #[test]
    fn w15_a_server_that_is_no_address_of_http_is_a_failure_that_names_it() {
        for (server, error) in [
            ("ftp://x/", "server ftp://x/: the address must begin with http:// or https://"),
            ("x/v2/collector", "server x/v2/collector: not an address"),
            ("file:///etc/passwd", "server file:///etc/passwd: not an address"),
        ] {
            let Err(Failure::Retry(message)) = post(server, "") else { panic!("{server} is no failure") };
            assert!(message.starts_with(error), "{message}");
        }
    }

    #[test]
    fn head_and_body_of_a_request_leave_in_one_write() {
        let door = Door::to(([127, 0, 0, 1], 1).into()).unwrap();
        let (first_reads, seen) = crossbeam_channel::unbounded();
        door.mistreat(move |mut connection| {
            let mut buffer = [0; BUFFER];
            let len = connection.read(&mut buffer).unwrap_or_default();
            let _ = first_reads.send(buffer.get(..len).unwrap_or_default().to_vec());
            let _ = connection.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
        });
        assert_eq!(post(&format!("http://{}/", door.address()), ""), Ok(Verdict::Delivered));
        let request = String::from_utf8(seen.recv().unwrap()).unwrap();
        assert!(request.starts_with("POST / ") && request.ends_with("\r\n\r\nping\n"), "{request}");
    }

    /// Pieces of answers, and what tears them.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let pieces: [&[u8]; 20] = [
            b"HTTP/1.1 ",
            b"HTTP/1.0 ",
            b"HTTP/2 ",
            b"201 Created\r\n",
            b"100 Continue\r\n\r\n",
            b"101 Switching Protocols\r\nupgrade: x\r\n",
            b"103 Early Hints\r\nlink: x\r\n\r\n",
            b"204 No Content\r\n",
            b"304 Not Modified\r\n",
            b"307 Redirect\r\nlocation: http://127.0.0.1:1/\r\n",
            b"503 Busy\r\nretry-after: ",
            b"content-length: ",
            b"transfer-encoding: chunked\r\n",
            b"connection: close\r\n",
            b"99999999999999999999",
            b"-1",
            b"ffffffffffffffff\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"\r\n",
            b"\r\n\r\n",
        ];
        prop_oneof![
            9 => proptest::sample::select(pieces.map(<[u8]>::to_vec).to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 1..40),
        ]
    }

    #[test]
    fn whatever_a_server_answers_telemd_goes_on() {
        let answer: Arc<Mutex<Vec<u8>>> = Arc::default();
        let door = Door::to(([127, 0, 0, 1], 1).into()).unwrap();
        let current = Arc::clone(&answer);
        door.mistreat(move |mut connection| {
            while read_request(&mut connection).is_ok() {
                let answer = current.lock().unwrap().clone();
                // Half of them end here, half wait for more.
                if connection.write_all(&answer).is_err() || answer.len() % 2 == 0 {
                    break;
                }
                let _ = connection.shutdown(std::net::Shutdown::Write);
            }
        });
        let server = format!("http://{}/", door.address());
        let settings = format!("[settings]\nserver={server}\n");
        let settings = Settings::read(settings.as_bytes()).unwrap().0;
        let way = Way::new(String::new(), server.parse().unwrap(), None, Certificates::System);
        let transport = HttpTransport { way: Ok(way), ..HttpTransport::new(settings) };
        let record = SpoolFile::decode(FILE.as_bytes()).unwrap();
        proptest!(|(start in prop_oneof![Just(b"HTTP/1.1 ".to_vec()), Just(Vec::new())],
                    pieces in proptest::collection::vec(piece(), 0..8))| {
            *answer.lock().unwrap() = start.into_iter().chain(pieces.concat()).collect();
            // A verdict or a failure, and no panic.
            let _ = transport.post(&parcel(&record), SystemTime::now());
        });
    }
}
