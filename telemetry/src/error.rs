//! What can go wrong, in words.

use std::io;

use record::{classification, event_id};
use thiserror::Error;

use crate::explanation::{self, Explanation, os_text};
use crate::record::PAYLOAD_MAX;

/// Why a record was not made, changed or sent.
///
/// Shown, it says what happened; [`Error::remedy`] says what to do about it,
/// and [`Error::errno`] is what a C program gets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The classification breaks a rule.
    #[error("classification not valid: {0}")]
    Classification(#[from] classification::Fault),
    /// The payload has a byte that is neither printable ASCII nor ASCII white
    /// space.
    #[error("payload not valid: byte {byte:#04x} at position {position} is neither printable ASCII nor white space")]
    PayloadByte {
        /// The first such byte.
        byte: u8,
        /// Where it stands.
        position: usize,
    },
    /// The payload has this many bytes, and that is too many.
    #[error("payload not valid: {0} bytes, and {PAYLOAD_MAX} are allowed")]
    PayloadLength(usize),
    /// The event id breaks a rule.
    #[error("event id not valid: {0}")]
    EventId(#[from] event_id::Fault),
    /// The configuration file cannot be chosen, for this errno.
    #[error("configuration file path not valid: {}", os_text_of(*.0))]
    ConfigFile(i32),
    /// The record cannot be made, or gets no room for a text, for this errno.
    #[error("{}", self.explained())]
    Create(i32),
    /// The administrator has not opted in to telemetry.
    #[error("{}", self.explained())]
    NotOptedIn,
    /// The daemon does not have the record, for this errno.
    #[error("{}", self.explained())]
    Send(i32),
}

impl Error {
    /// The positive errno of what a C program gets.
    pub fn errno(&self) -> i32 {
        match *self {
            Self::Classification(_) | Self::PayloadByte { .. } | Self::PayloadLength(_) => libc::EINVAL,
            Self::EventId(_) => libc::EPERM,
            Self::NotOptedIn => libc::ECONNREFUSED,
            Self::ConfigFile(errno) | Self::Create(errno) | Self::Send(errno) => errno,
        }
    }

    /// The system's words for the errno, as strerror(3) has them.
    pub fn os_text(&self) -> String {
        os_text_of(self.errno())
    }

    /// Whether the daemon was not reached at all, as far as the errno tells.
    pub fn is_about_connecting(&self) -> bool {
        matches!(self, Self::Send(libc::ECONNREFUSED | libc::ENOENT | libc::EACCES))
    }

    /// What happened, in words of telemetry, where the system's say little.
    pub fn meaning(&self) -> Option<&'static str> {
        self.explanation().map(|explanation| explanation.meaning)
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        self.explanation().map(|explanation| explanation.remedy)
    }

    fn explanation(&self) -> Option<Explanation> {
        match *self {
            Self::NotOptedIn => explanation::NOT_OPTED_IN,
            Self::Create(errno) => explanation::of_creating(errno),
            Self::Send(errno) => explanation::of_sending(errno),
            _ => None,
        }
    }

    fn explained(&self) -> String {
        let meaning = self.meaning().map(|meaning| format!(": {meaning}"));
        self.os_text() + &meaning.unwrap_or_default()
    }
}

fn os_text_of(errno: i32) -> String {
    os_text(&io::Error::from_raw_os_error(errno))
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(Self::from_raw_os_error(error.errno()).kind(), error)
    }
}

/// Turns a result of the C library into one of Rust.
pub(crate) fn check(status: i32, error: impl FnOnce(i32) -> Error) -> Result<(), Error> {
    if status == 0 { Ok(()) } else { Err(error(status.saturating_neg())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_happened_and_what_to_do() {
        let error = Error::Send(libc::ECONNREFUSED);
        assert_eq!(error.to_string(), "Connection refused: no daemon listens on its socket");
        assert_eq!(error.remedy(), Some("Start the daemon by 'telemctl start'."));
        let error = Error::NotOptedIn;
        assert_eq!(error.to_string(), "Connection refused: telemetry is switched off on this machine");
        assert_eq!(error.remedy(), Some("Switch it on by 'telemctl opt-in'."));
    }

    #[test]
    fn an_errno_without_words_of_ours_has_those_of_the_system() {
        assert_eq!(Error::Send(libc::EXDEV).to_string(), "Invalid cross-device link");
        assert_eq!(Error::Send(libc::EXDEV).remedy(), None);
    }

    #[test]
    fn an_error_becomes_one_of_the_standard_library() {
        let error = io::Error::from(Error::Send(libc::ETIMEDOUT));
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
