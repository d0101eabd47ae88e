//! hprobe: payload, classification, outputs.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

use collector::Received;
use libtelemetry_acceptance::machine::Machine;
use libtelemetry_acceptance::stdout_of;
use record::header::Header;
use sandbox::{Sandbox, Telemd};
use tempfile::TempDir;
use tools_acceptance::{Ran, hprobe, payload, run, without_random_numbers};

const SUCCESS: &str = "Successfully sent record to daemon.\n";
const NOT_OPTED_IN: &str = "Failed to send record to daemon: Connection refused\n\
     No record was sent: telemetry is switched off on this machine. Switch it on by 'telemctl opt-in'.";

/// A machine of Clear Linux with these bundles, on which telemd runs.
fn running_with(bundles: &[&str]) -> (Machine, Telemd) {
    let mut machine = Machine::new();
    for name in bundles {
        machine.sandbox.write(&format!("/var/share/clear/bundles/{name}"), "");
    }
    machine.sandbox.write("/var/share/present", "");
    machine.sandbox.mount("/var/share", "/usr/share");
    let telemd = machine.sandbox.start_telemd();
    (machine, telemd)
}

fn running() -> (Machine, Telemd) {
    running_with(&[])
}

/// The record of a run that succeeds.
fn sent(machine: &Machine, command: &mut Command) -> Received {
    assert_eq!(run(command), Ran::well(SUCCESS));
    machine.receive()
}

fn sent_payload(machine: &Machine, arguments: &[&str]) -> String {
    let mut command = hprobe(&machine.sandbox, arguments);
    String::from_utf8(payload(&sent(machine, command.env("LC_ALL", "C"))).to_vec()).unwrap()
}

#[test]
fn a_heartbeat_says_hello() {
    let (machine, _telemd) = running();
    let received = sent(&machine, &mut hprobe(&machine.sandbox, &[]));
    let value = |header: Header| received.header(header.http_name()).unwrap();
    assert_eq!(value(Header::Classification), "org.clearlinux/hello/world");
    assert_eq!(value(Header::Severity), "1");
    assert_eq!(value(Header::PayloadFormatVersion), "1");
    assert_eq!(payload(&received), b"hello\n");
}

#[test]
fn heartbeat_changes_the_classification_and_nothing_else() {
    let (machine, _telemd) = running();
    for option in ["-H", "--heartbeat", "--heart"] {
        let received = sent(&machine, &mut hprobe(&machine.sandbox, &[option]));
        let class = received.header(Header::Classification.http_name()).unwrap();
        assert_eq!(class, "org.clearlinux/heartbeat/ping");
        assert_eq!(received.header(Header::Severity.http_name()).unwrap(), "1");
        assert_eq!(payload(&received), b"hello\n");
    }
}

/// The line of the locale in an environment.
fn locale_line(machine: &Machine, environment: &[(&str, &str)]) -> String {
    let mut command = hprobe(&machine.sandbox, &["-l"]);
    for name in ["LC_ALL", "LANG", "LC_CTYPE", "LC_NUMERIC"] {
        command.env_remove(name);
    }
    let received = sent(machine, command.envs(environment.iter().copied()));
    String::from_utf8(payload(&received).to_vec()).unwrap().strip_prefix("hello\n").unwrap().to_owned()
}

#[test]
fn the_locale_is_one_name_if_all_categories_agree() {
    let (machine, _telemd) = running();
    assert_eq!(locale_line(&machine, &[]), "LC_ALL: C\n");
    assert_eq!(locale_line(&machine, &[("LC_ALL", "C.UTF-8")]), "LC_ALL: C.UTF-8\n");
    assert_eq!(locale_line(&machine, &[("LANG", "C.UTF-8"), ("LC_ALL", "")]), "LC_ALL: C.UTF-8\n");
}

#[test]
fn the_locale_is_a_list_if_categories_differ() {
    let (machine, _telemd) = running();
    let environment = [("LANG", "C"), ("LC_CTYPE", "C.UTF-8")];
    // Python asks setlocale, too.
    let script = "import locale; locale.setlocale(locale.LC_ALL, ''); print(locale.setlocale(locale.LC_ALL))";
    let mut python = Command::new("python3");
    let expected = stdout_of(python.args(["-c", script]).env_remove("LC_ALL").envs(environment));
    assert!(expected.starts_with("LC_CTYPE=C.UTF-8;LC_NUMERIC=C;"), "{expected}");
    assert_eq!(locale_line(&machine, &environment), format!("LC_ALL: {expected}"));
}

#[test]
fn a_locale_that_is_not_installed_shows_as_c() {
    let (machine, _telemd) = running();
    assert_eq!(locale_line(&machine, &[("LC_ALL", "xx_XX.UTF-8")]), "LC_ALL: C\n");
}

#[test]
fn the_uptime_is_in_whole_seconds() {
    let (machine, _telemd) = running();
    let uptime = || -> u64 {
        let text = fs::read_to_string("/proc/uptime").unwrap();
        text.split('.').next().unwrap().parse().unwrap()
    };
    let before = uptime();
    let payload = sent_payload(&machine, &["--uptime"]);
    let line = payload.strip_prefix("hello\nuptime: ").and_then(|rest| rest.strip_suffix('\n')).expect(&payload);
    // The kernel rounds up here.
    assert!((before..=uptime() + 1).contains(&line.parse().unwrap()), "{line}");
}

#[test]
fn bundles_are_counted_and_listed_by_name_without_hidden_ones() {
    let (machine, _telemd) = running_with(&["os-core", "editors", ".hidden", "c-basic", "os-core-update", "Zebra"]);
    let expected = "hello\n\nBundles (5):\nZebra\nc-basic\neditors\nos-core\nos-core-update\n";
    assert_eq!(sent_payload(&machine, &["-b"]), expected);
    assert_eq!(sent_payload(&machine, &["--bundles"]), expected);
}

#[test]
fn no_bundles_are_a_list_of_none() {
    let (machine, _telemd) = running();
    fs::create_dir_all(machine.sandbox.path("/var/share/clear/bundles")).unwrap();
    assert_eq!(sent_payload(&machine, &["-b"]), "hello\n\nBundles (0):\n");
}

/// P1: one byte that is not ASCII lost the record.
#[test]
fn p1_bytes_that_are_no_printable_ascii_become_question_marks() {
    let (machine, _telemd) = running_with(&["caf\u{e9}", "two\nlines", "tab\there"]);
    assert_eq!(sent_payload(&machine, &["-b"]), "hello\n\nBundles (3):\ncaf??\ntab?here\ntwo?lines\n");
}

#[test]
fn a_long_list_of_bundles_is_cut_to_8191_bytes_that_end_in_three_dots() {
    let names: Vec<String> = (0..500).map(|number| format!("bundle-with-a-long-name-{number:04}")).collect();
    let (machine, _telemd) = running_with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let whole = format!("hello\n\nBundles (500):\n{}\n", names.join("\n"));
    let payload = sent_payload(&machine, &["-b"]);
    assert_eq!(payload.len(), 8191);
    assert_eq!(payload, format!("{}\n...", &whole[..8187]));
}

#[test]
fn a_directory_of_bundles_that_cannot_be_read_is_an_error_and_nothing_is_sent() {
    let (machine, _telemd) = running();
    let ran = run(&mut hprobe(&machine.sandbox, &["-b"]));
    assert_eq!(ran, Ran::badly("ERROR: scandir failed: No such file or directory"));
    machine.sandbox.write("/var/share/clear/bundles", "a file");
    let ran = run(&mut hprobe(&machine.sandbox, &["-Hlub"]));
    assert_eq!(ran, Ran::badly("ERROR: scandir failed: Not a directory"));
    assert_eq!(sent_payload(&machine, &[]), "hello\n", "the first record that arrives");
}

#[test]
fn the_parts_have_one_order_whatever_that_of_the_options() {
    let (machine, _telemd) = running_with(&["editors"]);
    for arguments in [["-b", "-u", "-l"].as_slice(), &["-lub"], &["--bundles", "--locale", "--uptime", "-H"]] {
        let payload = sent_payload(&machine, arguments);
        let lines: Vec<&str> = payload.lines().collect();
        assert_eq!(lines[..2], ["hello", "LC_ALL: C"], "{arguments:?}");
        assert!(lines[2].starts_with("uptime: "), "{arguments:?}");
        assert_eq!(lines[3..], ["", "Bundles (1):", "editors"], "{arguments:?}");
    }
}

/// P2: consent is looked at before anything else is.
#[test]
fn p2_without_consent_nothing_is_looked_at() {
    let sandbox = Sandbox::new();
    assert_eq!(run(&mut hprobe(&sandbox, &["-Hlub"])), Ran::badly(NOT_OPTED_IN));
    let directory = TempDir::new().unwrap();
    let trace = directory.path().join("trace");
    let mut strace = sandbox.command("strace");
    strace.args(["-f", "-e", "trace=file,socket", "-o"]).arg(&trace).args(["/usr/local/bin/hprobe", "-b"]);
    assert_eq!(run(&mut strace).status, 1);
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("/etc/telemetrics/opt-in"), "{trace}");
    assert!(!trace.contains("bundles") && !trace.contains("socket("), "{trace}");
}

/// T16, for this probe.
#[test]
fn t16_hprobe_tells_no_consent_from_no_daemon() {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    drop(UnixListener::bind(sandbox.path("/run/telem-0")).unwrap());
    let ran = run(&mut hprobe(&sandbox, &[]));
    assert_eq!(
        ran,
        Ran::badly(
            "Failed to send record to daemon: Connection refused\n\
             No record was sent: no daemon listens on its socket. Start the daemon by 'telemctl start'."
        )
    );
}

/// T17, for this probe.
#[test]
fn t17_hprobe_says_that_a_record_cannot_be_created_and_does_not_crash() {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    let directory = TempDir::new().unwrap();
    let ran = run(without_random_numbers(&mut hprobe(&sandbox, &["-Hlu"]), directory.path()));
    assert_eq!(
        ran,
        Ran::badly(
            "Failed to create record: Operation not permitted\n\
             No record was sent: the system has no random numbers. \
             Make getrandom(2) or /dev/urandom available to the process."
        )
    );
}
