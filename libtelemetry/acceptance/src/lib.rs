//! Tools for the tests of the installed library: a C compiler, and the types
//! that the C header declares.

pub mod burst;
pub mod client;
pub mod machine;
pub mod memory;
pub mod peer;
pub mod site;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The C interface as bindgen reads it from the committed header.
#[allow(missing_docs, non_camel_case_types, unreachable_pub, clippy::all)]
pub mod telemetry_h {
    include!(concat!(env!("OUT_DIR"), "/telemetry_h.rs"));
}

/// The directory of the C test programs.
pub fn c_programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c")
}

/// Runs a command; panics with all that it wrote unless it succeeds.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// The standard output of a successful command.
pub fn stdout_of(command: &mut Command) -> String {
    String::from_utf8_lossy(&succeed(command).stdout).into_owned()
}

/// A program of `c/`, compiled against the installation.
pub struct Program {
    /// Where it is, until this value is dropped.
    pub path: PathBuf,
    _directory: TempDir,
}

impl Program {
    /// Compiles it.
    pub fn compile(source: &str) -> Self {
        Self::compile_with(source, &[])
    }

    /// Compiles it with these options.
    pub fn compile_with(source: &str, options: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("program");
        compile(&sandbox::installation(), source, &path, options);
        Self { path, _directory: directory }
    }
}

/// Compiles a program of `c/` against the installation at `prefix`.
fn compile(prefix: &Path, source: &str, program: &Path, options: &[&str]) {
    let mut command = c_compiler(source, program);
    command.arg("-I").arg(prefix.join("include")).args(options);
    command.arg("-L").arg(prefix.join("lib")).arg("-ltelemetry");
    succeed(&mut command);
}

/// Compiles a file of `c/` to a library that tests preload.
pub fn compile_preloaded(source: &str, library: &Path) {
    succeed(c_compiler(source, library).args(["-shared", "-fPIC"]));
}

fn c_compiler(source: &str, output: &Path) -> Command {
    let mut command = Command::new("cc");
    command.args(["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]);
    command.arg(c_programs().join(source)).arg("-o").arg(output);
    command
}
