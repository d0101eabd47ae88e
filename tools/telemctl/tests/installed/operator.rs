//! An administrator at a machine of their own, with the installed telemctl.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Output};

use libtelemetry_acceptance::machine::Machine;
use nix::unistd::Uid;
use sandbox::wait_until;

/// Ids of user and group telemetry. Who is not root has no second one.
pub(crate) const TELEMETRY: u32 = 64500;
/// Some other user.
pub(crate) const NOBODY: u32 = 65533;

/// Directories of telemd, as its list has them.
const DIRECTORIES: [&str; 7] = [
    "/var/lib/telemetry",
    "/var/spool/telemetry",
    "/var/spool/rejected",
    "/var/log/telemetry",
    "/var/log/telemetry/records",
    "/var/cache/telemetry",
    "/var/cache/telemetry/pstore",
];

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            status: output.status.code().expect("no signal ended it"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The three of them, to be compared at once.
    pub(crate) fn all(&self) -> (i32, &str, &str) {
        (self.status, &self.stdout, &self.stderr)
    }
}

/// A machine that is opted in, with a collector; telemd does not run.
pub(crate) struct Operator {
    pub(crate) machine: Machine,
}

/// Whether tests can have several users.
pub(crate) fn is_root() -> bool {
    Uid::effective().is_root()
}

impl Operator {
    pub(crate) fn new() -> Self {
        let operator = Self { machine: Machine::new() };
        let id = if is_root() { TELEMETRY } else { 0 };
        for (file, line) in [
            ("/etc/passwd", format!("telemetry:x:{id}:{id}::/:/bin/false")),
            ("/etc/group", format!("telemetry:x:{id}:")),
        ] {
            let known = fs::read_to_string(operator.path(file)).unwrap();
            operator.machine.sandbox.write(file, format!("{line}\n{known}"));
        }
        for directory in DIRECTORIES {
            fs::create_dir_all(operator.path(directory)).unwrap();
            operator.give_to_telemetry(directory);
        }
        fs::set_permissions(operator.path("/var/spool/rejected"), fs::Permissions::from_mode(0o700)).unwrap();
        operator
    }

    /// Where a path of the machine is outside.
    pub(crate) fn path(&self, inside: &str) -> std::path::PathBuf {
        self.machine.sandbox.path(inside)
    }

    /// Makes user telemetry the owner.
    pub(crate) fn give_to_telemetry(&self, inside: &str) {
        if is_root() {
            chown(self.path(inside), Some(TELEMETRY), Some(TELEMETRY)).unwrap();
        }
    }

    /// A command of root, in a fixed zone.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = match is_root() {
            true => self.machine.sandbox.command(program),
            false => {
                let mut command = self.machine.sandbox.command("unshare");
                command.args(["-r", "--", program]);
                command
            }
        };
        command.env("TZ", "UTC").env_remove("NO_COLOR");
        command
    }

    /// What telemctl does, as root.
    pub(crate) fn telemctl(&self, arguments: &[&str]) -> Done {
        Done::of(&self.command("/usr/local/bin/telemctl").args(arguments).output().unwrap())
    }

    /// What telem_journal does, as root.
    pub(crate) fn telem_journal(&self, arguments: &[&str]) -> Done {
        Done::of(&self.command("/usr/local/bin/telem_journal").args(arguments).output().unwrap())
    }

    /// What telemctl does for somebody who is not root.
    pub(crate) fn telemctl_as_nobody(&self, arguments: &[&str]) -> Done {
        self.as_nobody("/usr/local/bin/telemctl", arguments)
    }

    /// A program of somebody who is not root.
    pub(crate) fn as_nobody(&self, program: &str, arguments: &[&str]) -> Done {
        let mut command = match is_root() {
            true => {
                let mut command = self.machine.sandbox.command("setpriv");
                let user = NOBODY.to_string();
                command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--", program]);
                command
            }
            false => self.machine.sandbox.command(program),
        };
        Done::of(&command.args(arguments).env("TZ", "UTC").output().unwrap())
    }

    /// Puts a shell script into the machine's PATH, in front of everything.
    pub(crate) fn script(&self, name: &str, body: &str) {
        let path = format!("/run/bin/{name}");
        self.machine.sandbox.write(&path, format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(self.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The machine has a service manager, as far as telemctl can tell; what it
    /// is told is written down.
    pub(crate) fn with_service_manager(self, systemctl: &str) -> Self {
        fs::create_dir_all(self.path("/run/systemd/system")).unwrap();
        for program in ["systemctl", "systemd-tmpfiles"] {
            // Each argument in brackets: nothing splits or joins them.
            let record =
                format!("printf '{program}' >> /run/told\nprintf ' [%s]' \"$@\" >> /run/told\necho >> /run/told");
            let body = if program == "systemctl" { systemctl } else { "exit 0" };
            self.script(program, &format!("{record}\n{body}"));
        }
        self
    }

    /// What telemctl does with the scripts of [`Self::script`] in its PATH.
    pub(crate) fn telemctl_with_scripts(&self, arguments: &[&str]) -> Done {
        self.telemctl_with_path("/run/bin:/usr/bin:/bin", arguments)
    }

    /// What telemctl does with this PATH.
    pub(crate) fn telemctl_with_path(&self, path: &str, arguments: &[&str]) -> Done {
        let mut command = self.command("/usr/bin/env");
        command.arg(format!("PATH={path}")).arg("/usr/local/bin/telemctl").args(arguments);
        Done::of(&command.output().unwrap())
    }

    /// What programs were told, since this was asked last.
    pub(crate) fn told(&self) -> Vec<String> {
        let told = fs::read_to_string(self.path("/run/told")).unwrap_or_default();
        let _ = fs::remove_file(self.path("/run/told"));
        told.lines().map(str::to_owned).collect()
    }

    /// The process that telemctl started, as telemd itself tells.
    pub(crate) fn pid_of_telemd(&self) -> u32 {
        let status = || {
            let status = fs::read(self.path("/run/telemetry/status.json")).unwrap_or_default();
            serde_json::from_slice::<serde_json::Value>(&status).unwrap_or_default()
        };
        wait_until("telemd tells of itself", || status()["state"] == "running");
        status()["pid"].as_u64().unwrap().try_into().unwrap()
    }

    /// The journal's lines: record id, time, class, event id, boot id.
    pub(crate) fn write_journal(&self, lines: &[[&str; 5]]) {
        let text: String = lines.iter().map(|fields| fields.join("\x1e") + "\n").collect();
        self.machine.sandbox.write("/var/log/telemetry/journal", text);
    }
}

impl Drop for Operator {
    /// What telemctl started outlives it. Nothing shall outlive the test.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.path("/run/systemd"));
        self.telemctl(&["stop"]);
    }
}
