//! Messages on the standard error stream.
//!
//! Under a service manager that reads the stream, each line starts with its
//! priority as in sd-daemon(3).

use std::fmt::Arguments;
use std::io::Write;

/// Something the administrator must act on.
pub(crate) fn error(message: Arguments<'_>) {
    write(3, message);
}

/// Something that went wrong and was put right, or is tried again.
pub(crate) fn warning(message: Arguments<'_>) {
    write(4, message);
}

/// A normal event of note.
pub(crate) fn notice(message: Arguments<'_>) {
    write(5, message);
}

fn write(priority: u8, message: Arguments<'_>) {
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let prefix = if to_journal { format!("<{priority}>") } else { "telemd: ".to_owned() };
    // A closed stream is no reason to stop.
    let _ = std::io::stderr().write_all(format!("{prefix}{message}\n").as_bytes());
}
