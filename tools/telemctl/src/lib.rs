//! telemctl: what an administrator does with telemetry.
//!
//! Consent, services, the journal, and a look at everything that waits, was
//! rejected or would leave the machine. One file a command; formats and rules
//! are those of `telemd` and `record`, and are not written again here.
//!
//! As `telem_journal` it is the journal's reader alone.

#![deny(clippy::unwrap_used, clippy::indexing_slicing)]
#![forbid(unsafe_code)]

mod advice;
pub mod command_line;
mod config;
mod deletion;
mod destination;
mod directory_watch;
mod dispatch;
mod failure;
mod follow;
mod heartbeat;
mod is_active;
mod journal;
mod launch;
mod local_time;
mod opt_in;
mod opt_out;
mod origin;
mod output;
mod preview;
mod record_files;
mod rejected;
mod restart;
mod running;
mod spool;
mod start;
mod status;
mod stop;
mod test;
mod trusted_path;
mod units;
mod work_directories;

pub use dispatch::main;
