//! Where no service manager is: which process is telemd, and its end.
//!
//! Nobody else is ever signalled: a process counts only if it runs the program
//! that is installed, and it is held by a descriptor from before that was
//! looked at until it is gone. Root in a container often must not see what
//! processes of other users run: there, one counts that has telemd's name and
//! user.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use record::config::Key;
use record::paths;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use telemd::report::{Report, State};
use telemd::settings;

use crate::failure::Failure;
use crate::work_directories;

/// A request that is under way takes 10 seconds at most, and so does a reader.
const PATIENCE: Duration = Duration::from_secs(25);

/// The program that is installed beside this one.
pub(crate) fn program() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("telemd"))
}

/// Whether telemd runs. Everybody may ask.
pub(crate) fn is_running() -> bool {
    candidates().into_iter().any(is_telemd)
}

/// Whether telemd runs and takes records: not while it waits for consent.
pub(crate) fn takes_records() -> bool {
    let waits = || Report::read(Path::new(paths::STATUS)).is_ok_and(|report| report.state == State::NotOptedIn);
    is_running() && !waits()
}

/// What a telemd that runs and takes records tells of itself.
pub(crate) fn report() -> Option<Report> {
    let report = Report::read(Path::new(paths::STATUS)).ok()?;
    (report.state == State::Running && is_telemd(report.pid)).then_some(report)
}

/// Ends telemd, and waits until it has ended. Nothing to be ended is success;
/// a process that does not end keeps none of the others alive.
pub(crate) fn stop() -> Result<(), Failure> {
    let ended = candidates().into_iter().map(end).fold(Ok(()), Result::and);
    remove_stale_socket();
    ended
}

/// Ends one process, if it is telemd.
fn end(pid: u32) -> Result<(), Failure> {
    let failed = |errno: rustix::io::Errno| Failure::new(format_args!("telemd, process {pid}: {errno}"));
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    let process = match pidfd_open(id, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    };
    // Only now: the number cannot become another process's any more.
    if !is_telemd(pid) {
        return Ok(());
    }
    match pidfd_send_signal(&process, Signal::TERM) {
        Err(errno) if errno != rustix::io::Errno::SRCH => return Err(failed(errno)),
        _ => {}
    }
    match ends_within(&process, PATIENCE) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let seconds = PATIENCE.as_secs();
            Err(Failure::new(format_args!("telemd, process {pid}, has not ended within {seconds} s")))
        }
        Err(errno) => Err(Failure::new(format_args!("poll: {errno}"))),
    }
}

/// Waits for the end of a process; tells whether it came.
pub(crate) fn ends_within(process: &OwnedFd, patience: Duration) -> Result<bool, Errno> {
    let start = Instant::now();
    loop {
        let left = patience.saturating_sub(start.elapsed());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
        }
    }
}

/// Processes that may be telemd: who holds the lock of the spool, and who the
/// status file names.
fn candidates() -> Vec<u32> {
    let spool = settings::read_settings(None)
        .map_or(PathBuf::from(paths::SPOOL), |loaded| settings::path(&loaded.settings, Key::SpoolDir).to_owned());
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut candidates = fs::metadata(spool).map(|spool| holders(&locks, spool.ino())).unwrap_or_default();
    if let Ok(report) = Report::read(Path::new(paths::STATUS)) {
        if report.state != State::Stopped && !candidates.contains(&report.pid) {
            candidates.push(report.pid);
        }
    }
    candidates
}

/// Who holds a lock of flock(2) on this inode, see proc_locks(5). The numbers
/// of devices there are not always those of stat(2).
fn holders(locks: &str, inode: u64) -> Vec<u32> {
    let holder = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let is_flock = fields.next() == Some("FLOCK");
        let (pid, file) = (fields.nth(2)?.parse().ok()?, fields.next()?);
        let has_inode = file.rsplit(':').next()?.parse() == Ok(inode);
        (is_flock && has_inode).then_some(pid)
    };
    locks.lines().filter_map(holder).collect()
}

/// Whether a process runs the program that is installed, or was before an
/// upgrade, as a user that telemd runs as.
fn is_telemd(pid: u32) -> bool {
    let Ok(program) = program() else { return false };
    let Some(name) = name_of_ours(pid) else { return false };
    let exe = PathBuf::from(format!("/proc/{pid}/exe"));
    let running = match fs::metadata(&exe) {
        Ok(running) => running,
        // Everybody may see the name.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return name == "telemd",
        Err(_) => return false,
    };
    let is_same = |installed: fs::Metadata| (installed.dev(), installed.ino()) == (running.dev(), running.ino());
    if fs::metadata(&program).is_ok_and(is_same) {
        return true;
    }
    let mut replaced = program.into_os_string();
    replaced.push(" (deleted)");
    fs::read_link(exe).is_ok_and(|target| target == replaced)
}

/// The name of a process that lives, and whose user is telemd's or root.
fn name_of_ours(pid: u32) -> Option<String> {
    // Not the owner of its directory: that of a process without dumps is root.
    let status = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/status")).ok()?).into_owned();
    let telemetry = work_directories::owner().ok().map(|(uid, _)| uid.as_raw());
    name_in(&status, &[Some(0), telemetry])
}

/// The name in a file of [`name_of_ours`], see proc_pid_status(5).
fn name_in(status: &str, users: &[Option<u32>]) -> Option<String> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    let user = field("Uid")?.split('\t').next()?.parse().ok();
    let has_ended = field("State")?.starts_with(['Z', 'X']);
    (!has_ended && user.is_some() && users.contains(&user)).then(|| field("Name").map(str::to_owned))?
}

/// What telemctl passed to telemd, telemd does not remove. Who connects shall
/// learn at once that nobody is there.
fn remove_stale_socket() {
    let Ok(loaded) = settings::read_settings(None) else { return };
    let path = telemd::socket::used(settings::path(&loaded.settings, Key::SocketPath));
    let is_refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    // Whatever else is there refuses connections, too, and is not ours.
    if telemd::socket::is_socket(path) && std::os::unix::net::UnixStream::connect(path).is_err_and(is_refused) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holders_of_a_lock_are_found() {
        let locks = "1: FLOCK  ADVISORY  WRITE 17669 fe:00:6162382 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 17661 fe:00:6162382 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 17662 fe:00:6162382 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 17574 00:27:1 0 EOF\n";
        assert_eq!(holders(locks, 6_162_382), [17669], "who waits for a lock does not hold it");
        assert_eq!(holders(locks, 1), [17574]);
        assert!(holders(locks, 2).is_empty());
    }

    #[test]
    fn a_process_that_runs_another_program_is_not_telemd() {
        assert!(!is_telemd(std::process::id()) && !is_telemd(1));
    }

    #[test]
    fn only_what_lives_and_is_of_root_or_telemetry_can_be_telemd() {
        let status = |state: &str, uid: u32| format!("Name:\ttelemd\nState:\t{state}\nUid:\t{uid}\t0\t0\t0\n");
        let users = [Some(0), Some(64500)];
        for uid in [0, 64500] {
            assert_eq!(name_in(&status("S (sleeping)", uid), &users).as_deref(), Some("telemd"));
            assert_eq!(name_in(&status("Z (zombie)", uid), &users), None);
        }
        assert_eq!(name_in(&status("S (sleeping)", 1000), &users), None);
        assert_eq!(name_in("Name:\ttelemd\nState:\tS\nUid:\tx\n", &[Some(0), None]), None, "no user is none of ours");
        assert_eq!(name_in("", &users), None);
    }
}
