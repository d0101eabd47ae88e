//! A record's whole way: program, library, telemd, collector. All installed,
//! and compiled as the documentation says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use collector::{Collector, Received};
use libtelemetry_acceptance::machine::{Machine, PATIENCE};
use libtelemetry_acceptance::{Program, stdout_of, succeed};
use record::header::Header;
use sandbox::{Sandbox, project, wait_until};
use tempfile::TempDir;

fn send_program() -> Program {
    Program::compile("send.c")
}

fn assert_has_all_headers(received: &Received) {
    for header in Header::ALL {
        let value = received.header(header.http_name());
        assert!(value.is_some_and(|value| !value.is_empty()), "{} in {received:?}", header.http_name());
    }
}

/// Nothing leaves the machine but what the first columns of the tables of
/// `docs/privacy.md` name.
fn assert_only_declared(received: &Received) {
    let document = fs::read_to_string(project().join("docs/privacy.md")).unwrap().to_lowercase();
    let first_cells = document.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let declared: Vec<&str> =
        first_cells.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`')).collect();
    assert!(declared.len() > Header::COUNT);
    for (name, _) in &received.headers {
        let of_record = Header::ALL.into_iter().find(|header| header.http_name().eq_ignore_ascii_case(name));
        let name = of_record.map_or(name.as_str(), |header| header.name());
        assert!(declared.contains(&name), "{name} is sent and not declared in docs/privacy.md");
    }
}

#[test]
fn the_tutorial_program_compiled_by_its_documented_command_sends_its_record() {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    let directory = TempDir::new().unwrap();
    fs::copy(project().join("examples/test.c"), directory.path().join("test.c")).unwrap();
    let mut gcc = machine.sandbox.command("gcc");
    succeed(gcc.current_dir(&directory).args(["test.c", "-ltelemetry", "-o", "test_telem"]));

    // The installation is found as on any system: by the loader's cache.
    succeed(&mut machine.sandbox.command("/sbin/ldconfig"));
    let mut program = machine.sandbox.command("./test_telem");
    let output = stdout_of(program.current_dir(&directory).env_remove("LD_LIBRARY_PATH"));
    assert_eq!(output, "Successfully sent record to daemon.\n");

    let received = machine.receive();
    assert_eq!(received.request, "POST /v2/collector");
    assert_has_all_headers(&received);
    let header = |header: Header| received.header(header.http_name()).unwrap();
    assert_eq!(header(Header::RecordFormatVersion), "4");
    assert_eq!(header(Header::Classification), "org.clearlinux/hello/world");
    assert_eq!(header(Header::Severity), "1");
    assert_eq!(header(Header::PayloadFormatVersion), "1");
    assert!(record::event_id::is_valid(header(Header::MachineId).as_bytes()));
    assert_eq!(received.body, b"hello\n\n");
    assert_eq!(received.header("content-type").unwrap(), "application/text");
    assert_eq!(received.header("x-telemetry-tid").unwrap(), "6907c830-eed9-4ce9-81ae-76daf8d88f0f");
    assert_eq!(received.header("accept").unwrap(), "*/*");
    assert_eq!(received.header("user-agent"), None);
    assert_only_declared(&received);
    wait_until("the delivered record is deleted", || machine.spool().is_empty());
    let journal = machine.journal();
    let fields: Vec<&str> = journal.trim_end().split('\x1e').collect();
    assert_eq!((fields.len(), fields[2]), (5, "org.clearlinux/hello/world"), "{journal}");
    assert_eq!(fields[3], received.header("event-id").unwrap());
}

#[test]
fn the_tutorial_program_says_why_it_failed() {
    let sandbox = Sandbox::new();
    let directory = TempDir::new().unwrap();
    let program = directory.path().join("test_telem");
    let mut gcc = sandbox.command("gcc");
    succeed(gcc.arg(project().join("examples/test.c")).args(["-ltelemetry", "-o"]).arg(&program));
    let output = sandbox.command(&program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Failed to send record to daemon: Connection refused\n");
    assert_eq!(output.status.code(), Some(1));
}

fn heartbeat_arrives(program: impl FnOnce(&Machine, &Path) -> Command) {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    let directory = TempDir::new().unwrap();
    succeed(&mut program(&machine, directory.path()));
    let received = machine.receive();
    assert_eq!(received.header("classification").unwrap(), "org.example/heartbeat/ping");
    assert_eq!(received.body, b"hello\n\n");
}

#[test]
fn the_heartbeat_example_in_c_works_with_pkg_config() {
    heartbeat_arrives(|machine, directory| {
        let flags = stdout_of(
            machine
                .sandbox
                .command("pkg-config")
                .args(["--cflags", "--libs", "libtelemetry"])
                .env("PKG_CONFIG_PATH", "/usr/local/lib/pkgconfig"),
        );
        let program = directory.join("heartbeat");
        let mut gcc = machine.sandbox.command("gcc");
        gcc.args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(project().join("examples/heartbeat.c"));
        succeed(gcc.args(flags.split_whitespace()));
        machine.sandbox.command(program)
    });
}

#[test]
fn the_heartbeat_example_in_python_works() {
    heartbeat_arrives(|machine, _| {
        let mut python = machine.sandbox.command("/usr/bin/python3");
        python.arg(project().join("examples/heartbeat.py"));
        python
    });
}

#[test]
fn the_examples_ask_for_consent_first() {
    let sandbox = Sandbox::new();
    let output = sandbox.command("/usr/bin/python3").arg(project().join("examples/heartbeat.py")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "heartbeat: telemetry is switched off on this machine\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a18_payloads_up_to_8192_bytes_arrive_whole_and_longer_ones_are_cut() {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    let program = send_program();
    for len in [0, 1, 8187, 8188, 8191, 8192, 8193] {
        let payload = "p".repeat(len);
        let output = stdout_of(machine.sandbox.command(&program.path).args(["-p", &payload]));
        assert!(output.starts_with("0 "), "{len}: {output}");
        let body = machine.receive().body;
        assert_eq!(body, [payload.as_bytes().get(..8192).unwrap_or(payload.as_bytes()), b"\n"].concat());
    }
}

#[test]
fn what_is_acknowledged_is_in_the_spool_and_arrives_when_the_server_is_back() {
    let machine = Machine::new();
    machine.collector.answer_with(503);
    machine.sandbox.configure(&format!("server={}\ndelivery_connections=1", machine.collector.url()));
    let program = send_program();
    let telemd = machine.sandbox.start_telemd();
    let output = stdout_of(machine.sandbox.command(&program.path).args(["-r", "5"]));
    assert_eq!(output.lines().filter(|line| line.starts_with("0 ")).count(), 5, "{output}");
    assert_eq!(machine.spool().len(), 5);
    let first_attempt = machine.receive();
    assert!(telemd.terminate().success());
    assert_eq!(machine.spool().len(), 5, "they are there after the end");

    machine.collector.answer_with(201);
    let _telemd = machine.sandbox.start_telemd();
    let received: Vec<Received> = (0..5).map(|_| machine.receive()).collect();
    let ids = |records: &[Received]| -> Vec<String> {
        records.iter().map(|received| received.header("x-telemetry-record-id").unwrap()).collect()
    };
    let mut distinct = ids(&received);
    assert_eq!(distinct[0], ids(&[first_attempt])[0], "a record keeps its id from attempt to attempt");
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 5);
    wait_until("the spool is empty", || machine.spool().is_empty());
}

#[test]
fn a_failed_delivery_is_tried_again_by_the_running_daemon() {
    let machine = Machine::new();
    machine.collector.answer_with(500);
    let telemd = machine.sandbox.start_telemd();
    succeed(&mut machine.sandbox.command(&send_program().path));
    machine.receive();
    machine.collector.answer_with(200);
    machine.receive();
    wait_until("the spool is empty", || machine.spool().is_empty());
    assert!(telemd.log().contains("the server answered 500"), "{}", telemd.log());
}

#[test]
fn a_spool_that_a_c_daemon_left_is_delivered() {
    let machine = Machine::new();
    let file = include_str!("../../../telemd/tests/data/spool-file-of-the-c-daemon");
    machine.sandbox.write("/var/spool/telemetry/aB3xY9", file);
    let _telemd = machine.sandbox.start_telemd();
    let received = machine.receive();
    assert_eq!(received.header("machine-id").unwrap(), "00112233445566778899aabbccddeeff");
    assert_eq!(received.header("cpu-model").unwrap(), "Demo CPU");
    assert_eq!(received.body, b"ping\n");
}

#[test]
fn the_spool_file_is_the_format_that_the_c_daemons_read() {
    let machine = Machine::new();
    machine.collector.answer_with(503);
    let _telemd = machine.sandbox.start_telemd();
    succeed(machine.sandbox.command(&send_program().path).args(["-e", "0123456789abcdef0123456789abcdef"]));
    let text = fs::read_to_string(&machine.spool()[0]).unwrap();
    let mut lines = text.lines();
    for header in Header::ALL {
        let line = lines.next().unwrap();
        assert!(line.starts_with(&format!("{}: ", header.name())), "{line}");
        assert!(line.len() <= 4095);
    }
    assert!(text.ends_with("event_id: 0123456789abcdef0123456789abcdef\nping\n"), "{text}");
}

#[test]
fn c3_c7_c14_a_chosen_configuration_file_counts_for_its_record_and_for_no_other() {
    let machine = Machine::new();
    let other = Collector::start().unwrap();
    let chosen = format!("[settings]\nserver={}\ntidheader=X-Telemetry-TID: other\n", other.url());
    machine.sandbox.write("/etc/chosen.conf", chosen);
    let _telemd = machine.sandbox.start_telemd();
    let program = send_program();
    for chosen in [true, false, true] {
        let mut command = machine.sandbox.command(&program.path);
        if chosen {
            command.args(["-c", "/etc/chosen.conf"]);
        }
        assert!(stdout_of(&mut command).starts_with("0 "));
    }
    let received = machine.receive();
    assert_eq!(received.header("x-telemetry-tid").unwrap(), "6907c830-eed9-4ce9-81ae-76daf8d88f0f");
    for _ in 0..2 {
        let received = other.received().recv_timeout(PATIENCE).expect("a record arrives at the other server");
        assert_eq!(received.header("x-telemetry-tid").unwrap(), "other", "c7");
    }
    wait_until("the spool is empty", || machine.spool().is_empty());
    assert!(machine.collector.received().try_recv().is_err());
}

#[test]
fn d28_a_record_with_a_file_that_telemd_does_not_trust_is_sent_nowhere() {
    let machine = Machine::new();
    machine.sandbox.write("/etc/open.conf", "");
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(machine.sandbox.path("/etc/open.conf"), open).unwrap();
    let telemd = machine.sandbox.start_telemd();
    let output = stdout_of(machine.sandbox.command(&send_program().path).args(["-c", "/etc/open.conf"]));
    assert!(output.starts_with(&format!("-{} ", libc::EPERM)), "{output}");
    assert!(machine.spool().is_empty());
    assert!(telemd.log().contains("/etc/open.conf: not trusted"), "{}", telemd.log());
}

#[test]
fn an_unreadable_spool_file_does_not_hold_up_the_others() {
    let machine = Machine::new();
    machine.sandbox.write("/var/spool/telemetry/000000", "no record\n");
    machine
        .sandbox
        .write("/var/spool/telemetry/aB3xY9", include_str!("../../../telemd/tests/data/spool-file-of-the-c-daemon"));
    let telemd = machine.sandbox.start_telemd();
    machine.receive();
    wait_until("the spool is empty", || machine.spool().is_empty());
    assert!(
        telemd.log().contains("spool file 000000: expected a line `record_format_version: value`"),
        "{}",
        telemd.log()
    );
}

#[test]
fn with_delivery_switched_off_nothing_leaves_the_machine() {
    let machine = Machine::new();
    machine.sandbox.configure(&format!(
        "server={}\nrecord_server_delivery_enabled=false\nrecord_retention_enabled=true",
        machine.collector.url()
    ));
    let telemd = machine.sandbox.start_telemd();
    succeed(&mut machine.sandbox.command(&send_program().path));
    wait_until("the record is noted", || machine.journal().lines().count() == 1);
    assert!(machine.collector.received().recv_timeout(Duration::from_secs(1)).is_err());
    assert!(machine.spool().is_empty());
    assert!(telemd.log().contains("delivery is switched off"), "{}", telemd.log());
    let journal = machine.journal();
    let id = journal.split('\x1e').next().unwrap();
    let copy = machine.sandbox.path("/var/log/telemetry/records").join(id);
    assert_eq!(fs::read_to_string(copy).unwrap(), "ping\n\n");
}

#[test]
fn d18_a_full_spool_is_told_to_the_sender() {
    let machine = Machine::new();
    machine.collector.answer_with(503);
    machine.sandbox.configure(&format!("server={}\nspool_max_size=16", machine.collector.url()));
    let telemd = machine.sandbox.start_telemd();
    let output = stdout_of(machine.sandbox.command(&send_program().path).args(["-r", "4"]));
    let results: Vec<&str> = output.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let full = format!("-{}", libc::EDQUOT);
    assert_eq!(results, ["0", "0", full.as_str(), full.as_str()]);
    assert_eq!(machine.spool().len(), 2);
    assert!(telemd.log().contains("was refused"), "{}", telemd.log());
}

#[test]
fn d7_a_record_that_the_server_rejects_is_kept_beside_the_spool() {
    let machine = Machine::new();
    machine.collector.answer_with(400);
    let telemd = machine.sandbox.start_telemd();
    let program = send_program();
    succeed(&mut machine.sandbox.command(&program.path));
    machine.receive();
    wait_until("it is moved away", || machine.spool().is_empty());
    let rejected = fs::read_dir(machine.sandbox.path("/var/spool/rejected")).unwrap();
    assert_eq!(rejected.count(), 2, "the record, and why it is there");
    assert!(telemd.log().contains("the server answered 400 Bad Request; it was moved to"), "{}", telemd.log());
    machine.collector.answer_with(201);
    succeed(&mut machine.sandbox.command(&program.path));
    machine.receive();
}

#[test]
fn a_record_whose_own_server_is_down_does_not_hold_up_the_others() {
    let machine = Machine::new();
    machine.sandbox.write("/etc/down.conf", "[settings]\nserver=http://127.0.0.1:1/\n");
    let _telemd = machine.sandbox.start_telemd();
    let program = send_program();
    succeed(machine.sandbox.command(&program.path).args(["-c", "/etc/down.conf", "-p", "first"]));
    succeed(machine.sandbox.command(&program.path).args(["-p", "second"]));
    assert_eq!(machine.receive().body, b"second\n");
    wait_until("only the first is left", || machine.spool().len() == 1);
}
