//! Why a command ended early, in words for the administrator.

use std::fmt::{self, Display};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::unistd::Uid;

use crate::output::{one_line, visible};

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something that a message explains.
    Message(String),
    /// Nobody takes what is printed.
    Output(io::Error),
}

impl Failure {
    /// Something else, in words.
    pub(crate) fn new(message: impl Display) -> Self {
        Self::Message(message.to_string())
    }

    /// A file or a directory cannot be used.
    pub(crate) fn at(path: &Path, error: &io::Error) -> Self {
        let path = one_line(path.as_os_str().as_bytes());
        let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
        Self::Message(match is_denied && !Uid::effective().is_root() {
            true => format!("{path}: {error}; run this command as root"),
            false => format!("{path}: {error}"),
        })
    }
}

/// Only printing fails with an error of its own; all others name their place.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Names and texts of others are in it.
            Self::Message(message) => f.write_str(&visible(message.as_bytes())),
            Self::Output(error) => write!(f, "standard output: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_told_what_to_do_by_a_message() {
        let failure = Failure::at(Path::new("/a\n\u{1b}[2J\u{9b}1m"), &io::ErrorKind::NotFound.into());
        assert_eq!(failure.to_string(), "/a \\u{1b}[2J\\u{9b}1m: entity not found");
        assert_eq!(Failure::new("what\u{7} and\nremedy").to_string(), "what\\u{7} and\nremedy");
    }
}
