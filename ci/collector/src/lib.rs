//! A collector for tests and for the demonstration.
//!
//! It keeps every request that it receives, as it came over the wire, and
//! answers with the status that the test chose.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};

/// A request, as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method and path.
    pub request: String,
    /// Names (in lower case, as HTTP libraries have them) and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header, or `None` if it was not sent.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

/// A server on a free port of the loopback interface.
pub struct Collector {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    received: mpsc::Receiver<Received>,
}

#[derive(Clone)]
struct Desk {
    status: Arc<AtomicU16>,
    received: mpsc::Sender<Received>,
}

impl Collector {
    /// Starts to serve, until the process ends. Answers with 201.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let status = Arc::new(AtomicU16::new(201));
        let (sender, received) = mpsc::channel();
        let desk = Desk { status: Arc::clone(&status), received: sender };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                let app = axum::Router::new().fallback(receive).with_state(desk);
                axum::serve(tokio::net::TcpListener::from_std(listener)?, app).await
            })
        });
        Ok(Self { address, status, received })
    }

    /// Where records are to be sent to.
    pub fn url(&self) -> String {
        format!("http://{}/v2/collector", self.address)
    }

    /// Answers with this status from now on.
    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// The requests, in the order in which they came.
    pub fn received(&self) -> &mpsc::Receiver<Received> {
        &self.received
    }
}

async fn receive(State(desk): State<Desk>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    // Before the test learns of the request and chooses another one.
    let status = desk.status.load(Ordering::SeqCst);
    let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let _ = desk.received.send(Received { request: format!("{method} {uri}"), headers, body: body.to_vec() });
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
