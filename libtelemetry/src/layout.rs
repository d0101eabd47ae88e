//! A record in memory, laid out as C programs know it.
//!
//! The layout of `telem_record` is private by the header, but tools of the C
//! project read it, so it is part of the ABI. Handle, record and payload are
//! three blocks of the C heap; the texts of the headers stand behind the
//! record, in its block.

#![allow(non_camel_case_types, reason = "the names of the C interface")]

use core::ffi::{CStr, c_char};
use core::{ptr, slice};

use record::cursor::{Cursor, Full};
use record::decimal::Decimal;
use record::header::{self, Header, line_len};
use record::{classification, event_id, payload, severity};

use crate::host_lines::{self, HostLines};
use crate::sys::{self, Errno, Heap};

/// 15 header lines, each `name: value\n` and a NUL, and the payload.
#[repr(C)]
pub struct telem_record {
    headers: [*mut c_char; Header::COUNT],
    payload: *mut c_char,
    /// Length of the 15 lines, without their NULs.
    header_size: usize,
    /// Length of the payload, without its NUL.
    payload_size: usize,
}

/// Makes a record without payload.
pub(crate) fn create(severity: u32, class: &[u8], payload_version: u32) -> Result<*mut telem_record, Errno> {
    if !classification::is_valid(class) {
        return Err(Errno(libc::EINVAL));
    }
    let host = HostLines::current()?;
    // The contract has -1 for this one failure.
    let random = sys::random().map_err(|_| Errno(libc::EPERM))?;
    lay_out(
        &host,
        &[
            (Header::RecordFormatVersion, header::RECORD_FORMAT_VERSION.as_bytes()),
            (Header::Classification, class),
            (Header::Severity, Decimal::new(severity::clamp(severity).into()).as_bytes()),
            (Header::MachineId, header::MACHINE_ID_PLACEHOLDER.as_bytes()),
            (Header::CreationTimestamp, Decimal::new(sys::wall_seconds()).as_bytes()),
            (Header::PayloadFormatVersion, Decimal::new(payload_version.into()).as_bytes()),
            (Header::EventId, &event_id::from_random(random)),
        ],
    )
}

const OWN_HEADERS: usize = Header::COUNT - host_lines::HEADERS.len();

/// Makes a record of the host's lines and the values of all other headers.
fn lay_out(host: &HostLines, own: &[(Header, &[u8]); OWN_HEADERS]) -> Result<*mut telem_record, Errno> {
    let lines_end = |sum: usize, &(header, value): &(Header, &[u8])| {
        sum.saturating_add(line_len(header, value.len())).saturating_add(1)
    };
    let text_len = own.iter().fold(host.text().len(), lines_end);
    let mut block = Heap::zeroed(size_of::<telem_record>().saturating_add(text_len))?;
    let mut text = Cursor::new(block.bytes_mut().get_mut(size_of::<telem_record>()..).ok_or(Full)?);
    text.put(host.text());
    for (header, value) in own {
        for part in [header.prefix().as_bytes(), value, b"\n\0"] {
            text.put(part);
        }
    }
    text.finish()?;

    let record: *mut telem_record = block.into_raw();
    let text: *mut c_char = record.wrapping_add(1).cast();
    // SAFETY: the block is as large as a record and aligned for it, and all
    // zeros are a valid one.
    let fields = unsafe { &mut *record };
    fields.header_size = text_len.saturating_sub(Header::COUNT);
    let mut start = 0;
    let mut point_to_line = |header: Header, end: usize| {
        if let Some(line) = fields.headers.get_mut(header as usize) {
            *line = text.wrapping_add(start);
        }
        start = end;
    };
    for (header, end) in host_lines::HEADERS.into_iter().zip(host.ends()) {
        point_to_line(header, end);
    }
    own.iter().fold(host.text().len(), |end, line| {
        let end = lines_end(end, line);
        point_to_line(line.0, end);
        end
    });
    Ok(record)
}

impl telem_record {
    /// Replaces the payload by a copy of `bytes`, which holds no NUL.
    pub(crate) fn set_payload(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if !payload::is_valid(bytes) {
            return Err(Errno(libc::EINVAL));
        }
        let mut copy = Heap::zeroed(bytes.len().saturating_add(1))?;
        let mut cursor = Cursor::new(copy.bytes_mut());
        cursor.put(bytes);
        cursor.finish()?;
        let old = core::mem::replace(&mut self.payload, copy.into_raw());
        self.payload_size = bytes.len();
        // SAFETY: the old payload is NULL or was made here, and is not used
        // any more.
        unsafe { sys::free(old) };
        Ok(())
    }

    /// Replaces the event id. The line keeps its place and its length.
    pub(crate) fn set_event_id(&mut self, id: &[u8]) -> Result<(), Errno> {
        let [.., line] = self.headers;
        if !event_id::is_valid(id) || line.is_null() {
            return Err(Errno(libc::EPERM));
        }
        let value_start = line_len(Header::EventId, 0).saturating_sub(1);
        // SAFETY: the line of a record is as long as its name and a valid id,
        // and so is `id`.
        unsafe { ptr::copy_nonoverlapping(id.as_ptr(), line.add(value_start).cast(), id.len()) };
        Ok(())
    }

    /// The header lines, in the order of the wire, each with its newline.
    pub fn header_lines(&self) -> [&[u8]; Header::COUNT] {
        let mut lines = [[].as_slice(); Header::COUNT];
        for (bytes, &line) in lines.iter_mut().zip(&self.headers) {
            if !line.is_null() {
                // SAFETY: the lines of a record end in a NUL and live as long
                // as it does.
                *bytes = unsafe { CStr::from_ptr(line) }.to_bytes();
            }
        }
        lines
    }

    /// The payload; empty if none was set.
    pub fn payload(&self) -> &[u8] {
        if self.payload.is_null() {
            return &[];
        }
        // SAFETY: a payload that was set is `payload_size` bytes long.
        unsafe { slice::from_raw_parts(self.payload.cast(), self.payload_size) }
    }
}

/// Frees a record and its payload; NULL is allowed.
///
/// # Safety
///
/// `record` must be NULL or come from [`create`], and must not be used any
/// more.
pub(crate) unsafe fn destroy(record: *mut telem_record) {
    // SAFETY: the caller's promise; free(3) takes NULL.
    unsafe {
        if let Some(fields) = record.as_ref() {
            sys::free(fields.payload);
        }
        sys::free(record);
    }
}
