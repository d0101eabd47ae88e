//! Where the payload comes from.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use crate::CommandLine;
use crate::failure::Failure;

/// The longest payload that this tool sends. The library takes a byte more;
/// what scripts get is what they always got.
pub(crate) const MAX: usize = 8191;

pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    /// Whether there was more.
    pub(crate) was_cut: bool,
}

/// Reads the payload from where the options say. No byte is added or removed.
pub(crate) fn read(command: &CommandLine) -> Result<Payload, Failure> {
    match (&command.payload_file, &command.payload) {
        (Some(path), _) => {
            let file = File::open(path).map_err(|_| Failure::PayloadFile(path.clone()))?;
            start_of(file).map_err(|error| Failure::PayloadRead { from: path.clone(), error })
        }
        (None, Some(text)) => Ok(cut(text.as_bytes().to_vec())),
        (None, None) => {
            from_standard_input().map_err(|error| Failure::PayloadRead { from: "/dev/stdin".into(), error })
        }
    }
}

fn from_standard_input() -> io::Result<Payload> {
    let mut input = io::stdin().lock();
    let payload = start_of(&mut input)?;
    // Who writes the rest must not be ended by SIGPIPE.
    io::copy(&mut input, &mut io::sink())?;
    Ok(payload)
}

fn start_of(source: impl Read) -> io::Result<Payload> {
    let mut bytes = Vec::new();
    source.take(MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(cut(bytes))
}

fn cut(mut bytes: Vec<u8>) -> Payload {
    let was_cut = bytes.len() > MAX;
    bytes.truncate(MAX);
    Payload { bytes, was_cut }
}
