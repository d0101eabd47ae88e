//! `spool` and `rejected`: records that wait, and records that no server took.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use libtelemetry_acceptance::machine::frame;
use sandbox::wait_until;
use serde_json::Value;

use crate::operator::{Operator, is_root};

const RECORD: &str = include_str!("../../../../telemd/tests/data/spool-file-of-the-c-daemon");
const FIRST: &str = "01700000001000000000-c-1000-0000000a";
const SECOND: &str = "01700000000000000000-o-0-0000000b";

/// Two records wait, and things that are none.
fn waiting() -> Operator {
    let operator = Operator::new();
    let sandbox = &operator.machine.sandbox;
    sandbox.write(&format!("/var/spool/telemetry/{SECOND}"), RECORD);
    sandbox.write(&format!("/var/spool/telemetry/{FIRST}"), RECORD.replace("severity: 2", "severity: 4"));
    sandbox.write("/var/spool/telemetry/.new-half", "half");
    sandbox.write("/var/precious", RECORD);
    symlink("/var/precious", operator.path("/var/spool/telemetry/link")).unwrap();
    fs::create_dir(operator.path("/var/spool/telemetry/directory")).unwrap();
    operator
}

#[test]
fn the_list_is_in_the_order_of_delivery() {
    let done = waiting().telemctl(&["spool", "list"]);
    let expected = format!(
        "Arrived                     Severity       User  Bytes Classification                 Id\n\
         Tue 2023-11-14 22:13:21 UTC        4       1000    {0} org.example/demo/ping          {FIRST}\n\
         Tue 2023-11-14 22:13:20 UTC        2          0    {0} org.example/demo/ping          {SECOND}\n\
         Total records: 2\n",
        RECORD.len()
    );
    assert_eq!(done.all(), (0, expected.as_str(), ""));
}

#[test]
fn the_list_can_be_json_objects_with_the_id_that_the_server_sees() {
    let operator = waiting();
    let done = operator.telemctl(&["spool", "list", "--json"]);
    let rows: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0]["id"].as_str(), rows[0]["uid"].as_u64()), (Some(FIRST), Some(1000)));
    assert_eq!(rows[1]["event_id"], "0123456789abcdef0123456789abcdef");
    assert_eq!(rows[1]["arrival"], "2023-11-14T22:13:20Z");

    // Not so old that they expire.
    operator
        .machine
        .sandbox
        .configure(&format!("server={}\nrecord_expiry=999999999", operator.machine.collector.url()));
    let _telemd = operator.machine.sandbox.start_telemd();
    let mut sent = [operator.machine.receive(), operator.machine.receive()].map(|r| r.header("x-telemetry-record-id"));
    let mut listed = [&rows[0], &rows[1]].map(|row| row["record_id"].as_str().map(str::to_owned));
    sent.sort();
    listed.sort();
    assert_eq!(sent, listed);
}

#[test]
fn a_record_is_shown_as_it_waits_by_any_part_of_its_id() {
    let operator = waiting();
    for id in [SECOND, "0000000b", "o-0-"] {
        assert_eq!(operator.telemctl(&["spool", "show", id]).all(), (0, RECORD, ""), "{id}");
    }
    for (id, reason) in [("0170000000", "several records"), ("nothing", "no such record"), ("link", "no such record")] {
        let done = operator.telemctl(&["spool", "show", id]);
        assert!(done.status == 1 && done.stdout.is_empty() && done.stderr.contains(reason), "{done:?}");
    }
    assert_eq!(operator.telemctl(&["spool", "show"]).status, 2);
}

#[test]
fn a_terminal_is_not_told_what_to_do_by_a_record() {
    let operator = waiting();
    operator.machine.sandbox.write(&format!("/var/spool/telemetry/{SECOND}"), format!("{RECORD}\x1b[2Jevil"));
    let mut command = operator.command("/usr/bin/script");
    let shown = command.args(["-qec", "/usr/local/bin/telemctl spool show 0000000b", "/dev/null"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("\\u{1b}[2Jevil") && !shown.contains('\x1b'), "{shown:?}");
}

#[test]
fn purging_deletes_the_records_and_nothing_else() {
    let operator = waiting();
    assert_eq!(operator.telemctl(&["spool", "purge"]).all(), (0, "Records deleted: 2\n", ""));
    let mut left: Vec<_> =
        fs::read_dir(operator.path("/var/spool/telemetry")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".new-half", "directory", "link"]);
    assert_eq!(fs::read_to_string(operator.path("/var/precious")).unwrap(), RECORD);
    assert_eq!(operator.telemctl(&["spool", "purge"]).all(), (0, "Records deleted: 0\n", ""));
}

#[test]
fn purging_under_a_running_telemd_does_not_disturb_it() {
    let operator = Operator::new();
    operator.machine.collector.answer_with(503);
    let _telemd = operator.machine.sandbox.start_telemd();
    for _ in 0..5 {
        assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"old")]), Some(0));
    }
    operator.machine.receive();
    assert_eq!(operator.telemctl(&["spool", "purge"]).all(), (0, "Records deleted: 5\n", ""));
    operator.machine.collector.answer_with(201);
    assert_eq!(operator.machine.status_of(&[&frame("a/b/c", b"new")]), Some(0));
    wait_until("the new record arrives", || {
        operator.machine.collector.received().try_iter().any(|received| received.body == b"new\n")
    });
    wait_until("nothing waits", || operator.machine.spool().is_empty());
}

/// A machine whose server rejected two records.
fn rejected() -> (Operator, sandbox::Telemd) {
    let operator = Operator::new();
    operator.machine.collector.answer_with(400);
    let telemd = operator.machine.sandbox.start_telemd();
    for payload in [b"one", b"two"] {
        assert_eq!(operator.machine.status_of(&[&frame("a/b/c", payload)]), Some(0));
        operator.machine.receive();
    }
    wait_until("both are set aside", || {
        // Each with its reason.
        fs::read_dir(operator.path("/var/spool/rejected")).is_ok_and(|entries| entries.count() == 4)
    });
    (operator, telemd)
}

fn rejected_ids(operator: &Operator) -> Vec<String> {
    let done = operator.telemctl(&["rejected", "list", "--json"]);
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    done.stdout.lines().map(id).collect()
}

#[test]
fn rejected_records_are_listed_shown_and_purged() {
    let (operator, _telemd) = rejected();
    let ids = rejected_ids(&operator);
    assert_eq!(ids.len(), 2);
    let done = operator.telemctl(&["rejected", "list"]);
    assert!(done.stdout.contains(" a/b/c ") && done.stdout.ends_with("Total records: 2\n"), "{done:?}");
    let done = operator.telemctl(&["rejected", "show", &ids[0]]);
    assert!(done.status == 0 && done.stdout.ends_with("event_id: 0123456789abcdef0123456789abcdef\none\n"), "{done:?}");
    assert!(done.stderr.starts_with("rejected at ") && done.stderr.contains("the server answered 400"), "{done:?}");
    assert_eq!(operator.telemctl(&["rejected", "purge"]).all(), (0, "Records deleted: 2\n", ""));
    assert!(rejected_ids(&operator).is_empty());
    let left = fs::read_dir(operator.path("/var/spool/rejected")).unwrap().count();
    assert_eq!(left, 0, "reasons go with their records");
}

#[test]
fn the_list_of_rejected_records_says_why_and_when() {
    let (operator, _telemd) = rejected();
    let done = operator.telemctl(&["rejected", "list"]);
    let rows: Vec<&str> = done.stdout.lines().collect();
    assert!(rows[0].ends_with(" Reason"), "{done:?}");
    let column = rows[0].find("Reason").unwrap();
    for row in &rows[1..3] {
        assert_eq!(&row[column..], "the server answered 400 Bad Request", "{done:?}");
    }
    let done = operator.telemctl(&["rejected", "list", "--json"]);
    let row: Value = serde_json::from_str(done.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(row["rejected_because"], "the server answered 400 Bad Request");
    assert!(row["rejected_at"].as_str().unwrap().ends_with('Z') && row["severity"] == 1, "{row}");
}

#[test]
fn a_retried_record_is_delivered_although_it_is_old_and_the_other_stays() {
    let (operator, telemd) = rejected();
    telemd.terminate();
    // They were rejected long before record_expiry.
    let ids = rejected_ids(&operator);
    let old = format!("01700000000000000000-{}", ids[0].split_once('-').unwrap().1);
    let path = |id: &str| operator.path(&format!("/var/spool/rejected/{id}"));
    fs::rename(path(&ids[0]), path(&old)).unwrap();

    let done = operator.telemctl(&["rejected", "retry", &old]);
    let expected = "Records put into the spool again: 1. A telemd that runs finds them within 120 seconds.\n";
    assert_eq!(done.all(), (0, expected, ""));
    operator.machine.collector.answer_with(201);
    let _telemd = operator.machine.sandbox.start_telemd();
    assert_eq!(operator.machine.receive().body, b"one\n");
    assert_eq!(rejected_ids(&operator), ids[1..]);
    let left = fs::read_dir(operator.path("/var/spool/rejected")).unwrap().count();
    assert_eq!(left, 3, "one record and its reason; and that of a file which the test renamed");
}

#[test]
fn all_rejected_records_are_retried_if_none_is_named_and_files_of_the_c_daemons_are_new_again() {
    let operator = Operator::new();
    let sandbox = &operator.machine.sandbox;
    sandbox.write(&format!("/var/spool/rejected/{SECOND}"), RECORD);
    sandbox.write("/var/spool/rejected/aB3xY9", RECORD);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    fs::File::open(operator.path("/var/spool/rejected/aB3xY9")).unwrap().set_modified(old).unwrap();
    let done = operator.telemctl(&["rejected", "retry"]);
    assert!(done.status == 0 && done.stdout.starts_with("Records put into the spool again: 2."), "{done:?}");
    let _telemd = operator.machine.sandbox.start_telemd();
    for _ in 0..2 {
        assert_eq!(operator.machine.receive().body, b"ping\n");
    }
}

#[test]
fn an_unknown_record_is_not_retried() {
    let operator = Operator::new();
    operator.machine.sandbox.write(&format!("/var/spool/rejected/{SECOND}"), RECORD);
    let done = operator.telemctl(&["rejected", "retry", SECOND, "nothing"]);
    assert!(done.status == 1 && done.stderr.contains("no such record"), "{done:?}");
    assert_eq!(rejected_ids(&operator), [SECOND], "all or none");
}

#[test]
fn a_file_that_is_no_record_is_listed_with_the_reason() {
    let operator = Operator::new();
    operator.machine.sandbox.write("/var/spool/rejected/aB3xY9", "\x1b[2Jno record\n");
    let done = operator.telemctl(&["rejected", "list"]);
    assert!(done.stdout.contains("(no record: expected a line `record_format_version: value`)"), "{done:?}");
    let done = operator.telemctl(&["rejected", "list", "--json"]);
    let row: Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(row["problem"].as_str().unwrap().contains("record_format_version") && row["severity"].is_null());
}

#[test]
fn what_must_not_be_read_is_named_with_the_remedy() {
    if !is_root() {
        return; // There is no other user.
    }
    let operator = waiting();
    fs::set_permissions(operator.path("/var/spool/telemetry"), Permissions::from_mode(0o750)).unwrap();
    for arguments in [vec!["spool", "list"], vec!["spool", "show", SECOND], vec!["spool", "purge"]] {
        let done = operator.telemctl_as_nobody(&arguments);
        let expected = "/var/spool/telemetry: Permission denied (os error 13); run this command as root\n";
        assert_eq!((done.status, done.stderr.as_str()), (1, expected), "{arguments:?}");
    }
    assert_eq!(operator.telemctl(&["spool", "list"]).stdout.lines().count(), 4);
}

#[test]
fn a_machine_that_has_no_records_has_empty_lists() {
    let operator = Operator::new();
    fs::remove_dir(operator.path("/var/spool/telemetry")).unwrap();
    for what in ["spool", "rejected"] {
        let done = operator.telemctl(&[what, "list"]);
        assert!(done.status == 0 && done.stdout.ends_with("Total records: 0\n"), "{done:?}");
        assert_eq!(operator.telemctl(&[what, "list", "--json"]).all(), (0, "", ""));
        assert_eq!(operator.telemctl(&[what, "purge"]).all(), (0, "Records deleted: 0\n", ""));
    }
}

#[test]
fn one_bad_file_ends_no_list_and_has_a_row() {
    let operator = Operator::new();
    let sandbox = &operator.machine.sandbox;
    sandbox.write(&format!("/var/spool/rejected/{FIRST}"), vec![b'a'; 1 << 20]);
    sandbox.write(&format!("/var/spool/rejected/{SECOND}"), RECORD);
    let done = operator.telemctl(&["rejected", "list"]);
    assert!(done.status == 0 && done.stdout.contains("1048576 (no record: file too large)"), "{done:?}");
    assert!(done.stdout.contains(" org.example/demo/ping ") && done.stdout.ends_with("Total records: 2\n"), "{done:?}");
    assert_eq!(rejected_ids(&operator), [FIRST, SECOND]);
}

#[test]
fn one_bad_file_keeps_no_other_from_being_retried() {
    let mut operator = Operator::new();
    operator.machine.sandbox.write(&format!("/var/spool/rejected/{SECOND}"), RECORD);
    operator.machine.sandbox.write(&format!("/var/spool/rejected/{FIRST}"), RECORD);
    // A mounted file cannot be moved.
    operator.machine.sandbox.write("/run/mounted", RECORD);
    operator.machine.sandbox.mount("/run/mounted", &format!("/var/spool/rejected/{FIRST}"));
    let done = operator.telemctl(&["rejected", "retry"]);
    assert!(done.status == 1 && done.stdout.starts_with("Records put into the spool again: 1."), "{done:?}");
    assert!(done.stderr.starts_with(&format!("/var/spool/rejected/{FIRST}: ")), "{done:?}");
    assert_eq!((rejected_ids(&operator), operator.machine.spool().len()), (vec![FIRST.to_owned()], 1));
}

#[test]
fn json_on_a_terminal_has_no_control_characters() {
    let operator = waiting();
    operator.machine.sandbox.write("/var/spool/telemetry/a\u{9b}2J", RECORD);
    let mut command = operator.command("/usr/bin/script");
    let shown = command.args(["-qec", "/usr/local/bin/telemctl spool list --json", "/dev/null"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let rows: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() == 3 && !shown.contains('\u{9b}'), "{shown:?}");
}
