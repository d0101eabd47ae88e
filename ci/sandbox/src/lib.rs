//! A private root for tests of what was built.
//!
//! The paths of an installation are fixed when it is built, and no environment
//! variable moves them. So that tests run what ships, each gets a mount
//! namespace of its own (by bubblewrap): private `/etc`, `/run` and `/var`, and
//! the staged installation (`make stage`) at `/usr/local`. No rights are needed
//! beyond user namespaces, and nothing outside changes.

mod disk;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use disk::Namespace;
pub use disk::is_root;

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
/// The installed daemon.
pub const TELEMD: &str = "/usr/local/bin/telemd";
/// What the last one that was started wrote to its standard error stream.
pub const TELEMD_LOG: &str = "/run/telemd.log";

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
    /// Where disks of its own are mounted, if it has any.
    namespace: Option<Namespace>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// A machine on which telemetry is installed and not switched on.
    pub fn new() -> Self {
        let root = TempDir::new().expect("a temporary directory");
        let sandbox = Self { root, mounts: Vec::new(), namespace: None };
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
        let source = self.source(inside);
        match (&self.namespace, source.strip_prefix("/")) {
            (Some(namespace), Ok(source)) => namespace.root().join(source),
            _ => source,
        }
    }

    /// The same, as seen where the disks are mounted.
    fn source(&self, inside: &str) -> PathBuf {
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
        self.mounts.push([self.source(inside), at.into()]);
    }

    /// A command that runs `program` in the sandbox.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => namespace.command("bwrap"),
            None => Command::new("bwrap"),
        };
        command.args(["--die-with-parent", "--dev-bind", "/", "/"]);
        for directory in ["/etc", "/run", "/var"] {
            command.arg("--bind").arg(self.source(directory)).arg(directory);
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
        self.start_telemd_by(self.command(TELEMD))
    }

    /// The same, with these variables in its environment.
    pub fn start_telemd_with(&self, environment: &[(&str, &str)]) -> Telemd {
        let mut command = self.command(TELEMD);
        command.envs(environment.iter().copied());
        self.start_telemd_by(command)
    }

    /// Starts telemd by a command of the sandbox that becomes it in the end;
    /// returns when it listens.
    pub fn start_telemd_by(&self, command: Command) -> Telemd {
        self.try_to_start_telemd_by(command).unwrap_or_else(|log| panic!("telemd ended: {log}"))
    }

    /// The same; if telemd ends instead, gives its log.
    pub fn try_to_start_telemd_by(&self, command: Command) -> Result<Telemd, String> {
        let mut telemd = self.spawn(command);
        let mut has_ended = false;
        wait_until("telemd listens", || {
            has_ended = telemd.child.try_wait().expect("bwrap").is_some();
            has_ended || telemd.log().contains("listening on")
        });
        if has_ended { Err(telemd.log()) } else { Ok(telemd) }
    }

    /// Starts the installed telemd, whatever becomes of it.
    pub fn spawn_telemd(&self) -> Telemd {
        self.spawn(self.command(TELEMD))
    }

    /// Starts telemd by a command of the sandbox, whatever becomes of it.
    pub fn spawn(&self, mut command: Command) -> Telemd {
        let log = fs::File::create(self.path(TELEMD_LOG)).expect("the log of telemd");
        let child = command.stdin(Stdio::null()).stderr(log).spawn().expect("bwrap");
        Telemd { child, log: self.path(TELEMD_LOG) }
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
        assert!(send_signal(signal, self.pid()));
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running().expect("telemd runs")
    }

    fn running(&self) -> Option<u32> {
        let bwrap = self.child.id();
        fs::read_to_string(format!("/proc/{bwrap}/task/{bwrap}/children")).ok()?.trim().parse().ok()
    }

    /// A file of `/proc/PID`.
    pub fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string()).join(file)
    }

    /// A line of `/proc/PID/status` that is in kB.
    pub fn kilobytes(&self, line: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("telemd runs");
        let value = status.lines().find_map(|candidate| candidate.strip_prefix(line)?.strip_prefix(':'));
        let number = value.and_then(|value| value.trim().strip_suffix(" kB"));
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line} in {status}"))
    }

    /// What it has had of the processor so far, see proc_pid_stat(5).
    pub fn processor_time(&self) -> Duration {
        /// Of Linux, for programs, everywhere.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(self.proc("stat")).expect("telemd runs");
        // Behind the name, which may hold anything, is the third field.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u32 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u32>().expect("ticks")).sum();
        Duration::from_secs_f64(f64::from(ticks) / TICKS_PER_SECOND)
    }

    fn end(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.child.wait().expect("bwrap")
    }
}

/// Sends a signal (`TERM`), and tells whether that was possible. By the shell's
/// own command: not every system has one in a file.
pub fn send_signal(signal: &str, pid: u32) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal]).arg(pid.to_string());
    shell.status().expect("sh").success()
}

impl Drop for Telemd {
    fn drop(&mut self) {
        // Itself first: it may outlive bwrap by a moment, and the next one
        // would find it.
        if !self.running().is_some_and(|pid| send_signal("KILL", pid)) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Waits until something is so; panics after ten seconds.
pub fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    wait_at_most(Duration::from_secs(10), what, is_so);
}

/// Waits until something is so; panics when it takes longer than `limit`.
pub fn wait_at_most(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "waited {limit:?} until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
