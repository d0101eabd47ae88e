//! The packages, built as `make deb` and `make rpm` build them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{make, succeed};

/// The project's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The directory in which `make` builds packages.
pub fn directory() -> PathBuf {
    sandbox::project().join("target/packages")
}

/// Runs `make deb` or `make rpm`; the directory of what it made.
pub fn packages(kind: &str) -> PathBuf {
    succeed(&mut make(kind));
    directory().join(kind)
}

/// Builds from the tarball again, at another place and under another name of
/// the home directory; the directory of what was made.
pub fn packages_elsewhere(kind: &str, elsewhere: &Path) -> PathBuf {
    let tarball = format!("telemetrics-client-{VERSION}.tar.xz");
    fs::copy(directory().join(&tarball), elsewhere.join(tarball)).expect("a copy of the tarball");
    let mut command = Command::new(sandbox::project().join(format!("packaging/build-{kind}")));
    command.arg(VERSION).arg(elsewhere).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    succeed(command.current_dir("/"));
    elsewhere.join(kind)
}

/// The files with an ending below a directory, in the order of their names.
pub fn with_ending(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let found = crate::files(directory);
    let names = found.iter().filter_map(|line| line.split(' ').nth(1)).filter(|name| name.ends_with(ending));
    let mut paths: Vec<_> = names.map(|name| directory.join(name.trim_start_matches('/'))).collect();
    paths.sort();
    paths
}
