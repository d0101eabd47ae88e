//! TLS, as a link of the chain by which ureq makes connections.
//!
//! ureq's own link judges servers by certificates that issued theirs, and by
//! nothing else; this one asks [`Certificates`].

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use crate::certificates::Certificates;

/// Puts TLS over the connections to `https` addresses.
#[derive(Debug)]
pub(crate) struct TlsConnector {
    certificates: Certificates,
    /// Made with the first connection, and again after a failure: the
    /// administrator may have changed the certificates.
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl TlsConnector {
    pub(crate) fn new(certificates: Certificates) -> Self {
        Self { certificates, config: Mutex::default() }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut config = self.lock();
        if let Some(config) = &*config {
            return Ok(Arc::clone(config));
        }
        let made = self.certificates.client_config().map_err(io::Error::other)?;
        Ok(Arc::clone(config.insert(Arc::new(made))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<ClientConfig>>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let transport = match chained {
            Some(transport) if details.needs_tls() && !transport.is_tls() => transport,
            as_it_is => return Ok(as_it_is.map(Either::A)),
        };
        let connection = ClientConnection::new(self.config()?, server_name(details.uri)?).map_err(io::Error::other)?;
        let mut socket = TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        socket.set_timeout(time_left(details));
        let mut stream = StreamOwned::new(connection, socket);
        if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
            if is_of_tls(&error) {
                *self.lock() = None;
            }
            return Err(error.into());
        }
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { stream, buffers })))
    }
}

/// The name that the certificate must have.
fn server_name(uri: &Uri) -> Result<ServerName<'static>, Error> {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|_| Error::Tls("the host is no name that a certificate can have"))
}

/// What the links before this one left of the time to connect.
fn time_left(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    let now = (details.current_time)();
    if let (Duration::Exact(limit), Instant::Exact(start), Instant::Exact(now)) = (timeout.after, details.now, now) {
        timeout.after = limit.saturating_sub(now.saturating_duration_since(start)).into();
    }
    timeout
}

/// Whether TLS failed, and not what is below it.
fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// A connection under TLS.
pub(crate) struct TlsTransport {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsTransport").field(&self.stream.sock.inner()).finish()
    }
}
