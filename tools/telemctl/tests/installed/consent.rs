//! Opting in and out.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use crate::operator::{NOBODY, Operator, TELEMETRY, is_root};

const OPT_IN: &str = "/etc/telemetrics/opt-in";
const RECORD: &str = include_str!("../../../../telemd/tests/data/spool-file-of-the-c-daemon");

/// A machine that has everything that is ever collected.
fn full() -> Operator {
    let operator = Operator::new();
    let sandbox = &operator.machine.sandbox;
    sandbox.write("/var/spool/telemetry/aB3xY9", RECORD);
    sandbox.write("/var/spool/telemetry/01700000000000000000-o-0-000000ab", RECORD);
    sandbox.write("/var/spool/rejected/01700000000000000000-o-0-000000ac", RECORD);
    sandbox.write("/var/log/telemetry/journal", "a line\n");
    sandbox.write("/var/log/telemetry/records/a19a0d41ba16788881e274b19b8a1be4", "hello\n\n");
    sandbox.write("/var/log/telemetry/records/b19a0d41ba16788881e274b19b8a1be4", "hello\n\n");
    sandbox.write("/var/log/telemetry/records/c19a0d41ba16788881e274b19b8a1be4", "hello\n\n");
    sandbox.write("/var/lib/telemetry/machine_id", "0123456789abcdef0123456789abcdef");
    sandbox.write("/var/cache/telemetry/pstore/dmesg/part", "panic");
    sandbox.write("/etc/telemetrics/opt-in-static-machine-id", "mine");
    sandbox.write("/etc/telemetrics/opt-in-no-privacy-filters", "");
    operator
}

fn has(operator: &Operator, path: &str) -> bool {
    operator.path(path).symlink_metadata().is_ok()
}

#[test]
fn opting_in_makes_the_file_and_says_what_that_means() {
    let operator = Operator::new();
    fs::remove_dir_all(operator.path("/etc/telemetrics")).unwrap();
    let done = operator.telemctl(&["opt-in"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    let file = fs::metadata(operator.path(OPT_IN)).unwrap();
    assert_eq!((file.len(), file.permissions().mode() & 0o777), (0, 0o644));
    for said in [
        "What is collected",
        "program writes into its payload is its own",
        "and the server sees the address",
        "Note: this is the default of the C project, and nobody here controls it",
        "Where it goes: https://",
        "telemctl preview",
        "telemctl start",
        "telemctl opt-out",
    ] {
        assert!(done.stdout.contains(said), "{said}: {}", done.stdout);
    }
}

#[test]
fn opting_in_names_the_server_of_the_configuration_or_says_that_nothing_leaves() {
    let operator = Operator::new();
    for (configuration, said) in [
        ("server=https://collector.example.org/", "Where it goes: https://collector.example.org/\n"),
        ("record_server_delivery_enabled=false", "Where it goes: nowhere: delivery is switched off"),
        ("record_expiry=abc", "telemetrics.conf:2: record_expiry: expected minutes"),
    ] {
        operator.machine.sandbox.configure(configuration);
        operator.machine.sandbox.opt_out();
        let done = operator.telemctl(&["opt-in"]);
        assert!(done.status == 0 && done.stdout.contains(said), "{done:?}");
        assert!(!done.stdout.contains("nobody here controls it"), "{done:?}");
    }
}

#[test]
fn t7_opting_in_starts_nothing() {
    let operator = Operator::new();
    operator.machine.sandbox.opt_out();
    assert_eq!(operator.telemctl(&["opt-in"]).status, 0);
    assert_eq!(operator.telemctl(&["is-active"]).status, 3);
    let operator = Operator::new().with_service_manager("exit 0");
    operator.machine.sandbox.opt_out();
    assert_eq!(operator.telemctl_with_scripts(&["opt-in"]).status, 0);
    assert!(operator.told().is_empty());
}

#[test]
fn who_is_opted_in_already_is_told_so() {
    let operator = Operator::new();
    assert_eq!(operator.telemctl(&["opt-in"]).all(), (0, "", "Already opted in. Nothing to do.\n"));
    fs::remove_file(operator.path(OPT_IN)).unwrap();
    fs::create_dir(operator.path(OPT_IN)).unwrap();
    assert_eq!(operator.telemctl(&["opt-in"]).all(), (0, "", "Already opted in. Nothing to do.\n"), "of any type");
}

#[test]
fn what_cannot_be_made_is_named() {
    let operator = Operator::new();
    fs::remove_dir_all(operator.path("/etc/telemetrics")).unwrap();
    operator.machine.sandbox.write("/etc/telemetrics", "a file");
    assert_eq!(operator.telemctl(&["opt-in"]).all(), (1, "", "Failed to create /etc/telemetrics\n"));
    fs::remove_file(operator.path("/etc/telemetrics")).unwrap();
    fs::create_dir(operator.path("/etc/telemetrics")).unwrap();
    symlink("/nonexistent/file", operator.path(OPT_IN)).unwrap();
    assert_eq!(operator.telemctl(&["opt-in"]).all(), (1, "", "Failed to create /etc/telemetrics/opt-in.\n"));
    assert!(!has(&operator, "/nonexistent"));
}

#[test]
fn opting_out_deletes_everything_that_was_collected_and_counts_the_records() {
    let operator = full();
    let done = operator.telemctl(&["opt-out"]);
    assert_eq!(done.all(), (0, "Removed 6 records: 2 waiting, 1 rejected, 3 kept copies.\n", ""));
    for gone in [
        OPT_IN,
        "/var/lib/telemetry",
        "/var/spool/telemetry",
        "/var/spool/rejected",
        "/var/log/telemetry",
        "/var/cache/telemetry",
    ] {
        assert!(!has(&operator, gone), "{gone}");
    }
    let mut kept: Vec<_> =
        fs::read_dir(operator.path("/etc/telemetrics")).unwrap().map(|e| e.unwrap().file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["opt-in-no-privacy-filters", "opt-in-static-machine-id", "telemetrics.conf"]);
    assert_eq!(operator.telemctl(&["opt-out"]).all(), (0, "", "Already opted out. Nothing to do.\n"));
}

#[test]
fn opting_out_again_deletes_what_an_interrupted_one_left_and_says_so() {
    let operator = full();
    operator.machine.sandbox.opt_out();
    let done = operator.telemctl(&["opt-out"]);
    let summary = "Removed 6 records: 2 waiting, 1 rejected, 3 kept copies.\n";
    assert_eq!(done.all(), (0, summary, "Already opted out. Deleting what was left.\n"));
    assert!(!has(&operator, "/var/spool/telemetry") && !has(&operator, "/var/lib/telemetry"));
    assert_eq!(operator.telemctl(&["opt-out"]).all(), (0, "", "Already opted out. Nothing to do.\n"));
}

#[test]
fn opting_out_again_finds_records_where_the_configuration_says() {
    let operator = Operator::new();
    operator.machine.sandbox.opt_out();
    assert_eq!(operator.telemctl(&["opt-out"]).all(), (0, "", "Already opted out. Nothing to do.\n"), "empty ones");
    assert!(has(&operator, "/var/spool/telemetry"), "nothing else happens");
    operator.machine.sandbox.configure("spool_dir=/var/mine/spool");
    operator.machine.sandbox.write("/var/mine/spool/aB3xY9", RECORD);
    assert_eq!(operator.telemctl(&["opt-out"]).stderr, "Already opted out. Deleting what was left.\n");
    assert!(!has(&operator, "/var/mine/spool/aB3xY9"));
}

#[test]
fn the_consent_is_there_for_everybody_whatever_the_umask() {
    let operator = Operator::new();
    fs::remove_dir_all(operator.path("/etc/telemetrics")).unwrap();
    let done = operator.command("/bin/sh").args(["-c", "umask 0277; /usr/local/bin/telemctl opt-in"]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let mode = |path: &str| fs::metadata(operator.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("/etc/telemetrics"), mode(OPT_IN)), (0o755, 0o644));
}

#[test]
fn the_consent_is_withdrawn_before_anything_is_stopped() {
    let operator = full().with_service_manager("[ -e /etc/telemetrics/opt-in ] && echo early >> /run/told; exit 0");
    let done = operator.telemctl_with_scripts(&["opt-out"]);
    assert_eq!(done.status, 0, "{done:?}");
    let told = operator.told();
    assert_eq!(told.len(), 9, "{told:?}");
    assert!(told.iter().all(|line| line.starts_with("systemctl [stop] ")), "{told:?}");
}

#[test]
fn a_unit_that_would_not_stop_is_a_failure_and_the_data_goes_all_the_same() {
    let operator = full().with_service_manager("[ $2 != hprobe.timer ]");
    let done = operator.telemctl_with_scripts(&["opt-out"]);
    assert_eq!((done.status, done.stderr.as_str()), (1, "Failed to stop hprobe.timer. Continuing...\n"));
    assert!(!has(&operator, "/var/spool/telemetry") && !has(&operator, OPT_IN));
}

#[test]
fn a_consent_that_cannot_be_removed_stops_everything() {
    let operator = full();
    fs::remove_file(operator.path(OPT_IN)).unwrap();
    fs::create_dir_all(operator.path(OPT_IN).join("not empty")).unwrap();
    let done = operator.telemctl(&["opt-out"]);
    assert_eq!(done.all(), (1, "", "Failed to remove /etc/telemetrics/opt-in.\n"));
    assert_eq!(operator.machine.spool().len(), 2);
}

#[test]
fn t6_a_directory_of_another_owner_stays_is_named_and_is_a_failure() {
    if !is_root() {
        return; // There is no other owner.
    }
    let operator = full();
    chown(operator.path("/var/lib/telemetry"), Some(0), Some(TELEMETRY)).unwrap();
    chown(operator.path("/var/cache/telemetry"), Some(TELEMETRY), Some(NOBODY)).unwrap();
    let done = operator.telemctl(&["opt-out"]);
    let expected = format!(
        "Not removing \"/var/lib/telemetry\": Incorrect folder owner \"root\"\n\
         Not removing \"/var/cache/telemetry\": Incorrect folder group \"{NOBODY}\"\n"
    );
    assert_eq!((done.status, done.stderr), (1, expected));
    assert!(has(&operator, "/var/lib/telemetry/machine_id"));
    assert!(!has(&operator, "/var/cache/telemetry/pstore"), "it is listed of its own, and passes");
    assert!(!has(&operator, "/var/log/telemetry") && !has(&operator, OPT_IN), "the others go");
}

#[test]
fn t6_files_of_any_owner_go_with_their_directory() {
    if !is_root() {
        return; // There is no other owner.
    }
    let operator = full();
    chown(operator.path("/var/lib/telemetry/machine_id"), Some(NOBODY), Some(0)).unwrap();
    chown(operator.path("/var/cache/telemetry/pstore/dmesg"), Some(0), Some(0)).unwrap();
    fs::set_permissions(operator.path("/var/cache/telemetry/pstore/dmesg"), Permissions::from_mode(0o0)).unwrap();
    assert_eq!(operator.telemctl(&["opt-out"]).status, 0);
    assert!(!has(&operator, "/var/lib/telemetry") && !has(&operator, "/var/cache/telemetry"));
}

#[test]
fn t6_only_listed_directories_of_telemetry_are_deleted() {
    let mut operator = full();
    let list = "d /var/lib/telemetry 0755 telemetry telemetry -\n\
                d /var/precious 0755 root root -\n\
                d /var/other 0755 telemetry root -\n";
    operator.machine.sandbox.write("/run/list", list);
    operator.machine.sandbox.mount("/run/list", "/usr/local/lib/tmpfiles.d/telemetrics-dirs.conf");
    for directory in ["/var/precious", "/var/other"] {
        operator.machine.sandbox.write(&format!("{directory}/file"), "data");
        operator.give_to_telemetry(directory);
    }
    assert_eq!(operator.telemctl(&["opt-out"]).status, 0);
    assert!(has(&operator, "/var/precious/file") && has(&operator, "/var/other/file"));
    assert!(has(&operator, "/var/log/telemetry/journal") && !has(&operator, "/var/lib/telemetry"));
}

#[test]
fn t6_what_cannot_be_deleted_is_named_and_the_rest_goes() {
    let mut operator = full();
    // A mounted file cannot be deleted by anybody.
    operator.machine.sandbox.write("/run/mounted", "data");
    operator.machine.sandbox.mount("/run/mounted", "/var/cache/telemetry/pstore/dmesg/part");
    let done = operator.telemctl(&["opt-out"]);
    assert_eq!(done.status, 1, "{done:?}");
    assert_eq!(
        done.stderr,
        "Not removed: /var/cache/telemetry/pstore/dmesg/part: Device or resource busy (os error 16)\n".repeat(2),
        "once for each directory of the list that it is in"
    );
    assert!(!has(&operator, "/var/spool/telemetry") && !has(&operator, "/var/log/telemetry"));
}

#[test]
fn t3_a_list_that_cannot_be_read_is_named_in_a_line_of_its_own() {
    let mut operator = full();
    fs::create_dir(operator.path("/run/list")).unwrap();
    operator.machine.sandbox.mount("/run/list", "/usr/local/lib/tmpfiles.d");
    let done = operator.telemctl(&["opt-out"]);
    let message = "Could not open file /usr/local/lib/tmpfiles.d/telemetrics-dirs.conf\n";
    assert_eq!((done.status, done.stderr.as_str()), (1, message));
    assert!(operator.machine.spool().is_empty(), "records go all the same");
}

#[test]
fn deletion_follows_no_symbolic_links() {
    let operator = full();
    operator.machine.sandbox.write("/var/precious/file", "data");
    symlink("/var/precious", operator.path("/var/spool/telemetry/link")).unwrap();
    symlink("/var/precious/file", operator.path("/var/log/telemetry/records/d19a0d41ba16788881e274b19b8a1be4"))
        .unwrap();
    symlink("/var/precious", operator.path("/var/cache/telemetry/pstore/link")).unwrap();
    fs::remove_dir_all(operator.path("/var/lib/telemetry")).unwrap();
    symlink("/var/precious", operator.path("/var/lib/telemetry")).unwrap();
    let done = operator.telemctl(&["opt-out"]);
    assert_eq!(done.status, 1, "a link is no directory of telemetry's: {done:?}");
    assert!(done.stderr.starts_with("Not removing \"/var/lib/telemetry\": "), "{done:?}");
    assert_eq!(fs::read_to_string(operator.path("/var/precious/file")).unwrap(), "data");
    assert!(!has(&operator, "/var/spool/telemetry") && !has(&operator, "/var/cache/telemetry"));
}

#[test]
fn records_that_could_not_be_found_are_not_sent_under_the_next_consent() {
    let operator = Operator::new();
    operator.machine.sandbox.write("/var/mine/spool/aB3xY9", RECORD);
    for directory in ["/var/mine", "/var/mine/spool"] {
        operator.give_to_telemetry(directory);
    }
    operator.machine.sandbox.configure("spool_dir=/var/mine/spool\nrecord_expiry=abc");
    let done = operator.telemctl(&["opt-out"]);
    assert!(done.status == 1 && done.stderr.contains("telemetrics.conf:3: record_expiry"), "{done:?}");
    assert!(has(&operator, "/var/mine/spool/aB3xY9"), "nobody knows where it is");

    let url = operator.machine.collector.url();
    operator.machine.sandbox.configure(&format!("spool_dir=/var/mine/spool\nserver={url}"));
    assert_eq!(operator.telemctl(&["opt-in"]).status, 0);
    assert_eq!(operator.telemctl(&["start"]).all(), (0, "", ""));
    assert!(!has(&operator, "/var/mine/spool/aB3xY9"));
    assert_eq!(operator.telemctl(&["test"]).status, 0);
    let received = operator.machine.receive();
    assert_eq!(received.header("classification").unwrap(), "org.clearlinux/heartbeat/ping", "the first that arrives");
}

#[test]
fn records_in_a_directory_of_the_configuration_go_and_nothing_else_in_it() {
    let operator = full();
    operator.machine.sandbox.configure("spool_dir=/var/mine/spool");
    operator.machine.sandbox.write("/var/mine/spool/aB3xY9", RECORD);
    operator.machine.sandbox.write("/var/mine/spool/.hidden", "not ours");
    operator.machine.sandbox.write("/var/mine/spool/directory/file", "not ours");
    operator.machine.sandbox.write("/var/mine/rejected/aB3xY9", RECORD);
    let done = operator.telemctl(&["opt-out"]);
    assert_eq!(done.all(), (0, "Removed 5 records: 1 waiting, 1 rejected, 3 kept copies.\n", ""));
    assert!(!has(&operator, "/var/mine/spool/aB3xY9") && !has(&operator, "/var/mine/rejected"));
    assert!(has(&operator, "/var/mine/spool/.hidden") && has(&operator, "/var/mine/spool/directory/file"));
    assert!(!has(&operator, "/var/spool/telemetry"));
}

#[test]
fn copies_behind_a_link_that_telemetry_made_are_not_copies() {
    let operator = full();
    operator.machine.sandbox.write("/var/precious/e19a0d41ba16788881e274b19b8a1be4", "data");
    operator.machine.sandbox.write("/var/precious/file", "data");
    let records = operator.path("/var/log/telemetry/records");
    fs::rename(&records, operator.path("/var/log/telemetry/moved")).unwrap();
    symlink("/var/precious", &records).unwrap();
    let done = operator.telemctl(&["opt-out"]);
    assert!(done.status == 1 && done.stderr.starts_with("/var/log/telemetry/records: "), "{done:?}");
    for kept in ["/var/precious/e19a0d41ba16788881e274b19b8a1be4", "/var/precious/file"] {
        assert!(has(&operator, kept), "{kept}");
    }
    assert!(!has(&operator, "/var/log/telemetry"), "the copies themselves go, wherever they were moved to");
}

#[test]
fn records_in_a_directory_of_somebody_else_stay_and_that_is_a_failure() {
    if !is_root() {
        return; // There is no other owner.
    }
    let operator = full();
    operator.machine.sandbox.configure("spool_dir=/var/mine/spool");
    operator.machine.sandbox.write("/var/mine/spool/aB3xY9", RECORD);
    chown(operator.path("/var/mine/spool"), Some(NOBODY), Some(NOBODY)).unwrap();
    for command in [["opt-out"].as_slice(), &["spool", "purge"]] {
        let done = operator.telemctl(command);
        assert!(done.status == 1 && done.stderr.starts_with("/var/mine/spool: it belongs to user"), "{done:?}");
        assert!(has(&operator, "/var/mine/spool/aB3xY9"));
    }
}
