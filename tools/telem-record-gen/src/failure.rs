//! Why no record was made or sent, in the words that scripts know.

use std::io;
use std::path::PathBuf;

use telemetry::os_text;
use thiserror::Error;

#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("Invalid {0} number. Must be an integer")]
    NoNumber(&'static str),
    #[error("ERROR: Failed to convert {0} number: Numerical result out of range")]
    NumberTooLarge(&'static str),
    #[error("Error: Classification required. See --help.")]
    NoClass,
    #[error("Error: Valid size for classification is 1-122 chars")]
    ClassLength,
    #[error("Error: Non-ascii characters detected in classification - aborting")]
    ClassNotAscii,
    #[error("Error: Classification strings between slashes should have at most 40 chars")]
    ClassPartLength,
    #[error("Error: Control character {byte:#04x} at position {position} of the classification - aborting")]
    ClassControl { byte: u8, position: usize },
    #[error("Error: Classification needs to be in most/to/least specific format, 2 '/' required.")]
    ClassParts,
    #[error("Error: Valid range for severity is 1-4")]
    Severity,
    #[error("Error: event_id length {0} it should have 32 characters")]
    EventIdLength(usize),
    #[error(
        "Error: event_id contains invalid character '{}' at position {position}, valid characters are 0123456789abcdef",
        .byte.escape_ascii()
    )]
    EventIdByte { byte: u8, position: usize },
    #[error("Error: file {} could not be opened for reading", .0.display())]
    PayloadFile(PathBuf),
    #[error("Error: file {} could not be read: {}", .from.display(), os_text(.error))]
    PayloadRead { from: PathBuf, error: io::Error },
    #[error(
        "Error: invalid byte {byte:#04x} at position {position} of the payload, valid are printable ASCII and white space"
    )]
    PayloadByte { byte: u8, position: usize },
    #[error("Error: the record could not be printed: {}", os_text(.0))]
    Output(io::Error),
    #[error("Unable to send record. Make sure to opt-in to telemetry first 'telemctl opt-in'")]
    NotOptedIn,
    #[error("Failed to {step}: {}{}", .error.os_text(), advice(.error))]
    Record { step: &'static str, error: telemetry::Error },
}

impl From<telemetry::Error> for Failure {
    fn from(error: telemetry::Error) -> Self {
        let step = match error {
            telemetry::Error::NotOptedIn => return Self::NotOptedIn,
            telemetry::Error::PayloadByte { byte, position } => return Self::PayloadByte { byte, position },
            telemetry::Error::Send(_) if error.is_about_connecting() => "get socket fd",
            telemetry::Error::Send(_) => "send record",
            _ => "create record",
        };
        Self::Record { step, error }
    }
}

/// A second line, if there is something to say.
fn advice(error: &telemetry::Error) -> String {
    match (error.meaning(), error.remedy()) {
        (Some(meaning), Some(remedy)) => format!("\nUnable to send record: {meaning}. {remedy}"),
        _ => String::new(),
    }
}
