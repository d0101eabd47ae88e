//! TLS under the collector's HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::serve::Listener;
use rustls::{HandshakeKind, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) type Handshakes = Arc<Mutex<Vec<HandshakeKind>>>;

/// Takes one connection after the other: its clients do not stall.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: Handshakes,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, config: Arc<ServerConfig>, handshakes: Handshakes) -> Self {
        Self { tcp, acceptor: config.into(), handshakes }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            // Who does not like the certificate goes away.
            let Ok(stream) = self.acceptor.accept(stream).await else { continue };
            let kind = stream.get_ref().1.handshake_kind();
            self.handshakes.lock().unwrap_or_else(PoisonError::into_inner).extend(kind);
            return (stream, address);
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
