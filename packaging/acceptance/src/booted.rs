//! A Debian system whose service manager runs, as process 1 of namespaces of
//! its own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sandbox::wait_until;

use crate::debian::System;
use crate::succeed;

/// The running system; ended with this value.
pub struct Booted<'a> {
    /// Its files.
    pub system: &'a System,
    boot: Child,
    /// Process 1, as seen from outside.
    init: String,
}

impl<'a> Booted<'a> {
    /// Boots a system; returns when all its services have started.
    pub fn new(system: &'a System) -> Self {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("boot"));
        command.arg(system.path("/")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut boot = command.spawn().expect("boot");
        let mut init = String::new();
        let stdout = boot.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut init).expect("the number of process 1");
        let booted = Self { system, boot, init: init.trim().to_owned() };
        wait_until("the service manager has started all", || {
            let output = booted.command("systemctl").arg("is-system-running").output().expect("nsenter");
            ["running\n", "degraded\n"].iter().any(|state| output.stdout == state.as_bytes())
        });
        booted
    }

    /// A command of root.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.init, "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd", "--"]);
        command.args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]);
        command.arg(program);
        command
    }

    /// Runs a command of root; what it wrote.
    pub fn run(&self, command: &[&str]) -> String {
        succeed(self.command(command[0]).args(&command[1..]))
    }

    /// What systemctl says of a unit, such as `is-active`.
    pub fn unit(&self, question: &str, unit: &str) -> String {
        let output = self.command("systemctl").args([question, unit]).output().expect("systemctl");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Booted<'_> {
    fn drop(&mut self) {
        // All others end with it.
        let _ = Command::new("kill").args(["-KILL", &self.init]).status();
        let _ = self.boot.wait();
    }
}
