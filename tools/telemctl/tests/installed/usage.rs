//! The order of checks, the usage text, and what only root may do.

use crate::operator::Operator;

const COMMANDS: [&str; 13] = [
    "stop",
    "start",
    "restart",
    "is-active",
    "opt-in",
    "opt-out",
    "journal",
    "status",
    "preview",
    "spool",
    "rejected",
    "config",
    "test",
];
/// Those that take no words, and only from root.
const PLAIN: [&str; 5] = ["stop", "start", "restart", "opt-in", "opt-out"];

fn assert_is_usage(text: &str) {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("/usr/local/bin/telemctl - Control actions for telemetry services"));
    assert_eq!(lines.next(), Some(""));
    for command in COMMANDS {
        let line = lines.next().unwrap();
        let description = line.strip_prefix(&format!("  {command:9} ")).unwrap_or_else(|| panic!("{line:?}"));
        assert!(!description.is_empty() && !description.starts_with(' '), "{line:?}");
    }
    assert_eq!(lines.next(), Some(""));
    let last = "Options of a command: /usr/local/bin/telemctl COMMAND --help. Everything: man telemctl.";
    assert_eq!((lines.next(), lines.next()), (Some(last), None));
}

#[test]
fn without_a_command_the_usage_is_printed_and_the_status_is_2() {
    let done = Operator::new().telemctl(&[]);
    assert_is_usage(&done.stdout);
    assert_eq!((done.status, done.stderr.as_str()), (2, ""));
}

#[test]
fn an_unknown_command_is_named_before_the_usage_and_help_is_one() {
    let operator = Operator::new();
    for command in ["frobnicate", "-h", "--help", "Start", "star", "", "help", "-z"] {
        for done in [operator.telemctl(&[command, "more"]), operator.telemctl_as_nobody(&[command])] {
            let usage = done.stdout.strip_prefix("Unknown command passed to /usr/local/bin/telemctl\n\n");
            assert_is_usage(usage.unwrap_or_else(|| panic!("{command}: {done:?}")));
            assert_eq!((done.status, done.stderr.as_str()), (2, ""), "{command}");
        }
    }
}

#[test]
fn commands_of_root_are_refused_to_others_before_their_words_are_looked_at() {
    let operator = Operator::new();
    for command in PLAIN.into_iter().chain(["journal"]) {
        for arguments in [vec![command], vec![command, "more"], vec![command, "--bogus"]] {
            let done = operator.telemctl_as_nobody(&arguments);
            assert_eq!(done.all(), (1, "", "Must be root to run this command. Exiting...\n"), "{arguments:?}");
        }
    }
    assert!(operator.path("/etc/telemetrics/opt-in").exists());
}

#[test]
fn more_words_than_a_command_takes_are_a_usage_error() {
    let operator = Operator::new();
    for command in PLAIN.into_iter().chain(["is-active"]) {
        let done = operator.telemctl(&[command, "more"]);
        assert_is_usage(&done.stdout);
        assert_eq!((done.status, done.stderr.as_str()), (2, ""), "{command}");
    }
    let done = operator.telemctl_as_nobody(&["is-active", "more"]);
    assert_eq!(done.status, 2, "{done:?}");
    assert!(operator.path("/etc/telemetrics/opt-in").exists());
}

#[test]
fn the_version_is_printed_bare() {
    let operator = Operator::new();
    for option in ["-V", "--version"] {
        assert_eq!(operator.telemctl_as_nobody(&[option]).all(), (0, concat!(env!("CARGO_PKG_VERSION"), "\n"), ""));
    }
}

#[test]
fn t10_an_option_that_no_command_knows_is_an_error_and_nothing_is_done() {
    let operator = Operator::new();
    operator.machine.sandbox.write("/var/spool/telemetry/aB3xY9", "a record");
    for arguments in [
        vec!["spool", "purge", "--bogus"],
        vec!["spool", "purge", "more"],
        vec!["rejected", "retry", "--bogus"],
        vec!["test", "-z"],
        vec!["status", "--jsonx"],
        vec!["spool"],
        vec!["spool", "frobnicate"],
    ] {
        let done = operator.telemctl(&arguments);
        assert_eq!((done.status, done.stdout.as_str()), (2, ""), "{arguments:?}: {done:?}");
        assert!(!done.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(operator.machine.spool().len(), 1);
    assert!(operator.machine.collector.received().try_recv().is_err());
}

#[test]
fn every_command_with_options_has_a_help() {
    let operator = Operator::new();
    for command in ["journal", "status", "preview", "spool", "rejected", "config", "test"] {
        for option in ["-h", "--help"] {
            let done = operator.telemctl(&[command, option]);
            assert!(done.stdout.contains("Usage: "), "{command}: {done:?}");
            assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{command}");
        }
    }
}

#[test]
fn t7_the_manual_page_describes_every_command_and_opting_in_as_it_is() {
    let page = std::fs::read_to_string(sandbox::installation().join("share/man/man1/telemctl.1")).unwrap();
    for command in COMMANDS {
        let heading = format!(".SS \"telemctl {}", command.replace('-', "\\-"));
        assert!(page.contains(&heading), "{heading}");
    }
    let after = page.split(".SS \"telemctl opt\\-in\"\n").nth(1).unwrap();
    assert!(after.starts_with("Allow records to be taken and sent; starts nothing\n"), "{after:.100}");
    let usage = Operator::new().telemctl(&[]).stdout;
    assert!(usage.contains("  opt-in    Allow records to be taken and sent; starts nothing\n"), "{usage}");
}
