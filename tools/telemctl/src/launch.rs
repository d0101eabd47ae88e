//! Where no service manager is: the start of telemd.
//!
//! It gets what a service manager would give it: its user, its directories, a
//! listening socket that it could not make itself, and a session of its own. It
//! is told to stay when it is idle, because nobody would start it again.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, fchown, lchown};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid};
use record::config::{Key, Settings};
use record::paths;
use telemd::rejected::Rejected;
use telemd::{settings, socket};

use crate::failure::Failure;
use crate::{running, work_directories};

/// How long telemd may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);
/// What this process has open.
const DESCRIPTORS: &str = "/proc/self/fd";
const STDERR: i32 = 2;
/// How much of its log is shown if it does not start.
const LOG_SHOWN_MAX: u64 = 64 << 10;
/// What telemd takes from the environment: proxies, certificates, the zone.
const VARIABLES: [&str; 12] = [
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "TZ",
    "PATH",
    "LANG",
];
/// How often it is looked at whether it still lives.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Starts telemd, if it does not run, and returns when it listens. Its
/// directories are there.
pub(crate) fn telemd(settings: &Settings) -> Result<(), Failure> {
    if running::is_running() {
        return Ok(());
    }
    close_inherited().map_err(|error| Failure::at(Path::new(DESCRIPTORS), &error))?;
    let owner = work_directories::owner()?;
    let runtime = parent_of(Path::new(paths::STATUS));
    work_directories::make(&runtime, 0o755, owner).map_err(|error| Failure::at(&runtime, &error))?;
    // Beside the spool, where only root can make it.
    let rejected = Rejected::beside(settings::path(settings, Key::SpoolDir));
    work_directories::make_or_find(rejected.directory(), 0o700, owner)
        .map_err(|error| Failure::at(rejected.directory(), &error))?;
    let log = parent_of(Path::new(paths::JOURNAL)).join("telemd.log");
    let mut said = new_log(&log, owner).map_err(|error| Failure::at(&log, &error))?;
    let stderr = said.try_clone().map_err(|error| Failure::at(&log, &error))?;
    let listener = socket::listen(settings::path(settings, Key::SocketPath)).map_err(Failure::new)?;
    // Not in a directory of telemd's: what is made there could become a link.
    let socketdir = parent_of(&runtime);
    let readiness = Readiness::new(&socketdir, owner).map_err(|error| Failure::at(&socketdir, &error))?;
    // That of services: everybody may read the status file.
    umask(Mode::from_bits_truncate(0o022));
    let program = running::program().map_err(|error| Failure::new(format_args!("telemd: {error}")))?;
    let mut command = Command::new(&program);
    command
        .arg("--stay")
        // Secrets of the administrator's shell are none of its business.
        .env_clear()
        .envs(VARIABLES.iter().filter_map(|name| Some((name, env::var_os(name)?))))
        .current_dir("/")
        .uid(owner.0.as_raw())
        .gid(owner.1.as_raw())
        // The protocol of sd_listen_fds(3), as far as the first number of a
        // descriptor is concerned in the form that telemd's end of it knows.
        .stdin(OwnedFd::from(listener))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDS_FIRST_FD", "0")
        .env("NOTIFY_SOCKET", &readiness.path)
        .stdout(Stdio::null())
        .stderr(stderr);
    let child = command.spawn().map_err(|error| Failure::at(&program, &error))?;
    readiness.wait(child).map_err(|reason| {
        // Not by its name: telemd could have put anything there.
        let mut text = Vec::new();
        let _ = said.rewind().and_then(|()| said.take(LOG_SHOWN_MAX).read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text);
        Failure::new(format_args!("Failed to start telemd: {reason}\n{}", text.trim_end()))
    })
}

/// Closes what a caller left open: telemd lives longer than its command, and
/// whoever takes it over could use it. Nothing else is open yet.
fn close_inherited() -> io::Result<()> {
    let numbers: Vec<i32> = fs::read_dir(DESCRIPTORS)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > STDERR)
        .collect();
    for number in numbers {
        // The one of the directory itself is closed already.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

fn parent_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

/// A new file in a directory of telemd's: whatever was there before is not
/// opened.
fn new_log(path: &Path, (uid, gid): (Uid, Gid)) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o640).open(path)?;
    fchown(&file, Some(uid.as_raw()), Some(gid.as_raw()))?;
    Ok(file)
}

/// Where telemd tells that it listens, see sd_notify(3).
struct Readiness {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Readiness {
    /// Nobody but telemd can write to it.
    fn new(directory: &Path, (uid, gid): (Uid, Gid)) -> io::Result<Self> {
        let path = directory.join(format!("telemctl-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let before = umask(Mode::from_bits_truncate(0o177));
        let socket = UnixDatagram::bind(&path);
        umask(before);
        let socket = socket?;
        lchown(&path, Some(uid.as_raw()), Some(gid.as_raw()))?;
        socket.set_read_timeout(Some(LOOK_INTERVAL))?;
        Ok(Self { path, socket })
    }

    /// Waits until telemd listens; gives the reason why it does not.
    fn wait(&self, mut child: Child) -> Result<(), String> {
        let start = Instant::now();
        let mut message = [0; 1024];
        while start.elapsed() < PATIENCE {
            // Not complete, nothing in time, or an interruption: look again.
            let len = self.socket.recv(&mut message).unwrap_or_default();
            if message.get(..len).is_some_and(|said| said.split(|&byte| byte == b'\n').any(|line| line == b"READY=1")) {
                return Ok(());
            }
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(format!("it ended ({status})")),
                Err(error) => return Err(error.to_string()),
            }
        }
        let _ = child.kill();
        Err(format!("it does not listen after {} s", PATIENCE.as_secs()))
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_telemd_can_tell_that_it_listens() {
        let directory = tempfile::tempdir().unwrap();
        let readiness = Readiness::new(directory.path(), (Uid::effective(), Gid::effective())).unwrap();
        assert_eq!(fs::metadata(&readiness.path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
