//! A private root for tests of what was built.
//!
//! The paths of an installation are fixed when it is built, and no environment
//! variable moves them. So that tests run what ships, each gets a mount
//! namespace of its own (by bubblewrap): private `/etc`, `/run` and `/var`, and
//! the staged installation (`make stage`) at `/usr/local`. No rights are needed
//! beyond user namespaces, and nothing outside changes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Directories that an installation has.
const DIRECTORIES: [&str; 6] = [
    "/etc/telemetrics",
    "/run",
    "/var/cache/ldconfig",
    "/var/lib/telemetry",
    "/var/log/telemetry/records",
    "/var/spool/telemetry",
];
/// Directories of `/etc` that programs need and tests do not change.
const SHARED_DIRECTORIES: [&str; 3] = ["/etc/alternatives", "/etc/ssl", "/etc/ld.so.conf.d"];
/// Files of `/etc` that programs need; copied.
const COPIED_FILES: [&str; 5] = ["group", "hosts", "ld.so.cache", "ld.so.conf", "passwd"];
/// What a machine behind a proxy has set: not for servers on loopback.
const PROXY_VARIABLES: [&str; 8] =
    ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];
const OPT_IN: &str = "/etc/telemetrics/opt-in";

/// The root of the project.
pub fn project() -> PathBuf {
    let ci = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    ci.and_then(Path::parent).expect("this crate stands in ci/").to_owned()
}

/// The staged installation's prefix, as seen from outside of a sandbox.
pub fn installation() -> PathBuf {
    let prefix = project().join("target/stage/usr/local");
    assert!(prefix.join("lib").is_dir(), "{} is missing; run `make stage`", prefix.display());
    prefix
}

/// A private root.
pub struct Sandbox {
    root: TempDir,
    mounts: Vec<[PathBuf; 2]>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// A machine on which telemetry is installed and not switched on.
    pub fn new() -> Self {
        let sandbox = Self { root: TempDir::new().expect("a temporary directory"), mounts: Vec::new() };
        for directory in DIRECTORIES {
            fs::create_dir_all(sandbox.path(directory)).expect("a directory of the sandbox");
        }
        for directory in SHARED_DIRECTORIES {
            fs::create_dir_all(sandbox.path(directory)).expect("a directory of the sandbox");
        }
        for file in COPIED_FILES {
            // Not every system has all of them.
            let _ = fs::copy(Path::new("/etc").join(file), sandbox.path("/etc").join(file));
        }
        symlink("/usr/lib/os-release", sandbox.path("/etc/os-release")).expect("a link in the sandbox");
        sandbox
    }

    /// Where a path below `/etc`, `/run` or `/var` of the sandbox is outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.path().join(inside.trim_start_matches('/'))
    }

    /// Writes a file, replacing what is there.
    pub fn write(&self, inside: &str, content: impl AsRef<[u8]>) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("an absolute path")).expect("a directory of the sandbox");
        let _ = fs::remove_file(&path);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Writes the administrator's configuration file: lines of `[settings]`.
    pub fn configure(&self, assignments: &str) {
        self.write("/etc/telemetrics/telemetrics.conf", format!("[settings]\n{assignments}\n"));
    }

    /// Switches telemetry on.
    pub fn opt_in(&self) {
        self.write(OPT_IN, "");
    }

    /// Switches telemetry off.
    pub fn opt_out(&self) {
        fs::remove_file(self.path(OPT_IN)).expect("the sandbox is opted in");
    }

    /// Shows a file or directory of the sandbox at another place, too.
    pub fn mount(&mut self, inside: &str, at: &str) {
        self.mounts.push([self.path(inside), at.into()]);
    }

    /// A command that runs `program` in the sandbox.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("bwrap");
        command.args(["--die-with-parent", "--dev-bind", "/", "/"]);
        for directory in ["/etc", "/run", "/var"] {
            command.arg("--bind").arg(self.path(directory)).arg(directory);
        }
        for directory in SHARED_DIRECTORIES {
            command.args(["--ro-bind-try", directory, directory]);
        }
        command.arg("--ro-bind").arg(installation()).arg("/usr/local");
        for [source, target] in &self.mounts {
            command.arg("--ro-bind").arg(source).arg(target);
        }
        for variable in PROXY_VARIABLES {
            command.env_remove(variable);
        }
        command.env("LD_LIBRARY_PATH", "/usr/local/lib").arg("--").arg(program);
        command
    }

    /// Starts the installed telemd; returns when it listens.
    pub fn start_telemd(&self) -> Telemd {
        self.start_telemd_with(&[])
    }

    /// The same, with these variables in its environment.
    pub fn start_telemd_with(&self, environment: &[(&str, &str)]) -> Telemd {
        let mut command = self.command("/usr/local/bin/telemd");
        command.envs(environment.iter().copied());
        let telemd = self.spawn(command);
        wait_until("telemd listens", || telemd.log().contains("listening on"));
        telemd
    }

    /// Starts the installed telemd, whatever becomes of it.
    pub fn spawn_telemd(&self) -> Telemd {
        self.spawn(self.command("/usr/local/bin/telemd"))
    }

    /// Starts telemd by a command of the sandbox.
    pub fn spawn(&self, mut command: Command) -> Telemd {
        let log = fs::File::create(self.path("/run/telemd.log")).expect("the log of telemd");
        let child = command.stdin(Stdio::null()).stderr(log).spawn().expect("bwrap");
        Telemd { child, log: self.path("/run/telemd.log") }
    }
}

/// A running telemd; killed at the end of its life.
pub struct Telemd {
    child: Child,
    log: PathBuf,
}

impl Telemd {
    /// What it wrote to its standard error stream.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log of telemd")
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        let bwrap = self.child.id();
        let children = fs::read_to_string(format!("/proc/{bwrap}/task/{bwrap}/children")).expect("the child of bwrap");
        children.trim().parse().unwrap_or_else(|_| panic!("bwrap has not one child but {children:?}"))
    }

    /// Sends SIGTERM, and waits for the end.
    pub fn terminate(self) -> ExitStatus {
        self.end("TERM")
    }

    /// Sends SIGKILL, and waits for the end.
    pub fn kill(self) {
        self.end("KILL");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        // The shell's own command: not every system has one in a file.
        let mut shell = Command::new("sh");
        shell.args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal]).arg(self.pid().to_string());
        assert!(shell.status().expect("sh").success());
    }

    fn end(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.child.wait().expect("bwrap")
    }
}

impl Drop for Telemd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so; panics after ten seconds.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited 10 s until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
