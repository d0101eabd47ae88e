//! A collector for tests and for the demonstration, and what goes wrong with
//! collectors.
//!
//! It keeps every request that it receives, as it came over the wire, and
//! answers as the test chose.

#[cfg(feature = "tls")]
pub mod certificates;
pub mod door;
#[cfg(feature = "tls")]
mod tls;

use std::fmt::Debug;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;

/// A request, as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method and path.
    pub request: String,
    /// Names (in lower case, as HTTP libraries have them) and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// The status of the answer.
    pub status: u16,
}

impl Received {
    /// The value of a header, or `None` if it was not sent.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

/// What a collector says to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// A status of HTTP.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// Only a status.
    pub fn with(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }

    /// One header more.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("a status of HTTP");
        let headers = self.headers.into_iter().map(|(name, value)| {
            let value = HeaderValue::from_str(&value).expect("the value of a header");
            (HeaderName::from_static(name), value)
        });
        (status, headers.collect::<HeaderMap>()).into_response()
    }
}

/// Decides on the answer to each request.
type Judge = Box<dyn FnMut(&Received) -> Answer + Send>;

/// A server on a free port of the loopback interface.
pub struct Collector {
    scheme: &'static str,
    address: SocketAddr,
    judge: Arc<Mutex<Judge>>,
    received: mpsc::Receiver<Received>,
    #[cfg(feature = "tls")]
    handshakes: tls::Handshakes,
}

#[derive(Clone)]
struct Desk {
    judge: Arc<Mutex<Judge>>,
    received: mpsc::Sender<Received>,
}

impl Collector {
    /// Starts to serve, until the process ends. Answers with 201.
    pub fn start() -> io::Result<Self> {
        Self::serve("http", |listener| listener)
    }

    /// Speaks TLS, and shows this certificate.
    #[cfg(feature = "tls")]
    pub fn start_tls(identity: &certificates::Identity) -> io::Result<Self> {
        let handshakes = tls::Handshakes::default();
        let wrap = |listener| tls::TlsListener::new(listener, identity.server_config(), handshakes.clone());
        Ok(Self { handshakes: handshakes.clone(), ..Self::serve("https", wrap)? })
    }

    fn serve<L>(scheme: &'static str, wrap: impl FnOnce(tokio::net::TcpListener) -> L) -> io::Result<Self>
    where
        L: Listener,
        L::Addr: Debug,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let judge: Arc<Mutex<Judge>> = Arc::new(Mutex::new(Box::new(|_| Answer::with(201))));
        let (sender, received) = mpsc::channel();
        let desk = Desk { judge: Arc::clone(&judge), received: sender };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let listener = wrap(tokio::net::TcpListener::from_std(listener)?);
        drop(inside);
        thread::spawn(move || {
            runtime.block_on(async {
                let app = axum::Router::new().fallback(receive).with_state(desk);
                axum::serve(listener, app).await
            })
        });
        Ok(Self {
            scheme,
            address,
            judge,
            received,
            #[cfg(feature = "tls")]
            handshakes: tls::Handshakes::default(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where records are to be sent to.
    pub fn url(&self) -> String {
        self.url_by(self.address)
    }

    /// The same, for those who reach it by another address.
    pub fn url_by(&self, address: SocketAddr) -> String {
        format!("{}://{address}/v2/collector", self.scheme)
    }

    /// Answers with this status from now on.
    pub fn answer_with(&self, status: u16) {
        self.answer_by(move |_| Answer::with(status));
    }

    /// Asks this function for each answer from now on.
    pub fn answer_by(&self, judge: impl FnMut(&Received) -> Answer + Send + 'static) {
        *self.judge.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(judge);
    }

    /// The requests, in the order in which they came.
    pub fn received(&self) -> &mpsc::Receiver<Received> {
        &self.received
    }

    /// How the connections over TLS began, in the order in which they came.
    #[cfg(feature = "tls")]
    pub fn handshakes(&self) -> Vec<rustls::HandshakeKind> {
        self.handshakes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(State(desk): State<Desk>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Answer {
    let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let mut received = Received { request: format!("{method} {uri}"), headers, body: body.to_vec(), status: 0 };
    // Before the test learns of the request and chooses another answer.
    let answer = desk.judge.lock().unwrap_or_else(PoisonError::into_inner)(&received);
    received.status = answer.status;
    let _ = desk.received.send(received);
    answer
}
