//! The paths that are fixed when the project is built.
//!
//! No environment variable and no argument moves them at run time: what a
//! program may read, and what opts a machine in, must not depend on who starts
//! the program. `make sysconfdir=… localstatedir=… datadir=… socketdir=…
//! tmpfilesdir=…` chooses them.

/// Presence of this file, of whatever type, is the administrator's consent.
pub const OPT_IN: &str = env!("TELEMETRY_PATH_OPT_IN");
/// A machine id that the administrator chose instead of the rotating one.
pub const STATIC_MACHINE_ID: &str = env!("TELEMETRY_PATH_STATIC_MACHINE_ID");
/// The administrator's configuration file.
pub const CONFIG: &str = env!("TELEMETRY_PATH_CONFIG");
/// The distribution's configuration file, read when [`CONFIG`] does not exist.
pub const DEFAULT_CONFIG: &str = env!("TELEMETRY_PATH_DEFAULT_CONFIG");
/// The rotating machine id.
pub const MACHINE_ID: &str = env!("TELEMETRY_PATH_MACHINE_ID");
/// Which consent the records in the spool were taken under.
pub const CONSENT: &str = env!("TELEMETRY_PATH_CONSENT");
/// What telemd has done since it started.
pub const STATUS: &str = env!("TELEMETRY_PATH_STATUS");
/// A line for each record that was delivered.
pub const JOURNAL: &str = env!("TELEMETRY_PATH_JOURNAL");
/// Copies of payloads, named by the ids of the journal.
pub const RECORDS: &str = env!("TELEMETRY_PATH_RECORDS");
/// Default of the configuration key `spool_dir`.
pub const SPOOL: &str = env!("TELEMETRY_PATH_SPOOL");
/// Default of the configuration key `socket_path`.
pub const SOCKET: &str = env!("TELEMETRY_PATH_SOCKET");

/// The list of the daemon's directories, in the form of tmpfiles.d(5).
pub const WORK_DIRECTORIES: &str = env!("TELEMETRY_PATH_WORK_DIRECTORIES");

/// The same paths for C functions.
pub mod c {
    use core::ffi::CStr;

    macro_rules! c_path {
        ($variable:literal) => {
            match CStr::from_bytes_with_nul(concat!(env!($variable), "\0").as_bytes()) {
                Ok(path) => path,
                // While compiling: the build script refuses such paths.
                Err(_) => c"",
            }
        };
    }

    /// See [`OPT_IN`](super::OPT_IN).
    pub const OPT_IN: &CStr = c_path!("TELEMETRY_PATH_OPT_IN");
    /// See [`CONFIG`](super::CONFIG).
    pub const CONFIG: &CStr = c_path!("TELEMETRY_PATH_CONFIG");
    /// See [`DEFAULT_CONFIG`](super::DEFAULT_CONFIG).
    pub const DEFAULT_CONFIG: &CStr = c_path!("TELEMETRY_PATH_DEFAULT_CONFIG");
}
