//! Tools for the tests of the installation, the services and the packages.

pub mod booted;
pub mod build;
pub mod debian;
pub mod unit;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What a command wrote to both streams; panics with it unless the command
/// succeeds.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut written = String::from_utf8_lossy(&output.stdout).into_owned();
    written.push_str(&String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{written}", output.status);
    written
}

/// The Makefile's command with a target, in the project.
pub fn make(target: &str) -> Command {
    let mut command = Command::new("make");
    command.args(["-s", target]).current_dir(sandbox::project());
    // This may run under `make check`, whose jobs are not ours.
    command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    command
}

/// What is below a directory and is no directory itself: `MODE PATH`, and
/// ` -> TARGET` for a link.
pub fn files(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    visit(root, &mut |path| {
        let metadata = path.symlink_metadata().expect("a file that is there");
        if metadata.is_dir() {
            return;
        }
        let name = format!("/{}", path.strip_prefix(root).expect("below the root").display());
        found.insert(match fs::read_link(path) {
            Ok(target) => format!("link {name} -> {}", target.display()),
            Err(_) => format!("{:04o} {name}", metadata.permissions().mode() & 0o7777),
        });
    });
    found
}

/// Calls `see` with everything below a directory.
fn visit(directory: &Path, see: &mut impl FnMut(&Path)) {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        see(&path);
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            visit(&path, see);
        }
    }
}
