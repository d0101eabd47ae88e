//! The configuration file: its syntax, its keys, and what a file makes of
//! them.
//!
//! One table, [`Key`], says everything about a key; the parser, the checks,
//! the sample file and the manual page follow it.

mod key;
mod sample;
mod settings;
mod syntax;
mod value;

pub use key::{Default, Key, Kind, OutOfRange, Range};
pub use sample::{manual_entries, sample_file};
pub use settings::{ConfigError, Problem, Settings, Warning, check};
pub use syntax::{Assignment, Assignments, RawValue, SyntaxError, SyntaxProblem, Unescaped};
pub use value::{Value, ValueError};

/// The only section that is used.
pub const SECTION: &str = "settings";

/// The longest file that is read, in bytes.
pub const FILE_MAX: usize = 1024 * 1024;

/// The part of `socket_path` that counts: what `sockaddr_un` holds beside its
/// NUL.
pub const SOCKET_PATH_MAX: usize = 107;
