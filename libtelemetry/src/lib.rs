//! libtelemetry: programs hand their records to the telemetry daemon.
//!
//! Station: the first one on a record's way. Owns the C interface, the facts
//! about the host and the client's end of the socket. Never prints, never
//! raises a signal, never panics or ends its host, and sends nothing before
//! the administrator has opted in.
//!
//! This crate is linked into the shared object by `libtelemetry-cdylib`, which
//! adds what only a final artifact may have: the panic handler, the symbol
//! names and their versions.

#![no_std]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod capi;
mod client;
mod debug_log;
mod host_lines;
mod layout;
mod opt_in;
mod published;
mod settings;
mod sys;

pub use layout::telem_record;
