//! What the options say of the record's headers.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use telemetry::{Severity, classification, event_id};

use crate::failure::Failure;

/// Reads a number of decimal digits; none at all are 0. Signs are refused: they
/// used to wrap around.
pub(crate) fn number(name: &'static str, text: &OsStr) -> Result<u32, Failure> {
    let digits = text.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits {
        None => Err(Failure::NoNumber(name)),
        Some("") => Ok(0),
        // Digits fail only by their number.
        Some(digits) => digits.parse().map_err(|_| Failure::NumberTooLarge(name)),
    }
}

/// Accepts the classifications of the library that are ASCII.
pub(crate) fn class(class: Option<&OsStr>) -> Result<&[u8], Failure> {
    let class = class.ok_or(Failure::NoClass)?.as_bytes();
    match classification::check(class) {
        Err(classification::Fault::Length) => Err(Failure::ClassLength),
        _ if !class.is_ascii() => Err(Failure::ClassNotAscii),
        Err(classification::Fault::PartLength) => Err(Failure::ClassPartLength),
        Err(classification::Fault::Control { byte, position }) => Err(Failure::ClassControl { byte, position }),
        Err(classification::Fault::Parts) => Err(Failure::ClassParts),
        Ok(()) => Ok(class),
    }
}

pub(crate) fn severity(number: u32) -> Result<Severity, Failure> {
    Severity::try_from(number).map_err(|_| Failure::Severity)
}

pub(crate) fn event_id(id: &OsStr) -> Result<&[u8], Failure> {
    let id = id.as_bytes();
    event_id::check(id).map_err(|fault| match fault {
        event_id::Fault::Length(len) => Failure::EventIdLength(len),
        event_id::Fault::Byte { byte, position } => Failure::EventIdByte { byte, position },
    })?;
    Ok(id)
}
