//! Records by the C functions of the library, as every program makes them.

#![allow(unsafe_code, reason = "the functions take C pointers")]

use std::ffi::CString;
use std::io;
use std::ptr;

use libtelemetry::capi::{self, telem_ref};
use nix::errno::Errno;
use record::header::{Header, Headers};

/// Version of the payload's format, the same in all probes.
const PAYLOAD_VERSION: u32 = 1;

/// Whether the administrator has opted in.
pub(crate) fn is_opted_in() -> bool {
    capi::tm_is_opted_in() == 1
}

/// A record of the library.
pub(crate) struct Record(*mut telem_ref);

impl Record {
    /// Makes a record with the facts about this host.
    pub(crate) fn new(severity: u32, class: &str, payload: &str) -> io::Result<Self> {
        let [class, payload] = [class, payload].map(CString::new);
        let (class, payload) = (class?, payload?);
        let mut handle = ptr::null_mut();
        // SAFETY: all pointers are valid during the call; the texts are C
        // strings, and are not written to.
        let created =
            unsafe { capi::tm_create_record(&mut handle, severity, class.as_ptr().cast_mut(), PAYLOAD_VERSION) };
        result(created)?;
        let record = Self(handle);
        // SAFETY: the same, and the handle is that of a record.
        result(unsafe { capi::tm_set_payload(record.0, payload.as_ptr().cast_mut()) })?;
        Ok(record)
    }

    /// Hands the record to telemd, and waits until it has it on disk.
    pub(crate) fn send(&self) -> Result<(), Errno> {
        // SAFETY: the handle is that of a record.
        let sent = unsafe { capi::tm_send_record(self.0) };
        if sent == 0 { Ok(()) } else { Err(Errno::from_raw(sent.saturating_neg())) }
    }

    /// Hands the values of the headers to `look`.
    pub(crate) fn with_headers<T>(&self, look: impl FnOnce(&Headers<'_>) -> T) -> io::Result<T> {
        // SAFETY: the record of a handle lives as long as it does, and nobody
        // else uses it.
        let record = unsafe { self.0.as_ref().and_then(|handle| handle.record.as_ref()) };
        let block = record.map(|record| record.header_lines().concat()).unwrap_or_default();
        let (headers, _) = Headers::decode(&block).map_err(io::Error::other)?;
        Ok(look(&headers))
    }

    /// By which the record is known in the journal.
    pub(crate) fn event_id(&self) -> io::Result<Vec<u8>> {
        self.with_headers(|headers| headers.get(Header::EventId).to_vec())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // SAFETY: the handle came from tm_create_record, and is not used again.
        unsafe { capi::tm_free_record(self.0) };
    }
}

fn result(status: i32) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(status.saturating_neg())) }
}
