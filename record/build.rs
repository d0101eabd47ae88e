//! Turns the directories of the build into the paths that the code uses.
//!
//! The Makefile passes them as environment variables (`make sysconfdir=…`);
//! a plain `cargo build` gets the defaults of a distribution.

use std::env;

/// Where the C project sent records, and what its configuration file shows.
const DEFAULT_SERVER: &str = "https://clr.telemetry.intel.com/v3/collector";

fn main() {
    let directory = |variable: &str, default: &str| {
        println!("cargo:rerun-if-env-changed={variable}");
        let value = env::var(variable).unwrap_or_else(|_| default.to_owned());
        assert!(
            value.starts_with('/') && !value.contains(['\n', '\0']),
            "{variable} must be an absolute path, got {value:?}"
        );
        value.trim_end_matches('/').to_owned()
    };
    let sysconfdir = directory("TELEMETRY_SYSCONFDIR", "/etc");
    let localstatedir = directory("TELEMETRY_LOCALSTATEDIR", "/var");
    let datadir = directory("TELEMETRY_DATADIR", "/usr/share");
    let socketdir = directory("TELEMETRY_SOCKETDIR", "/run");
    let tmpfilesdir = directory("TELEMETRY_TMPFILESDIR", "/usr/lib/tmpfiles.d");

    let path = |name: &str, value: String| println!("cargo:rustc-env=TELEMETRY_PATH_{name}={value}");
    path("OPT_IN", format!("{sysconfdir}/telemetrics/opt-in"));
    path("STATIC_MACHINE_ID", format!("{sysconfdir}/telemetrics/opt-in-static-machine-id"));
    path("CONFIG", format!("{sysconfdir}/telemetrics/telemetrics.conf"));
    path("DEFAULT_CONFIG", format!("{datadir}/defaults/telemetrics/telemetrics.conf"));
    path("MACHINE_ID", format!("{localstatedir}/lib/telemetry/machine_id"));
    path("CONSENT", format!("{localstatedir}/lib/telemetry/consent"));
    path("STATUS", format!("{socketdir}/telemetry/status.json"));
    path("JOURNAL", format!("{localstatedir}/log/telemetry/journal"));
    path("RECORDS", format!("{localstatedir}/log/telemetry/records"));
    path("SPOOL", format!("{localstatedir}/spool/telemetry"));
    path("SOCKET", format!("{socketdir}/telem-0"));
    path("WORK_DIRECTORIES", format!("{tmpfilesdir}/telemetrics-dirs.conf"));

    println!("cargo:rerun-if-env-changed=TELEMETRY_SERVER");
    let server = env::var("TELEMETRY_SERVER").unwrap_or_else(|_| DEFAULT_SERVER.to_owned());
    println!("cargo:rustc-env=TELEMETRY_SERVER={server}");
}
