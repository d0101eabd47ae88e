//! The address that a client is given: it leads to a collector, or to trouble.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What is done to a connection; it is closed when this returns.
type Treatment = Arc<dyn Fn(&TcpStream) + Send + Sync>;

/// An address of its own before another server's.
///
/// Each change of what it does ends the connections that are there.
pub struct Door {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    treatment: Treatment,
    is_closed: bool,
    /// By the number of the visit.
    connections: HashMap<usize, Arc<TcpStream>>,
    visits: usize,
}

impl State {
    fn treat(&mut self, treatment: Treatment) {
        self.treatment = treatment;
        self.end_connections();
    }

    fn end_connections(&self) {
        for connection in self.connections.values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Door {
    /// A free port of the loopback interface that leads to `destination`.
    pub fn to(destination: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (treatment, connections) = (leading_to(destination), HashMap::new());
        let state = Arc::new(Mutex::new(State { treatment, is_closed: false, connections, visits: 0 }));
        receive(listener, Arc::clone(&state));
        Ok(Self { address, state })
    }

    /// What clients are told.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to `destination`.
    pub fn lead_to(&self, destination: SocketAddr) {
        lock(&self.state).treat(leading_to(destination));
    }

    /// Does this to each connection that comes from now on.
    pub fn mistreat(&self, treatment: impl Fn(&TcpStream) + Send + Sync + 'static) {
        lock(&self.state).treat(Arc::new(treatment));
    }

    /// Refuses connections, as a host on which no server runs.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        state.end_connections();
        drop(state);
        // The first of these wakes the thread that listens.
        while TcpStream::connect(self.address).is_ok() {}
    }

    /// Takes connections again.
    pub fn open(&self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address)?;
        lock(&self.state).is_closed = false;
        receive(listener, Arc::clone(&self.state));
        Ok(())
    }

    /// How many connections came so far, whatever became of them.
    pub fn visits(&self) -> usize {
        lock(&self.state).visits
    }
}

fn receive(listener: TcpListener, state: Arc<Mutex<State>>) {
    thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(connection) = connection else { continue };
            let connection = Arc::new(connection);
            let mut inside = lock(&state);
            if inside.is_closed {
                return;
            }
            inside.visits += 1;
            let visit = inside.visits;
            inside.connections.insert(visit, Arc::clone(&connection));
            let treatment = Arc::clone(&inside.treatment);
            drop(inside);
            let state = Arc::clone(&state);
            thread::spawn(move || {
                treatment(&connection);
                lock(&state).connections.remove(&visit);
            });
        }
    });
}

fn leading_to(destination: SocketAddr) -> Treatment {
    Arc::new(move |client| {
        // Either side may end at any time.
        let _ = TcpStream::connect(destination).and_then(|server| relay(client, &server, |_| ()));
    })
}

/// Copies bytes both ways, until both sides have ended or one is gone. Shows
/// what the client sends.
pub fn relay(client: &TcpStream, server: &TcpStream, show: impl Fn(&[u8]) + Sync) -> io::Result<()> {
    thread::scope(|scope| {
        let back = scope.spawn(|| copy(server, client, |_| ()));
        copy(client, server, show)?;
        back.join().expect("the copying thread")
    })
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, show: impl Fn(&[u8])) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    let copied = loop {
        let bytes = match from.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) => break Err(error),
        };
        show(bytes);
        if let Err(error) = to.write_all(bytes) {
            break Err(error);
        }
    };
    let _ = to.shutdown(Shutdown::Write);
    copied
}

/// Reads one request: all headers, and as many bytes as they announce.
pub fn read_request(connection: &mut impl Read) -> io::Result<String> {
    let mut request = Vec::new();
    // Byte for byte, so that nothing behind it is taken.
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte)?;
        request.extend(byte);
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let mut body = vec![0; header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    connection.read_exact(&mut body)?;
    Ok(head + &String::from_utf8_lossy(&body))
}

/// The value of a header of a request.
pub fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = request.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    lines.find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
