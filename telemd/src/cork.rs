//! A cork, as a link of the chain by which ureq makes connections: what is
//! sent waits until an answer is waited for, so that the head and the body of a
//! request leave in one write, and under TLS in one record.

use std::io;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Corks every connection. The last link: a handshake of TLS is not corked.
#[derive(Debug, Default)]
pub(crate) struct CorkConnector;

impl<In: Transport> Connector<In> for CorkConnector {
    type Out = CorkedTransport<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|transport| CorkedTransport { transport, waiting: Vec::new() }))
    }
}

/// A connection that gathers what it is to send.
#[derive(Debug)]
pub(crate) struct CorkedTransport<T> {
    transport: T,
    /// At most what fits in the buffer for output.
    waiting: Vec<u8>,
}

impl<T: Transport> CorkedTransport<T> {
    fn send_what_waits(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let amount = self.waiting.len();
        if amount == 0 {
            return Ok(());
        }
        let output = self.transport.buffers().output().get_mut(..amount);
        output.ok_or_else(|| io::Error::other("the buffer for output shrank"))?.copy_from_slice(&self.waiting);
        self.waiting.clear();
        self.transport.transmit_output(amount, timeout)
    }
}

impl<T: Transport> Transport for CorkedTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = self.transport.buffers().output();
        if let (true, Some(sent)) = (self.waiting.len() + amount <= output.len(), output.get(..amount)) {
            self.waiting.extend_from_slice(sent);
            return Ok(());
        }
        // No room: what waits goes first, from the buffer that holds the rest.
        let rest = output.get(..amount).unwrap_or_default().to_vec();
        self.send_what_waits(timeout)?;
        self.waiting = rest;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.send_what_waits(timeout)?;
        self.transport.await_input(timeout)
    }

    /// An answer that is there before the request was sent is none to it.
    fn maybe_await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.send_what_waits(timeout)?;
        self.transport.maybe_await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}
