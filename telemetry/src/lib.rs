//! Hands records to the telemetry daemon: the Rust face of libtelemetry.
//!
//! Station: between a program in Rust and the C functions of `telemetry(3)`,
//! which do all the work. Owns the life of a record and the words for what can
//! go wrong. Never sends before the administrator has opted in, and never
//! prints.
//!
//! ```no_run
//! use telemetry::{Record, Severity};
//!
//! fn report(payload: &str) -> Result<(), telemetry::Error> {
//!     Record::new(Severity::Medium, "org.example/backup/failed", 1)?.payload(payload)?.send()
//! }
//!
//! if let Err(error) = report("disk full\n") {
//!     eprintln!("no record was sent: {error}");
//!     if let Some(remedy) = error.remedy() {
//!         eprintln!("{remedy}");
//!     }
//! }
//! ```
//!
//! What is checked here and what the daemon must say for a record to count as
//! sent is in `tm_create_record(3)`, `tm_set_payload(3)` and
//! `tm_send_record(3)`.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod error;
mod explanation;
mod ffi;
mod record;
mod severity;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use ::record::{classification, event_id};
pub use error::Error;
pub use explanation::os_text;
pub use record::{PAYLOAD_MAX, Record};
pub use severity::Severity;

/// Whether the administrator has opted in to telemetry. A probe that works
/// much for a record asks first; [`Record::send`] asks anyway.
pub fn is_opted_in() -> bool {
    ffi::tm_is_opted_in() == 1
}

/// Makes every later record of this process use the configuration file at
/// `path`, which must be absolute and lead to a regular file; see
/// `tm_set_config_file(3)`.
pub fn set_config_file(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = CString::new(path.as_ref().as_os_str().as_bytes()).map_err(|_| Error::ConfigFile(libc::EINVAL))?;
    // SAFETY: `path` is a C string.
    error::check(unsafe { ffi::tm_set_config_file(path.as_ptr()) }, Error::ConfigFile)
}
