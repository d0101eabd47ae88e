//! The socket frame: one record on its way from the library to the daemon.
//!
//! ```text
//! record_size  u32 LE   length of the whole frame, this field included
//! config       optional "CFG:", an absolute path, NUL
//! header_size  u32 LE
//! headers      15 lines `name: value\n`
//! payload      bytes without NUL
//! terminator   NUL
//! ```

use core::fmt;

use crate::config_field::{self, ConfigFieldError};
use crate::cursor::{Cursor, Full};
use crate::header::{HeaderError, Headers};
use crate::payload;

/// The shortest frame: two sizes and the terminator.
pub const MIN: usize = 9;
/// The longest frame.
pub const MAX: usize = 13_500;
/// Length of the field that declares the frame's length.
pub const SIZE_LEN: usize = 4;

const NUL: u8 = 0;

/// Why a frame was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The declared length is outside [`MIN`]..=[`MAX`].
    Size(u32),
    /// The frame has not the length that it declares.
    Incomplete,
    /// The `CFG:` field is wrong.
    Config(ConfigFieldError),
    /// The header block does not fit in the frame.
    HeaderSize(u32),
    /// The header block is wrong.
    Header(HeaderError),
    /// The payload is longer than [`payload::MAX`].
    PayloadTooLong(usize),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(size) => write!(f, "record_size {size} is outside {MIN}..={MAX}"),
            Self::Incomplete => f.write_str("the frame is shorter than its record_size"),
            Self::Config(error) => error.fmt(f),
            Self::HeaderSize(size) => write!(f, "header_size {size} does not fit in the frame"),
            Self::Header(error) => error.fmt(f),
            Self::PayloadTooLong(len) => write!(f, "the payload has {len} bytes, the limit is {}", payload::MAX),
        }
    }
}

impl core::error::Error for FrameError {}

/// A frame, decoded. Everything is borrowed from the buffer it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The configuration file that the sender asked for.
    pub config: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
    /// The payload, up to its first NUL.
    pub payload: &'a [u8],
}

/// The length of a whole frame, read from its first four bytes.
pub fn declared_len(size: [u8; SIZE_LEN]) -> Result<usize, FrameError> {
    let size = u32::from_le_bytes(size);
    match usize::try_from(size) {
        Ok(len) if (MIN..=MAX).contains(&len) => Ok(len),
        _ => Err(FrameError::Size(size)),
    }
}

impl<'a> Frame<'a> {
    /// Reads a whole frame.
    pub fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        let (size, rest) = frame.split_first_chunk().ok_or(FrameError::Incomplete)?;
        if declared_len(*size)? != frame.len() {
            return Err(FrameError::Incomplete);
        }
        let (config, rest) = config_field::decode(rest, NUL).map_err(FrameError::Config)?;
        let (header_size, rest) = rest.split_first_chunk().ok_or(FrameError::Incomplete)?;
        let header_size = u32::from_le_bytes(*header_size);
        let (block, tail) = usize::try_from(header_size)
            .ok()
            .and_then(|len| rest.split_at_checked(len))
            .filter(|(_, tail)| !tail.is_empty())
            .ok_or(FrameError::HeaderSize(header_size))?;
        let (headers, _surplus) = Headers::decode(block).map_err(FrameError::Header)?;
        let payload = until_nul(tail);
        if payload.len() > payload::MAX {
            return Err(FrameError::PayloadTooLong(payload.len()));
        }
        Ok(Self { config, headers, payload })
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == NUL).next().unwrap_or_default()
}

/// A frame to be written. The header lines are whole: `name: value\n`.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The configuration file that the receiver shall use for this record.
    pub config: Option<&'a [u8]>,
    /// The header lines.
    pub header_lines: &'a [&'a [u8]],
    /// The payload.
    pub payload: &'a [u8],
}

impl Outgoing<'_> {
    fn header_size(&self) -> usize {
        self.header_lines.iter().fold(0usize, |sum, line| sum.saturating_add(line.len()))
    }

    /// The length of the frame, or `None` if it would be longer than [`MAX`].
    pub fn encoded_len(&self) -> Option<usize> {
        let config = self.config.map_or(0, |path| config_field::TAG.len().saturating_add(path.len()).saturating_add(1));
        let len = MIN.saturating_add(config).saturating_add(self.header_size()).saturating_add(self.payload.len());
        (len <= MAX).then_some(len)
    }

    /// Writes the frame into `buffer`, which must be as long as
    /// [`Self::encoded_len`] said.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<(), Full> {
        let field = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
        let size = field(buffer.len());
        let mut cursor = Cursor::new(buffer);
        cursor.put(&size);
        if let Some(path) = self.config {
            cursor.put(config_field::TAG);
            cursor.put(path);
            cursor.put(&[NUL]);
        }
        cursor.put(&field(self.header_size()));
        for line in self.header_lines {
            cursor.put(line);
        }
        cursor.put(self.payload);
        cursor.put(&[NUL]);
        cursor.finish()
    }
}
