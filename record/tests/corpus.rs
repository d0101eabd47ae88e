//! The bytes that fuzzing starts with, tried as the fuzz targets try them.

use std::fs;
use std::path::Path;

use record::frame::Frame;
use record::spool_file::SpoolFile;

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "elsewhere it is a crate of its own")]
mod properties;

/// Tries all of a target's files; gives how many were accepted.
fn accepted(target: &str, property: fn(&[u8]), is_accepted: fn(&[u8]) -> bool) -> [usize; 2] {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files: Vec<Vec<u8>> =
        fs::read_dir(corpus).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    for file in &files {
        property(file);
    }
    [files.iter().filter(|file| is_accepted(file)).count(), files.len()]
}

fn assert_is_mixed([accepted, all]: [usize; 2]) {
    assert!(accepted > all / 4 && accepted < all, "{accepted} of {all} are accepted");
}

#[test]
fn what_must_hold_of_any_frame_holds_of_the_corpus() {
    assert_is_mixed(accepted("frame", properties::frame, |bytes| Frame::decode(bytes).is_ok()));
}

#[test]
fn what_must_hold_of_any_spool_file_holds_of_the_corpus() {
    assert_is_mixed(accepted("spool_file", properties::spool_file, |bytes| SpoolFile::decode(bytes).is_ok()));
}

#[test]
fn what_must_hold_of_any_configuration_file_holds_of_the_corpus() {
    let is_accepted = |bytes: &[u8]| record::config::Settings::read(bytes).is_ok();
    assert_is_mixed(accepted("config", properties::config, is_accepted));
}
