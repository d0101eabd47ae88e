//! The Debian packages: built, judged, installed into a new system, used and
//! purged. Needs root, and Debian's servers.

mod booted;
mod installed;
mod packages;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use collector::{Collector, Received};
use packaging_acceptance::build::{self, with_ending};
use packaging_acceptance::debian::System;

/// How long a test waits for a record.
const PATIENCE: Duration = Duration::from_secs(20);

/// The directory of the packages, which are built once.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build::packages("deb"))
}

/// The packages that users install.
pub(crate) fn user_packages() -> Vec<PathBuf> {
    let mut packages = with_ending(built(), ".deb");
    packages.retain(|path| !path.to_string_lossy().contains("-dbgsym_"));
    assert_eq!(packages.len(), 3, "{packages:?}");
    packages
}

pub(crate) fn system() -> System {
    assert_eq!(fs::metadata("/proc/self").unwrap().uid(), 0, "a new system is made by root; run this test as root");
    System::new(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

pub(crate) fn opt_in(system: &System, collector: &Collector) {
    fs::create_dir_all(system.path("/etc/telemetrics")).unwrap();
    fs::write(system.path("/etc/telemetrics/opt-in"), "").unwrap();
    let configuration = format!("[settings]\nserver={}\n", collector.url());
    fs::write(system.path("/etc/telemetrics/telemetrics.conf"), configuration).unwrap();
}

/// Compiles the tutorial program in the system by the tutorial's command.
pub(crate) fn compile_tutorial(system: &System) {
    let example = "/usr/share/doc/libtelemetry-dev/examples/test.c";
    system.run(&["gcc", example, "-ltelemetry", "-o", "/root/test_telem"]);
}

/// What the tutorial program says.
pub(crate) fn tutorial(system: &System) -> String {
    compile_tutorial(system);
    let output = system.command("/root/test_telem").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn receive(collector: &Collector) -> Received {
    collector.received().recv_timeout(PATIENCE).expect("a record arrives")
}
