//! The installed telemctl and telem_journal, on machines of their own
//! (`make stage` first).

mod config;
mod consent;
mod container;
mod documents;
mod heartbeat;
mod journal;
mod operator;
mod preview;
mod readme;
mod records;
mod services;
mod status;
mod usage;
