//! Tools for the tests of the installed tools and probes.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use collector::Received;
use libtelemetry_acceptance::compile_preloaded;
use sandbox::Sandbox;

/// The installed programs, as they are called in these tests.
pub const RECORD_GEN: &str = "/usr/local/bin/telem-record-gen";
/// See [`RECORD_GEN`].
pub const HPROBE: &str = "/usr/local/bin/hprobe";
/// A classification that is fine.
pub const CLASS: &str = "org.example/backup/failed";

/// What became of a program.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit status.
    pub status: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Ran {
    /// A run without a complaint that printed this.
    pub fn well(out: &str) -> Self {
        Self { status: 0, out: out.to_owned(), err: String::new() }
    }

    /// A run that failed with these lines.
    pub fn badly(err: &str) -> Self {
        Self { status: 1, out: String::new(), err: format!("{err}\n") }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(output.status.signal(), None, "{}", text(output.stderr.clone()));
        Self { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a command without input.
pub fn run(command: &mut Command) -> Ran {
    command.stdin(Stdio::null()).output().unwrap().into()
}

/// Runs a command that must read all of this.
pub fn run_with_input(command: &mut Command, input: impl Into<Vec<u8>>) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.into();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().expect("the program reads its input to the end");
    output.into()
}

/// The payload of a record that arrived: the daemon sends a newline behind it.
pub fn payload(received: &Received) -> &[u8] {
    received.body.strip_suffix(b"\n").expect("a newline")
}

/// telem-record-gen with these arguments.
pub fn record_gen<A: AsRef<std::ffi::OsStr>>(sandbox: &Sandbox, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = sandbox.command(RECORD_GEN);
    command.args(arguments);
    command
}

/// hprobe with these arguments.
pub fn hprobe(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(HPROBE);
    command.args(arguments);
    command
}

/// Takes all random numbers away from the library, so that it cannot make a
/// record.
pub fn without_random_numbers<'a>(command: &'a mut Command, directory: &Path) -> &'a mut Command {
    let preloaded = directory.join("no_random_numbers.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c/no_random_numbers.c");
    compile_preloaded(source.to_str().unwrap(), &preloaded);
    command.env("LD_PRELOAD", preloaded)
}
