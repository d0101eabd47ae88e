//! What telem-record-gen prints, and what becomes of the record.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use libtelemetry_acceptance::machine::Machine;
use record::header::Header;
use sandbox::Sandbox;
use tempfile::TempDir;
use tools_acceptance::{CLASS, RECORD_GEN, Ran, payload, record_gen, run, without_random_numbers};

const NOT_OPTED_IN: &str = "Unable to send record. Make sure to opt-in to telemetry first 'telemctl opt-in'";
const ID: &str = "0123456789abcdef0123456789abcdef";

fn send(sandbox: &Sandbox) -> Ran {
    run(&mut record_gen(sandbox, ["-c", CLASS, "-p", "disk full"]))
}

/// Value of a header in what `-o` printed.
fn printed(out: &str, header: Header) -> String {
    let line = out.lines().nth(header as usize).unwrap();
    line.strip_prefix(header.prefix()).unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
fn a_record_is_sent_without_a_word() {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    let arguments = ["-c", CLASS, "-s", "3", "-R", "7", "-e", ID, "-p", "disk full"];
    assert_eq!(run(&mut record_gen(&machine.sandbox, arguments)), Ran::well(""));
    let received = machine.receive();
    let value = |header: Header| received.header(header.http_name()).unwrap();
    assert_eq!(value(Header::Classification), CLASS);
    assert_eq!(value(Header::Severity), "3");
    assert_eq!(value(Header::PayloadFormatVersion), "7");
    assert_eq!(value(Header::EventId), ID);
    assert_eq!(payload(&received), b"disk full");
}

#[test]
fn the_defaults_are_severity_1_and_version_1() {
    let ran = run(&mut record_gen(&Sandbox::new(), ["-nc", CLASS, "-p", ""]));
    assert_eq!(printed(&ran.out, Header::Severity), "1");
    assert_eq!(printed(&ran.out, Header::PayloadFormatVersion), "1");
}

#[test]
fn echo_prints_the_15_headers_as_they_are_sent_the_payload_and_a_newline() {
    let machine = Machine::new();
    machine.sandbox.write("/etc/os-release", "ID=clear-linux-os\nVERSION_ID=41000\n");
    let _telemd = machine.sandbox.start_telemd();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now();
    let ran = run(&mut record_gen(&machine.sandbox, ["-oc", CLASS, "-s", "2", "-e", ID, "-p", "disk full"]));
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));

    let received = machine.receive();
    for header in Header::ALL {
        let sent = received.header(header.http_name()).unwrap();
        let expected = if header == Header::MachineId { "FFFFFFFF".to_owned() } else { sent };
        assert_eq!(printed(&ran.out, header), expected, "{}", header.name());
    }
    assert!((before..=now()).contains(&printed(&ran.out, Header::CreationTimestamp).parse().unwrap()));
    assert_eq!(printed(&ran.out, Header::RecordFormatVersion), "4");
    assert_eq!(printed(&ran.out, Header::Build), "41000");
    assert_eq!(printed(&ran.out, Header::SystemName), "clear-linux-os");
    assert!(ran.out.ends_with(&format!("\nevent_id: {ID}\ndisk full\n")), "{}", ran.out);
    assert_eq!(ran.out.lines().count(), Header::COUNT + 1);
}

#[test]
fn echo_happens_even_if_sending_then_fails() {
    let ran = run(&mut record_gen(&Sandbox::new(), ["-oc", CLASS, "-p", "disk full"]));
    assert!(ran.out.starts_with("record_format_version: 4\n") && ran.out.ends_with("\ndisk full\n"), "{}", ran.out);
    assert_eq!((ran.status, ran.err), (1, format!("{NOT_OPTED_IN}\n")));
}

/// T14: `-n` alone printed nothing, although its help said so.
#[test]
fn t14_without_sending_the_record_is_printed() {
    let sandbox = Sandbox::new();
    let dry = |options: &[&str]| run(record_gen(&sandbox, ["-c", CLASS, "-e", ID, "-p", "x"]).args(options));
    let without_time = |ran: Ran| {
        assert_eq!((ran.status, ran.err.as_str()), (0, ""));
        ran.out.lines().filter(|line| !line.starts_with("creation_")).collect::<Vec<_>>().join("\n")
    };
    let shown = without_time(dry(&["-n"]));
    assert_eq!(shown.lines().count(), Header::COUNT);
    assert_eq!(shown, without_time(dry(&["-o", "-n"])));
    assert_eq!(shown, without_time(dry(&["--no-post", "--echo"])));
}

#[test]
fn a_dry_run_sends_nothing() {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    assert_eq!(run(&mut record_gen(&machine.sandbox, ["-nc", CLASS, "-p", "dry"])).status, 0);
    assert_eq!(run(&mut record_gen(&machine.sandbox, ["-c", CLASS, "-p", "wet"])), Ran::well(""));
    assert_eq!(payload(&machine.receive()), b"wet", "the first record that arrives");
}

#[test]
fn a_record_is_sent_even_if_nobody_reads_the_echo() {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    let (gone, stdout) = UnixStream::pair().unwrap();
    drop(gone);
    let mut command = record_gen(&machine.sandbox, ["-oc", CLASS, "-p", "gone"]);
    command.stdin(Stdio::null()).stdout(OwnedFd::from(stdout)).stderr(Stdio::piped());
    assert_eq!(Ran::from(command.spawn().unwrap().wait_with_output().unwrap()), Ran::well(""));
    assert_eq!(payload(&machine.receive()), b"gone");

    let mut sh = machine.sandbox.command("sh");
    let ran = run(sh.args(["-c", &format!("{RECORD_GEN} -oc {CLASS} -p full > /dev/full")]));
    assert_eq!(ran, Ran::badly("Error: the record could not be printed: No space left on device"));
    assert_eq!(payload(&machine.receive()), b"full");
}

#[test]
fn a_complaint_that_nobody_hears_changes_no_exit_status() {
    let sandbox = Sandbox::new();
    for script in ["-c x 2> /dev/full", "--bogus 2> /dev/full", "-c a/b/c -p x 2>&-"] {
        let ran = run(sandbox.command("sh").args(["-c", &format!("{RECORD_GEN} {script}")]));
        assert_eq!(ran, Ran { status: 1, out: String::new(), err: String::new() }, "{script}");
    }
}

/// T16: the C program advised to opt in, whatever had failed.
#[test]
fn t16_only_who_has_not_opted_in_is_advised_to() {
    let sandbox = Sandbox::new();
    assert_eq!(send(&sandbox), Ran::badly(NOT_OPTED_IN));

    sandbox.opt_in();
    let no_socket = send(&sandbox);
    assert_eq!(
        no_socket,
        Ran::badly(
            "Failed to get socket fd: No such file or directory\n\
             Unable to send record: there is no socket of the daemon, or the chosen configuration file is gone. \
             Start the daemon by 'telemctl start'."
        )
    );

    drop(UnixListener::bind(sandbox.path("/run/telem-0")).unwrap());
    let nobody_listens = send(&sandbox);
    assert_eq!(
        nobody_listens,
        Ran::badly(
            "Failed to get socket fd: Connection refused\n\
             Unable to send record: no daemon listens on its socket. Start the daemon by 'telemctl start'."
        )
    );
    for ran in [no_socket, nobody_listens] {
        assert!(!ran.err.contains("opt-in"), "{}", ran.err);
    }
}

#[test]
fn t16_a_configuration_file_that_cannot_be_understood_is_named_as_the_reason() {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    sandbox.write("/etc/telemetrics/telemetrics.conf", "server=without a section\n");
    let ran = send(&sandbox);
    assert_eq!(ran.status, 1);
    assert!(ran.err.starts_with("Failed to send record: Invalid argument\nUnable to send record: "), "{}", ran.err);
    assert!(ran.err.contains("'telemd --check' says what is wrong"), "{}", ran.err);
}

/// T18: a refusal of the daemon must reach the sender.
#[test]
fn t18_what_the_daemon_refuses_is_told() {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    // The daemon takes no orders from a file that others may write.
    machine.sandbox.write("/etc/others.conf", "[settings]\n");
    fs::set_permissions(machine.sandbox.path("/etc/others.conf"), fs::Permissions::from_mode(0o666)).unwrap();
    let ran = run(&mut record_gen(&machine.sandbox, ["-c", CLASS, "-p", "x", "-f", "/etc/others.conf"]));
    assert_eq!(
        ran,
        Ran::badly(
            "Failed to send record: Operation not permitted\n\
             Unable to send record: the daemon must not use the chosen configuration file. \
             It must belong to root or to the daemon's user, and nobody else may write to it."
        )
    );
}

#[test]
fn t18_a_full_spool_is_told() {
    let machine = Machine::new();
    machine.collector.answer_with(500);
    machine.sandbox.configure(&format!("server={}\nspool_max_size=8", machine.collector.url()));
    let _telemd = machine.sandbox.start_telemd();
    let send = || run(&mut record_gen(&machine.sandbox, ["-c", CLASS, "-p", &"x".repeat(3000)]));
    let refused = (0..8).map(|_| send()).find(|ran| ran.status != 0).expect("8 KiB are full");
    assert!(refused.err.starts_with("Failed to send record: Disk quota exceeded\n"), "{}", refused.err);
    assert!(refused.err.contains("raise spool_max_size"), "{}", refused.err);
}

/// T17: the C program used the record that it had freed.
#[test]
fn t17_a_record_that_cannot_be_created_is_a_message_and_no_crash() {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    let directory = TempDir::new().unwrap();
    for options in [[].as_slice(), &["-o"], &["-n"]] {
        let mut command = record_gen(&sandbox, ["-c", CLASS, "-p", "x"]);
        let ran = run(without_random_numbers(command.args(options), directory.path()));
        assert_eq!(
            ran,
            Ran::badly(
                "Failed to create record: Operation not permitted\n\
                 Unable to send record: the system has no random numbers. \
                 Make getrandom(2) or /dev/urandom available to the process."
            ),
            "{options:?}"
        );
    }
}

#[test]
fn t17_an_unreadable_cpuinfo_does_not_lose_the_record() {
    let mut machine = Machine::new();
    let _socket = UnixListener::bind(machine.sandbox.path("/run/unreadable")).unwrap();
    machine.sandbox.mount("/run/unreadable", "/proc/cpuinfo");
    let _telemd = machine.sandbox.start_telemd();
    assert_eq!(send(&machine.sandbox), Ran::well(""));
    assert_eq!(machine.receive().header(Header::CpuModel.http_name()).unwrap(), "blank");
}
