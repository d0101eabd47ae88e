//! A record, from its creation to its hand-over.

use std::ffi::{CString, c_char, c_int};
use std::fmt;
use std::ptr::{self, NonNull};
use std::slice;

use libtelemetry::capi::telem_ref;
use record::header::Header;
use record::{classification, event_id, payload};

use crate::error::{self, Error};
use crate::{Severity, ffi, is_opted_in};

/// The longest payload, in bytes.
pub const PAYLOAD_MAX: usize = payload::MAX;

/// A record: 15 headers and a payload.
///
/// It belongs to the C library, and is freed when this value is dropped.
pub struct Record(NonNull<telem_ref>);

// SAFETY: the library keeps no state of a record outside of it, and allows
// different threads to use different records; which thread uses this one is
// known by its owner.
unsafe impl Send for Record {}

impl Record {
    /// A record without payload, with the facts about the host, the present
    /// time and a random event id.
    ///
    /// `classification` has three parts, separated by slashes, as in
    /// `org.example/disk/full`. `payload_version` is the version of the
    /// payload's format, for those who will read it.
    pub fn new(severity: Severity, classification: impl AsRef<[u8]>, payload_version: u32) -> Result<Self, Error> {
        let classification = classification.as_ref();
        classification::check(classification)?;
        let classification = c_string(classification)?;
        let mut handle = ptr::null_mut();
        // SAFETY: `handle` is writable. The classification is a C string, and
        // is not written to.
        let status = unsafe {
            ffi::tm_create_record(&mut handle, severity as u32, classification.as_ptr().cast_mut(), payload_version)
        };
        error::check(status, Error::Create)?;
        NonNull::new(handle).map(Self).ok_or(Error::Create(libc::ENOMEM))
    }

    /// Sets the payload: at most [`PAYLOAD_MAX`] bytes of printable ASCII and
    /// ASCII white space.
    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Result<Self, Error> {
        let payload = payload.as_ref();
        if payload.len() > PAYLOAD_MAX {
            return Err(Error::PayloadLength(payload.len()));
        }
        if let Some(position) = payload::first_invalid(payload) {
            let byte = payload.get(position).copied().unwrap_or_default();
            return Err(Error::PayloadByte { byte, position });
        }
        self.set(ffi::tm_set_payload, payload)?;
        Ok(self)
    }

    /// Sets the payload to what is allowed of this text: `?` stands for every
    /// byte that is not, and what is longer is cut.
    ///
    /// For probes, whose texts come from elsewhere: a file name with an accent
    /// must not lose the record.
    pub fn payload_lossy(self, payload: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.payload(allowed_part(payload.as_ref()))
    }

    /// Sets the event id, 32 characters of `0123456789abcdef`, by which records
    /// of one event are known.
    pub fn event_id(mut self, event_id: impl AsRef<[u8]>) -> Result<Self, Error> {
        event_id::check(event_id.as_ref())?;
        self.set(ffi::tm_set_event_id, event_id.as_ref())?;
        Ok(self)
    }

    /// Hands the record to the daemon, and waits until it is on disk: at most
    /// 1 second for a connection, and 5 seconds for the answer.
    ///
    /// It can be sent again; it has the same event id and time then.
    pub fn send(&mut self) -> Result<(), Error> {
        // SAFETY: the handle is valid, and borrowed mutably.
        let status = unsafe { ffi::tm_send_record(self.0.as_ptr()) };
        error::check(status, |errno| match errno {
            libc::ECONNREFUSED if !is_opted_in() => Error::NotOptedIn,
            errno => Error::Send(errno),
        })
    }

    /// The header lines, `name: value` and a newline each, as they are sent.
    /// The daemon replaces the machine id later.
    pub fn header_lines(&self) -> [&[u8]; Header::COUNT] {
        // SAFETY: the handle is valid, and has a record of the layout that is
        // part of the library's interface. They live as long as `self`.
        unsafe { self.0.as_ref().record.as_ref() }.map(|record| record.header_lines()).unwrap_or_default()
    }

    /// Calls a function of the library that copies a text into the record.
    fn set(
        &mut self,
        function: unsafe extern "C" fn(*mut telem_ref, *mut c_char) -> c_int,
        text: &[u8],
    ) -> Result<(), Error> {
        let text = c_string(text)?;
        // SAFETY: the handle is valid, and borrowed mutably. The text is a C
        // string, and is not written to.
        error::check(unsafe { function(self.0.as_ptr(), text.as_ptr().cast_mut()) }, Error::Create)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and is not used any more.
        unsafe { ffi::tm_free_record(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.header_lines().map(|line| String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
        f.debug_list().entries(lines).finish()
    }
}

/// A copy with a NUL behind it. The texts of a record were checked, and hold
/// none.
fn c_string(text: &[u8]) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Create(libc::EINVAL))
}

/// The start of a text, with `?` for each byte that is not allowed.
fn allowed_part(text: &[u8]) -> Vec<u8> {
    let mut text = text.get(..PAYLOAD_MAX).unwrap_or(text).to_vec();
    for byte in text.iter_mut().filter(|byte| !payload::is_valid(slice::from_ref(byte))) {
        *byte = b'?';
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_bytes_that_are_not_allowed_become_question_marks_and_what_is_too_long_is_cut() {
        assert_eq!(allowed_part(b"caf\xc3\xa9\t\n\0\x7f~"), b"caf??\t\n??~");
        assert_eq!(allowed_part(&[0xFF; PAYLOAD_MAX + 1]), [b'?'; PAYLOAD_MAX]);
    }
}
