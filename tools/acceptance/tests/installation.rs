//! What `make install` puts where, and `make uninstall` takes away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtelemetry_acceptance::succeed;
use sandbox::project;
use tempfile::TempDir;

/// As staged, so that nothing is built again.
fn make(target: &str, destination: &TempDir, variables: &[&str]) {
    let mut make = Command::new("make");
    make.arg("-s").arg("-C").arg(project()).arg(target).args(variables);
    make.arg(format!("DESTDIR={}", destination.path().display())).env_remove("MAKEFLAGS");
    succeed(&mut make);
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn each_program_is_installed_with_its_manual_page_and_its_completions() {
    let destination = TempDir::new().unwrap();
    make("install-tools", &destination, &["bindir=/opt/bin"]);
    make("install-probes", &destination, &["bindir=/opt/bin"]);
    for program in ["telem-record-gen", "hprobe"] {
        for path in [
            format!("opt/bin/{program}"),
            format!("usr/local/share/man/man1/{program}.1"),
            format!("usr/local/share/bash-completion/completions/{program}"),
            format!("usr/local/share/zsh/site-functions/_{program}"),
            format!("usr/local/share/fish/vendor_completions.d/{program}.fish"),
        ] {
            assert!(destination.path().join(&path).is_file(), "{path}");
        }
    }
}

#[test]
fn uninstall_takes_away_all_that_install_put_there() {
    let destination = TempDir::new().unwrap();
    make("install", &destination, &[]);
    assert!(!files(destination.path()).is_empty());
    make("uninstall", &destination, &[]);
    assert_eq!(files(destination.path()), Vec::<PathBuf>::new());
}
