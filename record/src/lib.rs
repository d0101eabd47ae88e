//! What a telemetry record *is*.
//!
//! Station: the vocabulary that every other station shares. Owns the headers
//! and their order, the rules of their values, the socket frame, the spool
//! file and the configuration keys. Never touches a file, a socket or a clock.
//!
//! The sources are the manual pages `telemetry(3)`, `telemetrics.conf(5)` and
//! `docs/compatibility.md`.

#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate alloc;

pub mod ack;
pub mod classification;
pub mod config;
pub mod config_field;
pub mod cursor;
pub mod decimal;
pub mod event_id;
pub mod frame;
pub mod header;
pub mod host;
pub mod lines;
mod names;
pub mod paths;
pub mod payload;
pub mod severity;
pub mod spool_file;
pub mod text;
