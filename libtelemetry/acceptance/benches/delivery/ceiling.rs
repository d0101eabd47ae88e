//! What can be had at most: the HTTP library of telemd, with two connections
//! and nothing else to do.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use record::spool_file::SpoolFile;
use ureq::config::Config;
use ureq::http::{Request, StatusCode, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use crate::sink::Sink;

const CONNECTIONS: usize = 2;
/// The headers of a record as any machine sends it.
const RECORD: &str = include_str!("../../../../telemd/tests/data/spool-file-of-the-c-daemon");
const BUFFER: usize = 16 * 1024;

/// When the address of the sink is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookUp {
    /// As the library does it, in a thread that it starts for that.
    ForEveryRequest,
    Once,
}

/// Posts so many records; how many each second.
pub(crate) fn posts_each_second(sink: &Sink, look_up: LookUp, count: u64, payload: usize) -> f64 {
    let each = count.div_ceil(CONNECTIONS as u64);
    let start = Arc::new(Barrier::new(CONNECTIONS + 1));
    let posters: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (agent, url, start) = (agent(sink, look_up), sink.url(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                for _ in 0..each {
                    post(&agent, &url, payload);
                }
            })
        })
        .collect();
    start.wait();
    let started = Instant::now();
    for poster in posters {
        poster.join().expect("every record is posted");
    }
    (each * CONNECTIONS as u64) as f64 / started.elapsed().as_secs_f64()
}

/// The same settings as telemd's.
fn agent(sink: &Sink, look_up: LookUp) -> Agent {
    let authority = Certificate::from_pem(sink.authority().as_bytes()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(vec![authority])))
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_global(Some(Duration::from_secs(10)))
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent("")
        .accept("*/*")
        .accept_encoding("")
        .build();
    match look_up {
        LookUp::ForEveryRequest => config.into(),
        LookUp::Once => Agent::with_parts(config, DefaultConnector::default(), Known(sink.address())),
    }
}

/// An address that needs no look-up.
#[derive(Debug)]
struct Known(SocketAddr);

impl Resolver for Known {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

fn post(agent: &Agent, url: &str, payload: usize) {
    let record = SpoolFile::decode(RECORD.as_bytes()).expect("a spool file");
    let mut request = Request::post(url)
        .header("x-telemetry-record-id", "00112233445566778899aabbccddeeff")
        .header("content-type", "application/text");
    for (header, value) in record.headers.iter() {
        request = request.header(header.http_name(), value);
    }
    let request = request.body(vec![b'p'; payload]).expect("a request");
    let mut response = agent.run(request).expect("an answer");
    assert_eq!(response.status(), StatusCode::CREATED);
    // The connection can be used again when the answer was read to its end.
    response.body_mut().with_config().limit(BUFFER as u64).read_to_vec().expect("the whole answer");
}
