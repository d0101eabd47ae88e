//! The life of telemd: its start, consent, reload, idleness and end.

use std::fs::{self};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use collector::Collector;
use libtelemetry_acceptance::machine::{Machine, PATIENCE, frame};
use libtelemetry_acceptance::{Program, stdout_of, succeed};
use sandbox::{Sandbox, send_signal, wait_until};

fn send(machine: &Machine, payload: &str) {
    let program = Program::compile("send.c");
    let output = stdout_of(machine.sandbox.command(&program.path).args(["-p", payload]));
    assert!(output.starts_with("0 "), "{output}");
}

fn status(sandbox: &Sandbox) -> serde_json::Value {
    let file = fs::read(sandbox.path("/run/telemetry/status.json")).unwrap_or_default();
    serde_json::from_slice(&file).unwrap_or_default()
}

#[test]
fn without_consent_telemd_takes_nothing_and_says_so_once() {
    let machine = Machine::new();
    machine.sandbox.opt_out();
    let telemd = machine.sandbox.spawn_telemd();
    wait_until("it says so", || telemd.log().contains("not opted in: /etc/telemetrics/opt-in does not exist"));
    assert!(!machine.sandbox.path("/run/telem-0").exists(), "no socket is made");
    wait_until("the status says so, too", || status(&machine.sandbox)["state"] == "not opted in");

    machine.sandbox.opt_in();
    wait_until("it works", || telemd.log().contains("listening on"));
    send(&machine, "after consent");
    assert_eq!(machine.receive().body, b"after consent\n");
    assert_eq!(telemd.log().matches("not opted in").count(), 1);
    assert!(telemd.terminate().success());
    assert_eq!(status(&machine.sandbox)["state"], "stopped");
}

#[test]
fn d17_consent_that_is_withdrawn_stops_delivery_within_a_second_and_what_was_spooled_is_never_sent() {
    let machine = Machine::new();
    machine.collector.answer_with(503);
    let telemd = machine.sandbox.start_telemd();
    send(&machine, "before");
    machine.receive();
    machine.sandbox.opt_out();
    let start = Instant::now();
    wait_until("it stops", || telemd.log().contains("not opted in"));
    println!("consent withdrawn: delivery stopped after {} ms (limit 1000)", start.elapsed().as_millis());
    assert!(start.elapsed() < Duration::from_secs(1));
    machine.collector.answer_with(201);
    while machine.collector.received().try_recv().is_ok() {}
    assert!(!machine.sandbox.path("/run/telem-0").exists(), "there is no socket any more");
    assert!(machine.collector.received().recv_timeout(Duration::from_secs(3)).is_err(), "nothing is sent any more");
    assert_eq!(machine.spool().len(), 1, "telemctl opt-out deletes it");

    machine.sandbox.opt_in();
    wait_until("it works again", || telemd.log().matches("listening on").count() == 2);
    assert!(telemd.log().contains("consent was given anew: 1 records of before were deleted"), "{}", telemd.log());
    send(&machine, "after");
    assert_eq!(machine.receive().body, b"after\n");
    assert!(machine.spool().is_empty() || machine.collector.received().try_recv().is_err());
}

#[test]
fn consent_that_changed_while_telemd_was_away_starts_from_an_empty_spool() {
    let machine = Machine::new();
    if fs::metadata(machine.sandbox.path("/etc/telemetrics/opt-in")).unwrap().created().is_err() {
        return; // The file system does not tell.
    }
    machine.collector.answer_with(503);
    let telemd = machine.sandbox.start_telemd();
    send(&machine, "before");
    telemd.terminate();
    machine.collector.answer_with(201);
    machine.sandbox.opt_out();
    machine.sandbox.opt_in();
    let telemd = machine.sandbox.start_telemd();
    assert!(telemd.log().contains("1 records of before were deleted"), "{}", telemd.log());
    assert!(machine.spool().is_empty());
}

#[test]
fn d3_a_reload_takes_everything_but_the_socket_and_a_wrong_file_changes_nothing() {
    let machine = Machine::new();
    let other = Collector::start().unwrap();
    let telemd = machine.sandbox.start_telemd();
    send(&machine, "one");
    machine.receive();

    let configuration = format!("server={}\nsocket_path=/run/other\nspool_max_size=0", other.url());
    machine.sandbox.configure(&configuration);
    machine.sandbox.write("/etc/telemetrics/opt-in-static-machine-id", "my host\n");
    telemd.signal("HUP");
    wait_until("it is read again", || telemd.log().contains("the configuration was read again"));
    assert!(telemd.log().contains("socket_path stays /run/telem-0 until telemd starts again"), "{}", telemd.log());
    assert_eq!(machine.status_of(&[&frame("a/b/c", b"")]), Some(-libc::EDQUOT), "the new quota");

    machine.sandbox.configure(&configuration.replace("spool_max_size=0", ""));
    telemd.signal("HUP");
    wait_until("it is read again", || telemd.log().matches("the configuration was read again").count() == 2);
    assert_eq!(machine.status_of(&[&frame("a/b/c", b"two")]), Some(0));
    let received = other.received().recv_timeout(PATIENCE).unwrap();
    assert_eq!(received.header("machine-id").unwrap(), "my host");

    machine.sandbox.configure("record_expiry=abc");
    telemd.signal("HUP");
    wait_until("it complains", || telemd.log().contains("the settings before stay in effect"));
    let message = "telemetrics.conf:2: record_expiry: expected minutes as an integer, got \"abc\"";
    assert!(telemd.log().contains(message), "{}", telemd.log());
    assert_eq!(machine.status_of(&[&frame("a/b/c", b"three")]), Some(0));
    assert_eq!(other.received().recv_timeout(PATIENCE).unwrap().body, b"three\n");
}

#[test]
fn d2_many_reloads_while_records_come_lose_none() {
    let machine = Machine::new();
    let telemd = machine.sandbox.start_telemd();
    for number in 0..40 {
        if number % 4 == 0 {
            telemd.signal("HUP");
        }
        assert_eq!(machine.status_of(&[&frame("a/b/c", number.to_string().as_bytes())]), Some(0));
    }
    let mut bodies: Vec<_> = (0..40).map(|_| machine.receive().body).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 40);
}

/// What telemd tells the service manager, until there is `enough`.
fn told(socket: &UnixDatagram, enough: impl Fn(&str) -> bool) -> String {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut all = String::new();
    let mut buffer = [0; 4096];
    while !enough(&all) {
        let len = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error} after {all}"));
        all.push_str(&String::from_utf8_lossy(&buffer[..len]));
        all.push('\n');
    }
    all
}

#[test]
fn the_service_manager_is_told_of_readiness_reloads_and_life() {
    let machine = Machine::new();
    let socket = UnixDatagram::bind(machine.sandbox.path("/run/notify")).unwrap();
    machine.sandbox.write("/run/telemd.log", "");
    let log = fs::metadata(machine.sandbox.path("/run/telemd.log")).unwrap();
    let stream = format!("{}:{}", log.dev(), log.ino());
    let mut command = machine.sandbox.command("sh");
    command
        .args(["-c", "WATCHDOG_PID=$$ exec /usr/local/bin/telemd"])
        .env("NOTIFY_SOCKET", "/run/notify")
        .env("WATCHDOG_USEC", "400000")
        .env("JOURNAL_STREAM", stream);
    let telemd = machine.sandbox.spawn(command);
    told(&socket, |all| all.contains("READY=1\n"));
    told(&socket, |all| all.matches("WATCHDOG=1").count() >= 3);
    telemd.signal("HUP");
    let all = told(&socket, |all| all.contains("READY=1\n"));
    assert!(all.contains("RELOADING=1") && all.contains("MONOTONIC_USEC="), "{all}");
    assert_eq!(machine.status_of(&[&frame("a/b/c", b"")]), Some(0));
    told(&socket, |all| all.contains("STATUS=0 spooled, 1 delivered"));
    assert!(telemd.log().lines().all(|line| line.starts_with('<')), "priorities: {}", telemd.log());
    telemd.terminate();
    told(&socket, |all| all.contains("STOPPING=1"));
}

#[test]
fn the_status_file_counts_what_becomes_of_records() {
    let machine = Machine::new();
    machine.collector.answer_with(500);
    let _telemd = machine.sandbox.start_telemd();
    assert_eq!(machine.status_of(&[&frame("a/b/c", b"")]), Some(0));
    assert_eq!(machine.status_of(&[&frame("a/b\x01/c", b"")]), Some(-libc::EINVAL));
    wait_until("failures are told", || {
        let status = status(&machine.sandbox);
        status["spooled"] == 1 && status["last_error"]["message"] == "the server answered 500 Internal Server Error"
    });
    let told = status(&machine.sandbox);
    assert_eq!((&told["accepted"], &told["refused"]["frame"]), (&1.into(), &1.into()));
    assert!(told["back_off_until"].as_u64() >= told["started"].as_u64(), "{told}");
    machine.collector.answer_with(201);
    wait_until("success is told", || {
        let status = status(&machine.sandbox);
        status["delivered"] == 1 && status["spooled"] == 0 && status["back_off_until"].is_null()
    });
}

#[test]
fn one_user_cannot_fill_the_spool_for_the_others() {
    let machine = Machine::new();
    machine.collector.answer_with(503);
    machine.sandbox.configure(&format!("server={}\nspool_max_size=80", machine.collector.url()));
    let telemd = machine.sandbox.start_telemd();
    let program = machine.sandbox.path("/run/send");
    fs::copy(Program::compile("send.c").path, &program).unwrap();
    let accepted = |uid: &str| {
        let mut command = machine.sandbox.command("setpriv");
        command.args([&format!("--reuid={uid}"), "--clear-groups", "/run/send", "-r", "30"]);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.starts_with("0 ")).count()
    };
    if accepted("65533") == 0 {
        return; // Not root here: there is no other user.
    }
    assert_eq!(machine.spool().len(), 10, "half of the spool");
    assert_eq!(accepted("65534"), 10);
    let log = telemd.log();
    assert!(log.contains("a record of uid 65533 (process "), "{log}");
    assert!(log.contains("spool_user_share: Quota exceeded"), "{log}");
}

#[test]
fn an_idle_telemd_makes_no_system_calls() {
    let machine = Machine::new();
    let telemd = machine.sandbox.start_telemd();
    send(&machine, "before the rest");
    machine.receive();
    // What was begun is ended: readers wait 10 s, syncs 5 s.
    thread::sleep(Duration::from_secs(16));
    let trace = machine.sandbox.path("/run/trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&trace).arg("-p").arg(telemd.pid().to_string());
    let mut strace = strace.stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_secs(60));
    assert!(send_signal("TERM", strace.id()));
    strace.wait().unwrap();
    let trace = fs::read_to_string(trace).unwrap();
    // Calls that were begun before, and interrupted by the end of the trace.
    let is_call = |line: &&str| !line.contains("resumed") && !line.contains("detached") && !line.contains("unfinished");
    let calls = trace.lines().filter(is_call).count();
    println!("{calls} system calls in 60 idle seconds (limit 0, but for one timer of a few calls)");
    assert!(calls <= 6, "{trace}");
}

#[test]
fn a_bad_configuration_stops_telemd_with_file_line_and_key() {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    sandbox.configure("record_expiry=abc");
    let output = sandbox.command("/usr/local/bin/telemd").output().unwrap();
    assert_eq!(output.status.code(), Some(78), "EX_CONFIG");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains(
            "/etc/telemetrics/telemetrics.conf:2: record_expiry: expected minutes as an integer, got \"abc\""
        ),
        "{message}"
    );
}

/// Passes a descriptor as the service manager does, and becomes telemd.
const ACTIVATE: &str = "\
import os, socket, sys
kind, path = sys.argv[1:]
if kind == 'stream':
    passed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    passed.bind(path)
    passed.listen()
elif kind == 'datagram':
    passed = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
else:
    passed = open('/dev/null')
os.dup2(passed.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv('/usr/local/bin/telemd', ['telemd'])
";

#[test]
fn a_socket_of_the_service_manager_is_used_and_left_in_order() {
    let machine = Machine::new();
    // Wherever it is bound: here not where the configuration says.
    let mut command = machine.sandbox.command("/usr/bin/python3");
    command.args(["-c", ACTIVATE, "stream", "/run/telem-0"]);
    machine.sandbox.configure(&format!("server={}\nsocket_path=/run/other", machine.collector.url()));
    let log = fs::File::create(machine.sandbox.path("/run/telemd.log")).unwrap();
    let mut child = command.stderr(log).spawn().unwrap();
    wait_until("telemd works", || {
        fs::read_to_string(machine.sandbox.path("/run/telemd.log")).unwrap().contains("listening")
    });
    assert_eq!(machine.status_of(&[&frame("a/b/c", b"activated")]), Some(0));
    assert_eq!(machine.receive().body, b"activated\n");
    assert!(!machine.sandbox.path("/run/other").exists());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_descriptor_of_another_type_is_a_clear_error() {
    let machine = Machine::new();
    for kind in ["datagram", "file"] {
        let mut command = machine.sandbox.command("/usr/bin/python3");
        let output = command.args(["-c", ACTIVATE, kind, ""]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("no listening Unix stream socket"), "{message}");
    }
}

#[test]
fn the_configuration_can_be_checked_without_starting() {
    let sandbox = Sandbox::new();
    sandbox.configure("spool_max_size=7\nunknown_key=1");
    let output = succeed(sandbox.command("/usr/local/bin/telemd").arg("--check"));
    let settings = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(settings.starts_with("# /etc/telemetrics/telemetrics.conf\n"), "{settings}");
    assert!(settings.contains("# /etc/telemetrics/telemetrics.conf:2\nspool_max_size=7\n"), "{settings}");
    assert!(settings.contains("# default\nrecord_expiry=1200\n"), "{settings}");
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warnings.contains("telemetrics.conf:3: unknown key \"unknown_key\" is ignored"), "{warnings}");
    assert!(!sandbox.path("/run/telem-0").exists());
    sandbox.configure("spool_max_size=much");
    let output = sandbox.command("/usr/local/bin/telemd").arg("--check").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn telemd_tells_its_version_and_its_options() {
    let sandbox = Sandbox::new();
    let telemd = |option: &str| sandbox.command("/usr/local/bin/telemd").arg(option).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&telemd("--version").stdout), concat!(env!("CARGO_PKG_VERSION"), "\n"));
    assert!(String::from_utf8_lossy(&telemd("-h").stdout).starts_with("Usage: telemd"));
    let wrong = telemd("--wrong");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("--wrong"));
}
