//! Where no service manager runs: telemctl starts and stops telemd itself.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use libtelemetry_acceptance::machine::frame;
use sandbox::wait_until;

use crate::operator::{Operator, TELEMETRY, is_root};

fn started() -> Operator {
    let operator = Operator::new();
    let done = operator.telemctl(&["start"]);
    assert_eq!(done.all(), (0, "", ""));
    operator
}

/// A number of a process in `/proc/PID/stat`, counted from its state.
fn stat(pid: u32, field: usize) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().split(' ').nth(field).unwrap().parse().unwrap()
}

#[test]
fn a_started_telemd_takes_and_delivers_records_and_a_stopped_one_is_gone() {
    let operator = started();
    assert_eq!(operator.telemctl(&["is-active"]).all(), (0, "telemprobd : active\ntelempostd : active\n", ""));
    assert_eq!(operator.telemctl(&["test"]).status, 0);
    assert_eq!(operator.machine.receive().body, b"hello\n\n");
    assert!(operator.machine.journal().contains("\x1eorg.clearlinux/heartbeat/ping\x1e"));

    let pid = operator.pid_of_telemd();
    assert_eq!(operator.telemctl(&["stop"]).all(), (0, "", ""));
    assert!(!Path::new(&format!("/proc/{pid}/exe")).exists(), "it has ended when stop returns");
    assert!(!operator.path("/run/telem-0").exists(), "who connects learns at once that nobody is there");
    assert_eq!(operator.telemctl(&["is-active"]).all(), (3, "telemprobd : inactive\ntelempostd : inactive\n", ""));
    assert_eq!(operator.telemctl(&["stop"]).all(), (0, "", ""), "there is nothing to be stopped");
}

#[test]
fn it_runs_as_user_telemetry_in_a_session_of_its_own_with_a_socket_for_everybody() {
    let operator = started();
    let pid = operator.pid_of_telemd();
    if is_root() {
        assert_eq!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), TELEMETRY);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let ids = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        assert_eq!(ids("Gid:"), [TELEMETRY; 4].map(|id| id.to_string()).join("\t"));
        assert_eq!(ids("Groups:"), "", "no groups of root");
    }
    assert_eq!(stat(pid, 3), pid, "session");
    let socket = fs::metadata(operator.path("/run/telem-0")).unwrap();
    assert!(socket.file_type().is_socket() && socket.permissions().mode() & 0o777 == 0o666);
    assert!(fs::read_to_string(operator.path("/var/log/telemetry/telemd.log")).unwrap().contains("listening"));
    let left: Vec<_> = fs::read_dir(operator.path("/run")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("telemctl-")), "{left:?}");
}

#[test]
fn it_stays_when_it_is_idle_because_nobody_would_start_it_again() {
    let operator = started();
    let command = fs::read(format!("/proc/{}/cmdline", operator.pid_of_telemd())).unwrap();
    assert!(command.ends_with(b"telemd\0--stay\0"), "{}", String::from_utf8_lossy(&command));
}

#[test]
fn t8_directories_are_made_as_their_list_says() {
    let operator = Operator::new();
    for directory in [
        "/var/lib/telemetry",
        "/var/spool/telemetry",
        "/var/spool/rejected",
        "/var/log/telemetry",
        "/var/cache/telemetry",
    ] {
        fs::remove_dir_all(operator.path(directory)).unwrap();
    }
    assert_eq!(operator.telemctl(&["start"]).all(), (0, "", ""));
    for (directory, mode) in [
        ("/var/lib/telemetry", 0o755),
        ("/var/spool/telemetry", 0o750),
        ("/var/spool/rejected", 0o700),
        ("/var/log/telemetry", 0o750),
        ("/var/log/telemetry/records", 0o750),
        ("/var/cache/telemetry", 0o750),
        ("/var/cache/telemetry/pstore", 0o750),
    ] {
        let made = fs::metadata(operator.path(directory)).unwrap();
        assert_eq!(made.permissions().mode() & 0o7777, mode, "{directory}");
        assert!(!is_root() || (made.uid(), made.gid()) == (TELEMETRY, TELEMETRY), "{directory}");
    }
}

#[test]
fn starting_twice_starts_one_and_restarting_starts_another() {
    let operator = started();
    let first = operator.pid_of_telemd();
    assert_eq!(operator.telemctl(&["start"]).all(), (0, "", ""));
    assert_eq!(operator.pid_of_telemd(), first);
    assert_eq!(operator.telemctl(&["restart"]).all(), (0, "", ""));
    assert_ne!(operator.pid_of_telemd(), first);
    assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"again")]), Some(0));
}

#[test]
fn without_consent_or_without_user_telemetry_nothing_is_started() {
    let operator = Operator::new();
    operator.machine.sandbox.opt_out();
    assert_eq!(operator.telemctl(&["start"]).all(), (1, "", "Opt in to telemetry first.\n"));
    operator.machine.sandbox.opt_in();
    let users = fs::read_to_string(operator.path("/etc/passwd")).unwrap();
    operator.machine.sandbox.write("/etc/passwd", users.replace("telemetry:", "somebody:"));
    let done = operator.telemctl(&["start"]);
    assert!(done.status == 1 && done.stderr.contains("useradd --system"), "{done:?}");
    operator.machine.sandbox.write("/etc/passwd", users);
    assert_eq!(operator.telemctl(&["is-active"]).status, 3);
}

#[test]
fn a_telemd_that_cannot_start_is_reported_with_its_own_words() {
    let operator = Operator::new();
    operator.machine.sandbox.configure("spool_dir=/nonexistent/spool");
    let done = operator.telemctl(&["start"]);
    assert_eq!(done.status, 1, "{done:?}");
    assert!(done.stderr.contains("/nonexistent"), "{done:?}");
    operator.machine.sandbox.configure("record_expiry=abc");
    let done = operator.telemctl(&["start"]);
    assert!(done.status == 1 && done.stderr.contains("telemetrics.conf:2: record_expiry"), "{done:?}");
    assert_eq!(operator.telemctl(&["is-active"]).status, 3);
}

#[test]
fn a_wrong_file_stops_no_telemd_that_works() {
    let operator = started();
    let pid = operator.pid_of_telemd();
    operator.machine.sandbox.configure("record_expiry=abc");
    let done = operator.telemctl(&["restart"]);
    assert!(done.status == 1 && done.stderr.contains("telemetrics.conf:2: record_expiry"), "{done:?}");
    assert!(done.stderr.contains("Nothing was stopped"), "{done:?}");
    assert_eq!(operator.pid_of_telemd(), pid);
    assert_eq!(operator.telemctl(&["is-active"]).status, 0);
}

#[test]
fn a_telemd_that_waits_for_consent_is_not_active() {
    let operator = started();
    operator.machine.sandbox.opt_out();
    wait_until("telemd notices", || operator.telemctl(&["is-active"]).status == 3);
    assert_eq!(operator.telemctl(&["is-active"]).stdout, "telemprobd : inactive\ntelempostd : inactive\n");
    operator.machine.sandbox.opt_in();
    wait_until("telemd works again", || operator.telemctl(&["is-active"]).status == 0);
    assert_eq!(operator.telemctl(&["opt-out"]).status, 0);
    assert!(!operator.path("/run/telemetry/status.json").exists(), "nothing is told of what was before");
}

#[test]
fn another_daemon_at_the_socket_is_left_alone() {
    let operator = Operator::new();
    let _other = std::os::unix::net::UnixListener::bind(operator.path("/run/telem-0")).unwrap();
    let done = operator.telemctl(&["start"]);
    assert!(done.status == 1 && done.stderr.contains("another daemon answers there"), "{done:?}");
    operator.telemctl(&["stop"]);
    assert!(UnixStream::connect(operator.path("/run/telem-0")).is_ok());
}

#[test]
fn a_telemd_that_was_started_by_hand_is_found_and_stopped() {
    let operator = Operator::new();
    let telemd = operator.machine.sandbox.start_telemd();
    // By the lock of the spool alone.
    let status = operator.path("/run/telemetry/status.json");
    wait_until("there is a status file", || status.exists());
    fs::remove_file(status).unwrap();
    assert_eq!(operator.telemctl(&["is-active"]).status, 0);
    if is_root() {
        assert_eq!(operator.telemctl_as_nobody(&["is-active"]).status, 0);
    }
    assert_eq!(operator.telemctl(&["stop"]).all(), (0, "", ""));
    assert_eq!(operator.telemctl(&["is-active"]).status, 3);
    assert!(telemd.log().contains("SIGTERM"), "{}", telemd.log());
}

/// As in most containers.
#[test]
fn root_without_the_right_to_look_into_processes_starts_and_stops_telemd_all_the_same() {
    if !is_root() {
        return;
    }
    let operator = Operator::new();
    let telemctl = |command: &str| {
        let mut setpriv = operator.command("setpriv");
        setpriv.args([
            "--bounding-set",
            "-sys_ptrace",
            "--inh-caps",
            "-sys_ptrace",
            "/usr/local/bin/telemctl",
            command,
        ]);
        setpriv.output().unwrap().status.code()
    };
    assert_eq!(telemctl("start"), Some(0));
    let pid = operator.pid_of_telemd();
    let mut readlink = operator.command("setpriv");
    readlink.args(["--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace", "readlink"]);
    assert!(!readlink.arg(format!("/proc/{pid}/exe")).status().unwrap().success(), "it must not look");
    assert_eq!(telemctl("is-active"), Some(0));
    assert_eq!(telemctl("restart"), Some(0));
    assert_ne!(operator.pid_of_telemd(), pid);
    assert_eq!(telemctl("stop"), Some(0));
    assert_eq!(operator.telemctl(&["is-active"]).status, 3);
}

#[test]
fn a_stranger_is_never_signalled() {
    if !is_root() {
        return; // All processes are of one user, and no other's can be looked into.
    }
    let operator = started();
    let telemd = operator.pid_of_telemd();
    let status = fs::read_to_string(operator.path("/run/telemetry/status.json")).unwrap();
    operator.telemctl(&["stop"]);
    // Its number went to another program, one that even has its name.
    let program = tempfile::tempdir().unwrap();
    let impostor = program.path().join("telemd");
    fs::copy("/bin/cat", &impostor).unwrap();
    let mut stranger = Command::new(impostor).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let status = status.replace(&format!("\"pid\": {telemd}"), &format!("\"pid\": {}", stranger.id()));
    operator.machine.sandbox.write("/run/telemetry/status.json", &status);
    assert!(status.contains(&format!("\"pid\": {}", stranger.id())), "{status}");
    assert_eq!(operator.telemctl(&["stop"]).all(), (0, "", ""));
    assert_eq!(operator.telemctl(&["is-active"]).status, 3);
    // It lives: it still does what it is for.
    let mut stdin = stranger.stdin.take().unwrap();
    stdin.write_all(b"alive").unwrap();
    drop(stdin);
    assert_eq!(stranger.wait_with_output().unwrap().stdout, b"alive");
}

#[test]
fn opting_out_ends_telemd_before_its_data_goes() {
    let operator = started();
    operator.machine.collector.answer_with(503);
    assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"waits")]), Some(0));
    let done = operator.telemctl(&["opt-out"]);
    assert_eq!(done.all(), (0, "Removed 1 record: 1 waiting, 0 rejected, 0 kept copies.\n", ""));
    assert_eq!(operator.telemctl(&["is-active"]).status, 3);
    for gone in ["/var/spool/telemetry", "/var/log/telemetry", "/var/lib/telemetry"] {
        assert!(!operator.path(gone).exists(), "{gone}");
    }
    // And all of it can be had again.
    assert_eq!(operator.telemctl(&["opt-in"]).status, 0);
    assert_eq!(operator.telemctl(&["start"]).all(), (0, "", ""));
    operator.machine.collector.answer_with(201);
    assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"new")]), Some(0));
    wait_until("the new record arrives, and no old one", || {
        operator.machine.collector.received().try_iter().any(|received| received.body == b"new\n")
    });
}

#[test]
fn a_link_in_the_place_of_the_log_leads_nowhere() {
    let operator = Operator::new();
    operator.machine.sandbox.write("/var/precious", "data");
    std::os::unix::fs::symlink("/var/precious", operator.path("/var/log/telemetry/telemd.log")).unwrap();
    assert_eq!(operator.telemctl(&["start"]).all(), (0, "", ""));
    assert_eq!(fs::read_to_string(operator.path("/var/precious")).unwrap(), "data");
}

#[test]
fn telemd_gets_proxies_and_nothing_else_of_the_administrators_shell() {
    let operator = Operator::new();
    let mut command = operator.command("/bin/sh");
    let script = "exec 7</etc/passwd; exec /usr/local/bin/telemctl start";
    command.args(["-c", script]).envs([("SECRET", "precious"), ("https_proxy", "http://127.0.0.1:9"), ("LANG", "C")]);
    assert!(command.status().unwrap().success());
    let process = format!("/proc/{}", operator.pid_of_telemd());
    let environment = String::from_utf8(fs::read(format!("{process}/environ")).unwrap()).unwrap();
    let has = |variable: &str| environment.split('\0').any(|assignment| assignment == variable);
    assert!(has("https_proxy=http://127.0.0.1:9") && has("LANG=C") && has("TZ=UTC"), "{environment:?}");
    assert!(!environment.contains("SECRET"), "{environment:?}");
    let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().map(|entry| entry.unwrap().path());
    let open: Vec<_> = descriptors.filter_map(|descriptor| fs::read_link(descriptor).ok()).collect();
    assert!(open.len() > 2 && !open.iter().any(|file| file.ends_with("etc/passwd")), "{open:?}");
}

#[test]
fn a_directory_of_somebody_else_beside_the_spool_is_left_to_them() {
    if !is_root() {
        return; // There is no other owner.
    }
    let operator = Operator::new();
    operator.machine.sandbox.configure("spool_dir=/var/mine/spool");
    operator.machine.sandbox.write("/var/mine/rejected/file", "data");
    fs::create_dir(operator.path("/var/mine/spool")).unwrap();
    operator.give_to_telemetry("/var/mine/spool");
    let done = operator.telemctl(&["start"]);
    assert!(done.status == 1 && done.stderr.starts_with("/var/mine/rejected: telemd needs a directory"), "{done:?}");
    assert!(done.stderr.contains("belongs to user root") && done.stderr.contains("chown telemetry"), "{done:?}");
    assert_eq!(fs::metadata(operator.path("/var/mine/rejected")).unwrap().uid(), 0);
    operator.give_to_telemetry("/var/mine/rejected");
    assert_eq!(operator.telemctl(&["start"]).all(), (0, "", ""));
}

#[test]
fn stopping_deletes_nothing_but_a_socket() {
    let operator = Operator::new();
    operator.machine.sandbox.write("/run/precious", "data");
    operator.machine.sandbox.configure("socket_path=/run/precious");
    assert_eq!(operator.telemctl(&["stop"]).status, 0);
    assert_eq!(fs::read_to_string(operator.path("/run/precious")).unwrap(), "data");
    drop(std::os::unix::net::UnixListener::bind(operator.path("/run/stale")).unwrap());
    operator.machine.sandbox.configure("socket_path=/run/stale");
    assert_eq!(operator.telemctl(&["stop"]).status, 0);
    assert!(!operator.path("/run/stale").exists());
}
