//! The packages by themselves.

use std::fs;
use std::process::Command;

use packaging_acceptance::build::{packages_elsewhere, with_ending};
use packaging_acceptance::succeed;
use tempfile::TempDir;

use crate::built;

#[test]
fn lintian_finds_neither_errors_nor_warnings() {
    let changes = with_ending(built(), ".changes");
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on=error,warning"]).args(&changes);
    assert_eq!(succeed(&mut lintian), "");
}

#[test]
fn two_builds_in_different_directories_give_the_same_packages() {
    let elsewhere = TempDir::new().unwrap();
    let again = packages_elsewhere("deb", elsewhere.path());
    for ending in [".deb", ".dsc", ".debian.tar.xz"] {
        let (first, second) = (with_ending(built(), ending), with_ending(&again, ending));
        assert_eq!(first.len(), second.len());
        for (first, second) in first.iter().zip(second) {
            assert!(fs::read(first).unwrap() == fs::read(&second).unwrap(), "{} differs", second.display());
            println!("{} bytes, twice: {}", fs::metadata(first).unwrap().len(), first.file_name().unwrap().display());
        }
    }
}
