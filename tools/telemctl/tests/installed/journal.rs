//! The journal: its rows, its filters, and that it is only read.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::operator::{Done, Operator, is_root};

const RECORD: &str = "a19a0d41ba16788881e274b19b8a1be4";
const EVENT: &str = "5de9de8d5f3c6a7d445d75ba01cc3322";
const BOOT: &str = "60c014cd-4693-40f1-b334-548cd932949b";
const HELLO: [&str; 5] = [RECORD, "1522691281", "org.clearlinux/hello/world", EVENT, BOOT];
const HEADER: &str = concat!(
    "Classification                 Time stamp                  Record ID                        ",
    "Event ID                         Boot ID                             \n"
);
const ROW: &str = concat!(
    "org.clearlinux/hello/world     Mon 2018-04-02 17:48:01 UTC a19a0d41ba16788881e274b19b8a1be4 ",
    "5de9de8d5f3c6a7d445d75ba01cc3322 60c014cd-4693-40f1-b334-548cd932949b\n"
);

fn with_lines(lines: &[[&str; 5]]) -> Operator {
    let operator = Operator::new();
    operator.write_journal(lines);
    operator
}

/// Both programs must do the same.
fn both(operator: &Operator, arguments: &[&str]) -> Done {
    let direct = operator.telem_journal(arguments);
    let done = operator.telemctl(&[["journal"].as_slice(), arguments].concat());
    assert_eq!(direct.all(), done.all());
    done
}

/// The record ids of the rows.
fn ids(operator: &Operator, arguments: &[&str]) -> Vec<String> {
    let done = both(operator, arguments);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{arguments:?}");
    let id = |row: &str| row.split_whitespace().nth(5).unwrap().to_owned();
    done.stdout.lines().map(id).collect()
}

#[test]
fn the_row_the_header_and_the_total_have_their_columns() {
    let operator = with_lines(&[HELLO]);
    assert_eq!(both(&operator, &[]).all(), (0, ROW, ""));
    let expected = format!("{HEADER}{ROW}Total records: 1\n");
    for verbose in ["-V", "--verbose", "--verb"] {
        assert_eq!(both(&operator, &[verbose]).all(), (0, expected.as_str(), ""));
    }
}

#[test]
fn the_issues_example_prints_header_row_payload_and_total() {
    let operator = with_lines(&[HELLO]);
    operator.machine.sandbox.write(&format!("/var/log/telemetry/records/{RECORD}"), "hello\n\n\n");
    let done = operator.telemctl(&["journal", "-V", "-c", "org.clearlinux/hello/world", "-i"]);
    assert_eq!(done.all(), (0, format!("{HEADER}{ROW}hello\n\n\nTotal records: 1\n").as_str(), ""));
}

#[test]
fn times_are_those_of_the_local_zone_in_the_c_locale() {
    let operator = with_lines(&[HELLO]);
    for (zone, expected) in [
        ("Europe/Berlin", "Mon 2018-04-02 19:48:01 CEST"),
        ("America/New_York", "Mon 2018-04-02 13:48:01 EDT"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "Mon 2018-04-02 19:48:01 CEST"),
        (":Asia/Tokyo", "Tue 2018-04-03 02:48:01 JST"),
        ("", "Mon 2018-04-02 17:48:01 UTC"),
        ("UTC", "Mon 2018-04-02 17:48:01 UTC"),
    ] {
        let mut command = operator.command("/usr/local/bin/telem_journal");
        let output = command.env("TZ", zone).env("LC_ALL", "de_DE.UTF-8").output().unwrap();
        let row = String::from_utf8(output.stdout).unwrap();
        assert_eq!(row, ROW.replace("Mon 2018-04-02 17:48:01 UTC", expected), "{zone}");
    }
}

#[test]
fn a_long_class_is_never_cut_and_nothing_is_padded_behind_it() {
    let class = "org.clearlinux.a.long.namespace/with/a.long.detail";
    let operator = with_lines(&[[RECORD, "0", class, EVENT, BOOT]]);
    let expected = format!("{class} Thu 1970-01-01 00:00:00 UTC {RECORD} {EVENT} {BOOT}\n");
    assert_eq!(both(&operator, &[]).all(), (0, expected.as_str(), ""));
}

#[test]
fn filters_are_joined_by_and_and_compare_exactly() {
    let operator = with_lines(&[
        ["r1", "1", "a/b/c", "e1", "b1"],
        ["r2", "2", "a/bc/d", "e1", "b2"],
        ["r3", "3", "a/b/d", "e2", "b2"],
        ["r4", "4", "A/b/c", "E1", "b2"],
    ]);
    for (arguments, expected) in [
        (vec![], vec!["r1", "r2", "r3", "r4"]),
        (vec!["-r", "r2"], vec!["r2"]),
        (vec!["-e", "e1"], vec!["r1", "r2"]),
        (vec!["--event_id=e1", "-b", "b2"], vec!["r2"]),
        (vec!["-c", "a/b/c"], vec!["r1"]),
        (vec!["-c", "a/b/*"], vec!["r1", "r3"]),
        (vec!["-c", "a/*"], vec!["r1", "r2", "r3"]),
        (vec!["-c", "a/b*"], vec![]),
        (vec!["-c", "a/*", "-e", "e2", "-b", "b2"], vec!["r3"]),
        (vec!["-e", "e2", "-e", "e1"], vec!["r1", "r2"]),
        (vec!["-r", "impossible\nvalue"], vec![]),
        (vec!["ignored", "-r", "r1", "ignored"], vec!["r1"]),
        (vec!["--rec", "r1"], vec!["r1"]),
        (vec!["--record-id", "r1"], vec!["r1"]),
        (vec!["-r", "-V"], vec![]),
    ] {
        assert_eq!(ids(&operator, &arguments), expected, "{arguments:?}");
    }
}

#[test]
fn d31_a_filter_of_any_length_is_no_error() {
    let operator = with_lines(&[HELLO]);
    for class in ["", "*", "/", "a", "/*"] {
        assert_eq!(both(&operator, &["-c", class]).all(), (0, "", ""), "{class:?}");
    }
}

#[test]
fn t1_arguments_reach_the_reader_as_they_are_and_its_status_comes_back() {
    let operator = with_lines(&[HELLO]);
    // What a shell would expand, split, or run.
    operator.machine.sandbox.write("/run/org.clearlinux/hello", "");
    operator.machine.sandbox.write("/run/org.clearlinux/other", "");
    let mut command = operator.command("sh");
    let output = command.args(["-c", "cd /run && telemctl journal -c 'org.clearlinux/*'"]).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()), (Some(0), ROW));
    for class in ["a b/c", "x; touch /run/hacked", "$(touch /run/hacked)", "`touch /run/hacked`"] {
        assert_eq!(operator.telemctl(&["journal", "-c", class]).all(), (0, "", ""));
    }
    assert!(!operator.path("/run/hacked").exists());
    assert_eq!(operator.telemctl(&["journal", "-z"]).status, 1);
    fs::remove_file(operator.path("/var/log/telemetry/journal")).unwrap();
    fs::create_dir(operator.path("/var/log/telemetry/journal")).unwrap();
    assert_eq!(operator.telemctl(&["journal"]).status, 1);
}

#[test]
fn t5_a_missing_journal_has_no_rows_and_is_not_made() {
    let operator = Operator::new();
    assert_eq!(both(&operator, &[]).all(), (0, "", ""));
    assert_eq!(both(&operator, &["-V"]).all(), (0, format!("{HEADER}Total records: 0\n").as_str(), ""));
    fs::remove_dir_all(operator.path("/var/log/telemetry")).unwrap();
    assert_eq!(both(&operator, &[]).all(), (0, "", ""));
    assert!(!operator.path("/var/log/telemetry").exists());
}

#[test]
fn d22_who_may_read_the_journal_and_not_write_it_reads_it_and_leaves_it_as_it_is() {
    let operator = with_lines(&[HELLO]);
    let journal = operator.path("/var/log/telemetry/journal");
    fs::set_permissions(operator.path("/var/log/telemetry"), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&journal, Permissions::from_mode(0o444)).unwrap();
    let before = fs::metadata(&journal).unwrap().modified().unwrap();
    let done = operator.as_nobody("/usr/local/bin/telem_journal", &[]);
    assert_eq!(done.all(), (0, ROW, ""), "no root check of its own");
    assert_eq!(fs::metadata(&journal).unwrap().modified().unwrap(), before);
}

#[test]
fn a_journal_that_cannot_be_opened_is_an_error_without_output() {
    let operator = with_lines(&[HELLO]);
    let message = |reason: &str| format!("ERROR: Error while opening journal file: {reason}\nUnable to open journal\n");
    if is_root() {
        fs::set_permissions(operator.path("/var/log/telemetry/journal"), Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(operator.path("/var/log/telemetry"), Permissions::from_mode(0o755)).unwrap();
        let done = operator.as_nobody("/usr/local/bin/telem_journal", &["-V"]);
        assert_eq!(done.all(), (1, "", message("Permission denied").as_str()));
    }
    fs::remove_file(operator.path("/var/log/telemetry/journal")).unwrap();
    fs::create_dir(operator.path("/var/log/telemetry/journal")).unwrap();
    assert_eq!(both(&operator, &["-V"]).all(), (1, "", message("Is a directory").as_str()));
}

#[test]
fn lines_with_too_few_fields_are_skipped_and_more_are_ignored() {
    let operator = Operator::new();
    let line = HELLO.join("\x1e");
    let text = format!("\n\x1e\x1e\nshort\x1e1\x1ea/b/c\x1ee\n{line}\x1emore\x1eand more\n\n{line}");
    operator.machine.sandbox.write("/var/log/telemetry/journal", text);
    assert_eq!(both(&operator, &[]).all(), (0, format!("{ROW}{ROW}").as_str(), ""), "the last has no newline");
}

#[test]
fn only_the_last_hundred_lines_are_looked_at() {
    let ids: Vec<String> = (0..150).map(|number| format!("r{number}")).collect();
    let lines: Vec<[&str; 5]> = ids.iter().map(|id| [id.as_str(), "1", "a/b/c", "e", "b"]).collect();
    let operator = with_lines(&lines);
    let shown = self::ids(&operator, &[]);
    assert_eq!((shown.len(), shown[0].as_str(), shown[99].as_str()), (100, "r50", "r149"));
    assert!(self::ids(&operator, &["-r", "r49"]).is_empty(), "before filtering");
}

#[test]
fn bad_options_are_named_as_getopt_names_them_before_the_usage() {
    let operator = with_lines(&[HELLO]);
    for (arguments, message) in [
        (vec!["-z"], "invalid option -- 'z'"),
        (vec!["-Vz"], "invalid option -- 'z'"),
        (vec!["--bogus"], "unrecognized option '--bogus'"),
        (vec!["-r"], "option requires an argument -- 'r'"),
        (vec!["--boot_id"], "option '--boot_id' requires an argument"),
        (vec!["-z", "-h"], "invalid option -- 'z'"),
    ] {
        let done = operator.telem_journal(&arguments);
        assert_eq!((done.status, done.stderr), (1, format!("/usr/local/bin/telem_journal: {message}\n")));
        assert!(done.stdout.contains("Usage: "), "{arguments:?}");
        let done = operator.telemctl(&[["journal"].as_slice(), &arguments].concat());
        assert_eq!((done.status, done.stderr), (1, format!("/usr/local/bin/telemctl journal: {message}\n")));
    }
    for help in [vec!["-h"], vec!["--help"], vec!["-h", "-z"], vec!["-Vh"]] {
        let done = operator.telem_journal(&help);
        assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{help:?}");
        assert!(done.stdout.contains("Usage: ") && !done.stdout.contains("hello/world"), "{help:?}");
    }
}

#[test]
fn a_payload_is_printed_as_it_is_and_a_missing_one_not_at_all() {
    let other = "b19a0d41ba16788881e274b19b8a1be4";
    let operator = with_lines(&[HELLO, [other, "1522691281", "org.clearlinux/hello/world", EVENT, BOOT]]);
    operator.machine.sandbox.write(&format!("/var/log/telemetry/records/{other}"), b"\x1b[1mbytes \xff\r\n\n");
    let mut command = operator.command("/usr/local/bin/telem_journal");
    let output = command.arg("--include_record").output().unwrap();
    let expected = [ROW.as_bytes(), ROW.replace(RECORD, other).as_bytes(), b"\x1b[1mbytes \xff\r\n\n"].concat();
    assert_eq!((output.status.code(), output.stdout), (Some(0), expected));
}

#[test]
fn a_record_id_that_leads_elsewhere_prints_no_other_file() {
    let operator = with_lines(&[["../../../../etc/passwd", "1", "a/b/c", EVENT, BOOT]]);
    let done = both(&operator, &["-i"]);
    assert_eq!((done.status, done.stdout.lines().count()), (0, 1), "{done:?}");
}

#[test]
fn rows_can_be_json_objects() {
    let operator = with_lines(&[HELLO, ["r2", "1522691282", "a/\"b\"/c", "e", "b"]]);
    operator.machine.sandbox.write(&format!("/var/log/telemetry/records/{RECORD}"), "hello\n\n\n");
    let done = both(&operator, &["--json", "-i", "-V"]);
    let rows: Vec<serde_json::Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = serde_json::json!({
        "record_id": RECORD, "timestamp": 1_522_691_281, "time": "2018-04-02T17:48:01Z",
        "classification": "org.clearlinux/hello/world", "event_id": EVENT, "boot_id": BOOT, "payload": "hello\n\n\n",
    });
    assert_eq!((rows.len(), &rows[0], rows[1]["classification"].as_str()), (2, &expected, Some("a/\"b\"/c")));
}

#[test]
fn rows_can_be_chosen_by_time() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ago = |seconds: u64| (now - seconds).to_string();
    let times = [ago(10_000), ago(5_000), ago(10)];
    let operator = with_lines(&[
        ["r0", "1522691281", "a/b/c", "e", "b"],
        ["r1", &times[0], "a/b/c", "e", "b"],
        ["r2", &times[1], "a/b/c", "e", "b"],
        ["r3", &times[2], "a/b/c", "e", "b"],
    ]);
    for (arguments, expected) in [
        (vec!["--since", "-2h"], vec!["r2", "r3"]),
        (vec!["--since=-2h", "--until", "-1m"], vec!["r2"]),
        (vec!["--until", "2018-04-02T17:48:02Z"], vec!["r0"]),
        (vec!["--until", "2018-04-02T17:48:01Z"], vec![]),
        (vec!["--since", "2018-04-02T19:48:01+02:00", "--until", "2018-04-03T00:00:00Z"], vec!["r0"]),
    ] {
        assert_eq!(ids(&operator, &arguments), expected, "{arguments:?}");
    }
    let done = operator.telem_journal(&["--since", "soon"]);
    let message = "/usr/local/bin/telem_journal: \"soon\" is neither a time";
    assert!(done.status == 1 && done.stderr.starts_with(message), "{done:?}");
}

#[test]
fn following_prints_each_record_once_when_it_comes_also_across_a_cut() {
    let operator = with_lines(&[["r0", "1", "a/b/c", "e", "b"], ["r1", "1", "a/b/c", "other", "b"]]);
    let mut command = operator.command("/usr/local/bin/telem_journal");
    let mut child = command.args(["--follow", "-e", "e"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut rows = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || rows.next().unwrap().unwrap().split_whitespace().nth(5).unwrap().to_owned();
    assert_eq!(next(), "r0");
    let path = operator.path("/var/log/telemetry/journal");
    let append = |text: &str| {
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append("r2\x1e1\x1ea/b/c\x1ee\x1eb\nr3\x1e1\x1ea/b");
    assert_eq!(next(), "r2");
    append("/c\x1ee\x1eb\n");
    assert_eq!(next(), "r3");
    // As telemd cuts it back: under another name first.
    let cut = operator.path("/var/log/telemetry/.journal");
    fs::write(&cut, "r3\x1e1\x1ea/b/c\x1ee\x1eb\n").unwrap();
    fs::rename(&cut, &path).unwrap();
    append("r4\x1e1\x1ea/b/c\x1ee\x1eb\n");
    assert_eq!(next(), "r4");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn following_ends_at_the_given_time() {
    let operator = with_lines(&[HELLO]);
    let done = operator.telem_journal(&["--follow", "--until", "2018-04-03T00:00:00Z"]);
    assert_eq!(done.all(), (0, ROW, ""));
}

#[test]
fn a_reader_that_leaves_ends_the_program_without_a_word() {
    let ids: Vec<String> = (0..100).map(|number| format!("r{number}")).collect();
    let class = "a/b/".to_owned() + &"c".repeat(2000);
    let lines: Vec<[&str; 5]> = ids.iter().map(|id| [id.as_str(), "1", class.as_str(), "e", "b"]).collect();
    let operator = with_lines(&lines);
    let mut command = operator.command("/usr/local/bin/telem_journal");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(141), ""));
}

#[test]
fn what_is_no_file_of_its_own_is_not_read_as_a_journal_or_a_copy() {
    let operator = with_lines(&[HELLO]);
    operator.machine.sandbox.write("/etc/secret", "secret\n");
    std::os::unix::fs::symlink("/etc/secret", operator.path(&format!("/var/log/telemetry/records/{RECORD}"))).unwrap();
    assert_eq!(both(&operator, &["-i"]).all(), (0, ROW, ""), "a copy that leads elsewhere is none");

    let journal = operator.path("/var/log/telemetry/journal");
    fs::rename(&journal, operator.path("/var/log/moved")).unwrap();
    std::os::unix::fs::symlink("/var/log/moved", &journal).unwrap();
    let done = both(&operator, &[]);
    assert!(
        done.status == 1 && done.stdout.is_empty() && done.stderr.ends_with("Unable to open journal\n"),
        "{done:?}"
    );
    fs::remove_file(&journal).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&journal).status().unwrap().success());
    assert_eq!(both(&operator, &[]).status, 1, "and nobody waits");
}
