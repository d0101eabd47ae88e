//! The C library's own getopt_long(3) reads the same.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use proptest::prelude::*;
use tempfile::TempDir;

use crate::getopt::tests::read_words_of_a_program_without_help;

/// A program that prints what getopt_long reads, compiled once.
static PROGRAM: LazyLock<TempDir> = LazyLock::new(|| {
    let directory = TempDir::new().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c/getopt.c");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror", "-Wno-format-nonliteral"]).arg(source).arg("-o");
    assert!(cc.arg(directory.path().join("program")).status().unwrap().success());
    directory
});

/// What it read before a complaint, and the complaint.
fn read_by_the_c_library(words: &[String]) -> (Vec<String>, Option<String>) {
    let mut program = Command::new(PROGRAM.path().join("program"));
    let output = program.args(words).env("LC_ALL", "C").env_remove("POSIXLY_CORRECT").output().unwrap();
    let lines = |text: Vec<u8>| String::from_utf8(text).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let complaint = lines(output.stderr).first().map(|line| line.split_once(": ").unwrap().1.to_owned());
    (lines(output.stdout), complaint)
}

fn word() -> impl Strategy<Value = String> {
    let name =
        prop::sample::select(vec!["", "c", "class", "conf", "config_", "p", "payload", "payload-", "e", "no-post"]);
    let value = prop::sample::select(vec!["", "=", "=a", "=a=b", "x"]);
    prop_oneof![(name, value).prop_map(|(name, value)| format!("--{name}{value}")), "-[cfpPonz=]{0,4}", "[a-z]{0,3}",]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn words_are_read_as_by_the_c_library(words in prop::collection::vec(word(), 0..6)) {
        let ours = read_words_of_a_program_without_help(words.iter().map(OsString::from));
        prop_assert_eq!(ours, read_by_the_c_library(&words));
    }
}
