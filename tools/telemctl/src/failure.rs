//! Why a command ended early, in words for the administrator.

use std::fmt::{self, Display};
use std::io;
use std::path::Path;

use nix::unistd::Uid;

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
        let path = path.display();
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
            Self::Message(message) => f.write_str(message),
            Self::Output(error) => write!(f, "standard output: {error}"),
        }
    }
}
