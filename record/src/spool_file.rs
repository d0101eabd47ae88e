//! The spool file: one record on disk, as text.
//!
//! ```text
//! CFG:/path                 only if the sender asked for a configuration file
//! record_format_version: 4
//! …                         the 15 headers
//! payload                   to the end of the file, one newline added
//! ```
//!
//! The format is that of the C daemons, in both directions: what they left is
//! delivered, and what is written here they deliver.

use alloc::vec::Vec;
use core::fmt;

use crate::config_field::{self, ConfigFieldError};
use crate::header::{self, Header, HeaderError, Headers};
use crate::text::header_byte;

/// The longest file that any release writes: a configuration line, 15 header
/// lines, a payload and its newline.
pub const MAX: usize = (1 + Header::COUNT) * (header::LINE_MAX + 1) + crate::frame::MAX;

/// Why a spool file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolFileError {
    /// The `CFG:` line is wrong.
    Config(ConfigFieldError),
    /// A header is wrong.
    Header(HeaderError),
    /// There is nothing after the headers, not even the newline that every
    /// payload ends with: the file was cut short.
    NoBody,
}

impl fmt::Display for SpoolFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Header(error) => error.fmt(f),
            Self::NoBody => f.write_str("the file ends before the payload"),
        }
    }
}

impl core::error::Error for SpoolFileError {}

/// A spool file, decoded. Everything is borrowed from the file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolFile<'a> {
    /// The configuration file that the sender asked for.
    pub config: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
    /// What is posted: the payload and one newline.
    pub body: &'a [u8],
}

impl<'a> SpoolFile<'a> {
    /// Reads a whole file.
    pub fn decode(file: &'a [u8]) -> Result<Self, SpoolFileError> {
        let (config, rest) = config_field::decode(file, b'\n').map_err(SpoolFileError::Config)?;
        let (headers, body) = Headers::decode(rest).map_err(SpoolFileError::Header)?;
        if body.is_empty() {
            return Err(SpoolFileError::NoBody);
        }
        Ok(Self { config, headers, body })
    }
}

/// Writes a spool file. Control characters in header values become spaces.
///
/// `config` must be free of control characters, as decoded frames are.
pub fn encode(config: Option<&[u8]>, headers: &Headers<'_>, payload: &[u8]) -> Vec<u8> {
    let config_len = config.map_or(0, |path| config_field::TAG.len() + path.len() + 1);
    let header_len: usize = headers.iter().map(|(header, value)| header::line_len(header, value.len())).sum();
    let mut file = Vec::with_capacity(config_len + header_len + payload.len() + 1);
    if let Some(path) = config {
        file.extend_from_slice(config_field::TAG);
        file.extend_from_slice(path);
        file.push(b'\n');
    }
    for (header, value) in headers.iter() {
        file.extend_from_slice(header.prefix().as_bytes());
        file.extend(value.iter().copied().map(header_byte));
        file.push(b'\n');
    }
    file.extend_from_slice(payload);
    file.push(b'\n');
    file
}
