//! What the service manager is told. A script in its place writes down the
//! argument vectors; nothing else of these machines is made up.

use crate::operator::Operator;

const ACTIVATORS: [&str; 5] =
    ["hprobe.timer", "telemd.socket", "telemd.path", "klogscanner.service", "journal-probe-tail.service"];
const SERVICES: [&str; 4] = ["hprobe.service", "pstore-probe.service", "telemd.service", "journal-probe.service"];
const TMPFILES: &str = "systemd-tmpfiles [--create] [/usr/local/lib/tmpfiles.d/telemetrics-dirs.conf]";

fn told(verb: &str, units: &[&str]) -> Vec<String> {
    units.iter().map(|unit| format!("systemctl [{verb}] [{unit}]")).collect()
}

fn stops() -> Vec<String> {
    [told("stop", &ACTIVATORS), told("stop", &SERVICES)].concat()
}

fn starts() -> Vec<String> {
    [vec![TMPFILES.to_owned()], told("start", &ACTIVATORS)].concat()
}

#[test]
fn start_makes_the_directories_and_starts_what_starts_services() {
    let operator = Operator::new().with_service_manager("exit 0");
    assert_eq!(operator.telemctl_with_scripts(&["start"]).all(), (0, "", ""));
    assert_eq!(operator.told(), starts());
}

#[test]
fn stop_stops_what_starts_services_first() {
    let operator = Operator::new().with_service_manager("exit 0");
    assert_eq!(operator.telemctl_with_scripts(&["stop"]).all(), (0, "", ""));
    assert_eq!(operator.told(), stops());
}

#[test]
fn without_consent_nothing_is_started() {
    let operator = Operator::new().with_service_manager("exit 0");
    operator.machine.sandbox.opt_out();
    assert_eq!(operator.telemctl_with_scripts(&["start"]).all(), (1, "", "Opt in to telemetry first.\n"));
    assert!(operator.told().is_empty());
}

#[test]
fn t2_restart_starts_although_a_unit_would_not_stop() {
    let operator = Operator::new().with_service_manager("[ \"$*\" != 'stop pstore-probe.service' ]");
    let done = operator.telemctl_with_scripts(&["restart"]);
    assert_eq!(done.all(), (1, "", "Failed to stop pstore-probe.service. Continuing...\n"));
    assert_eq!(operator.told(), [stops(), starts()].concat());

    let operator = Operator::new().with_service_manager("exit 0");
    assert_eq!(operator.telemctl_with_scripts(&["restart"]).all(), (0, "", ""));
    assert_eq!(operator.told(), [stops(), starts()].concat());
}

#[test]
fn t3_each_failure_has_a_line_of_its_own_and_the_others_go_on() {
    let operator = Operator::new().with_service_manager("exit 1");
    let lines = |verb: &str, units: &[&str]| -> String {
        units.iter().map(|unit| format!("Failed to {verb} {unit}. Continuing...\n")).collect()
    };
    let done = operator.telemctl_with_scripts(&["start"]);
    assert_eq!(done.all(), (1, "", lines("start", &ACTIVATORS).as_str()));
    assert_eq!(operator.told(), starts());
    let done = operator.telemctl_with_scripts(&["stop"]);
    let expected = lines("stop", &ACTIVATORS) + &lines("stop", &SERVICES);
    assert_eq!(done.all(), (1, "", expected.as_str()));
    assert_eq!(operator.told(), stops());
}

#[test]
fn messages_of_the_service_manager_pass_through() {
    let operator = Operator::new().with_service_manager("echo 'Unit not found.' >&2; exit 5");
    let done = operator.telemctl_with_scripts(&["start"]);
    assert!(done.stderr.starts_with("Unit not found.\nFailed to start hprobe.timer. Continuing...\n"), "{done:?}");
}

#[test]
fn t4_the_states_have_lines_of_their_own_and_the_status_tells_whether_both_are_active() {
    for (systemctl, status, stdout) in [
        ("echo active", 0, "telemprobd : active\ntelempostd : active\n"),
        ("echo inactive; exit 3", 3, "telemprobd : inactive\ntelempostd : inactive\n"),
        (
            "case $2 in *.socket) echo active;; *) echo failed; exit 3;; esac",
            3,
            "telemprobd : active\ntelempostd : failed\n",
        ),
        ("exit 1", 3, "telemprobd : unknown\ntelempostd : unknown\n"),
    ] {
        let operator = Operator::new().with_service_manager(systemctl);
        let done = operator.telemctl_with_scripts(&["is-active"]);
        assert_eq!((done.status, done.stdout.as_str()), (status, stdout), "{systemctl}: {done:?}");
        assert_eq!(operator.told(), told("is-active", &["telemd.socket", "telemd.path"]));
    }
}

#[test]
fn t4_a_missing_systemctl_is_no_state_and_no_success() {
    let operator = Operator::new().with_service_manager("exit 0");
    let done = operator.telemctl_with_path("/nonexistent", &["is-active"]);
    assert_eq!((done.status, done.stdout.as_str()), (3, "telemprobd : unknown\ntelempostd : unknown\n"));
    assert!(done.stderr.starts_with("systemctl: "), "{done:?}");
}

#[test]
fn t8_directories_that_cannot_be_made_are_reported_and_nothing_is_started() {
    let operator = Operator::new().with_service_manager("exit 0");
    operator.script("systemd-tmpfiles", "exit 73");
    let done = operator.telemctl_with_scripts(&["start"]);
    let message = "Failed to create the directories of /usr/local/lib/tmpfiles.d/telemetrics-dirs.conf. \
                   Nothing was started.\n";
    assert_eq!(done.all(), (1, "", message));
    assert!(operator.told().is_empty());

    std::fs::remove_file(operator.path("/run/bin/systemd-tmpfiles")).unwrap();
    let done = operator.telemctl_with_path("/run/bin", &["start"]);
    assert!(done.status == 1 && done.stderr.starts_with("systemd-tmpfiles: "), "{done:?}");
    assert!(operator.told().is_empty());
}

#[test]
fn an_argument_reaches_no_shell() {
    let operator = Operator::new().with_service_manager("exit 0");
    for command in ["start;touch /run/hacked", "$(touch /run/hacked)", "start\ntouch /run/hacked"] {
        assert_eq!(operator.telemctl_with_scripts(&[command]).status, 2);
        assert_eq!(operator.telemctl_with_scripts(&["journal", "-c", command]).status, 0);
    }
    assert!(!operator.path("/run/hacked").exists());
    assert!(operator.told().is_empty());
}
