//! A new Debian system below a directory, of the suite that runs here.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use tempfile::TempDir;

use crate::{files, succeed};

/// What the packages need, and what the tests do with them: none of it is to
/// come or go with the packages.
const PACKAGES: &str = "ca-certificates,gcc,libc6-dev,systemd";
/// What apt, dpkg and ldconfig note for themselves.
const BOOKKEEPING: [&str; 8] = [
    "/etc/ld.so.cache",
    "/var/cache/apt/",
    "/var/cache/debconf/",
    "/var/cache/ldconfig/",
    "/var/lib/apt/",
    "/var/lib/dpkg/",
    "/var/log/",
    "/var/cache/man/",
];

/// The system; gone with this value.
pub struct System {
    root: TempDir,
}

impl System {
    /// A system of which nobody has used anything. The first of them takes
    /// minutes, and is kept in `cache` for those that follow.
    pub fn new(cache: &Path) -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let template = {
            let _alone = ONE.lock();
            Self::template(cache)
        };
        let root = TempDir::new_in(cache).expect("a temporary directory");
        succeed(Command::new("cp").args(["-a", "--reflink=auto"]).arg(template.join(".")).arg(root.path()));
        Self { root }
    }

    fn template(cache: &Path) -> PathBuf {
        let release = fs::read_to_string("/etc/os-release").expect("/etc/os-release");
        let suite =
            release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("a release of Debian");
        let template = cache.join(format!("debian-{suite}"));
        if template.exists() {
            return template;
        }
        let unfinished = template.with_extension("new");
        let _ = fs::remove_dir_all(&unfinished);
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), suite]).arg(&unfinished);
        succeed(&mut debootstrap);
        fs::rename(unfinished, &template).expect("a rename in one directory");
        template
    }

    /// Where a path of the system is outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.path().join(inside.trim_start_matches('/'))
    }

    /// How many records were rejected, without what is noted of them.
    pub fn rejected(&self) -> usize {
        let entries = fs::read_dir(self.path("/var/spool/rejected")).expect("it is installed");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| !name.as_encoded_bytes().starts_with(b".")).count()
    }

    /// A command of root in the system. Its processes end with it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.bwrap("--bind", &[], program)
    }

    /// The same, where nothing but these paths and `/tmp` can be written.
    pub fn command_with_writable(&self, paths: &[&str], program: impl AsRef<OsStr>) -> Command {
        self.bwrap("--ro-bind", paths, program)
    }

    fn bwrap(&self, bind: &str, writable: &[&str], program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("bwrap");
        command.args(["--die-with-parent", "--unshare-pid", "--cap-add", "ALL"]);
        command.arg(bind).arg(self.root.path()).arg("/");
        for path in writable {
            command.arg("--bind").arg(self.path(path)).arg(path);
        }
        command.args(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]);
        command.args(["--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin"]);
        command.args(["--setenv", "DEBIAN_FRONTEND", "noninteractive", "--"]).arg(program);
        command
    }

    /// Runs a command of root; what it wrote.
    pub fn run(&self, command: &[&str]) -> String {
        succeed(self.command(command[0]).args(&command[1..]))
    }

    /// All files, but those in which the package manager notes what it did.
    pub fn files(&self) -> BTreeSet<String> {
        let mut files = files(self.root.path());
        files.retain(|line| {
            let name = line.split(' ').nth(1).unwrap_or_default();
            !BOOKKEEPING.iter().any(|path| name.starts_with(path)) || name.contains("telem")
        });
        files
    }

    /// Installs packages from files, and what they depend on.
    pub fn install(&self, packages: &[PathBuf]) {
        self.install_by(packages, |program| self.command(program));
    }

    /// The same, by commands of the running system.
    pub fn install_by(&self, packages: &[PathBuf], command: impl Fn(&str) -> Command) {
        let directory = self.path("/root/packages");
        fs::create_dir(&directory).expect("a directory in /root");
        let mut command = command("apt-get");
        command.args(["install", "-y", "--no-install-recommends"]);
        for package in packages {
            let name = package.file_name().expect("a file");
            fs::copy(package, directory.join(name)).expect("a copy of the package");
            command.arg(Path::new("/root/packages").join(name));
        }
        succeed(&mut command);
        fs::remove_dir_all(directory).expect("the directory of the packages");
    }
}
