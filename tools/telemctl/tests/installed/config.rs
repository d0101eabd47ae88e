//! `config`: the settings in effect.

use record::config::Key;
use serde_json::Value;

use crate::operator::Operator;

#[test]
fn every_setting_is_shown_with_the_line_that_it_comes_from() {
    let operator = Operator::new();
    operator.machine.sandbox.configure("server=https://example.org/\n# a comment\nspool_max_size=7");
    let done = operator.telemctl_as_nobody(&["config"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    for said in [
        "# /etc/telemetrics/telemetrics.conf:2\nserver=https://example.org/\n",
        "# /etc/telemetrics/telemetrics.conf:4\nspool_max_size=7\n",
        "# default\nrecord_expiry=1200\n",
    ] {
        assert!(done.stdout.contains(said), "{said}: {done:?}");
    }
    assert_eq!(done.stdout.lines().count(), 2 * Key::ALL.len());
    for key in Key::ALL {
        assert!(done.stdout.contains(&format!("\n{}=", key.name())), "{}: {done:?}", key.name());
    }
}

#[test]
fn what_is_printed_can_stand_in_a_file_and_means_the_same() {
    let operator = Operator::new();
    operator.machine.sandbox.configure("server=https://example.org/\nspool_max_size=7");
    let printed = operator.telemctl(&["config"]).stdout;
    operator.machine.sandbox.configure(&printed);
    assert_eq!(operator.telemctl(&["config", "--check"]).status, 0);
    let again = operator.telemctl(&["config"]).stdout;
    let values = |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(values(&again), values(&printed));
}

#[test]
fn telemd_and_telemctl_say_the_same_of_a_file_by_which_nothing_can_be_sent() {
    let operator = Operator::new();
    for (configuration, said) in [
        ("server=example.org/v2/collector", "telemetrics.conf:2: server example.org/v2/collector: not an address"),
        ("cainfo=/nonexistent", "telemetrics.conf:2: cainfo /nonexistent: No such file"),
    ] {
        operator.machine.sandbox.configure(configuration);
        let of_telemctl = operator.telemctl(&["config", "--check"]);
        let telemd = operator.command("/usr/local/bin/telemd").arg("--check").output().unwrap();
        let stderr = String::from_utf8_lossy(&telemd.stderr);
        assert_eq!((of_telemctl.status, telemd.status.code()), (1, Some(1)), "{configuration}");
        assert!(of_telemctl.stderr.contains(said), "{of_telemctl:?}");
        assert!(stderr.contains(of_telemctl.stderr.trim_end()), "{stderr}, {of_telemctl:?}");
        let remedy = ["must begin with http:// or https://", "put a PEM file"];
        assert!(remedy.iter().any(|remedy| stderr.contains(remedy)), "{stderr}");
        // It starts all the same: what is missing may come.
        drop(operator.machine.sandbox.start_telemd());
    }
}

#[test]
fn without_a_file_of_the_administrator_all_are_defaults() {
    let operator = Operator::new();
    std::fs::remove_file(operator.path("/etc/telemetrics/telemetrics.conf")).unwrap();
    let done = operator.telemctl(&["config"]);
    assert!(
        done.status == 0 && done.stdout.lines().all(|line| line == "# default" || !line.starts_with('#')),
        "{done:?}"
    );
    let shipped = "/usr/local/share/defaults/telemetrics/telemetrics.conf: can be used\n";
    assert_eq!(operator.telemctl(&["config", "--check"]).all(), (0, shipped, ""));
}

#[test]
fn what_was_put_right_is_a_warning_and_what_cannot_be_used_a_failure() {
    let operator = Operator::new();
    let file = "/etc/telemetrics/telemetrics.conf";
    for (configuration, status, said) in [
        ("spool_max_size=7", 0, String::new()),
        ("unknown_key=1", 0, format!("{file}:2: unknown key \"unknown_key\" is ignored\n")),
        ("record_window_length=60", 0, format!("{file}:2: record_window_length: \"60\" is not accepted, 15 is used\n")),
        ("record_expiry=abc", 1, format!("{file}:2: record_expiry: expected minutes as an integer, got \"abc\"\n")),
        ("no assignment", 1, format!("{file}:2: ")),
        ("server=ftp://x/", 1, format!("{file}:2: server ftp://x/: the address must begin with http:// or https://\n")),
        ("server=no address", 1, format!("{file}:2: server no address: ")),
        ("cainfo=/nonexistent", 1, format!("{file}:2: cainfo /nonexistent: No such file")),
        ("tidheader=a b: c", 1, format!("{file}:2: tidheader \"a b: c\" is no header line\n")),
    ] {
        operator.machine.sandbox.configure(configuration);
        let done = operator.telemctl(&["config", "--check"]);
        assert_eq!(done.status, status, "{configuration}: {done:?}");
        assert!(
            done.stderr.starts_with(&said) && done.stderr.is_empty() == said.is_empty(),
            "{configuration}: {done:?}"
        );
        let can_be_used = format!("{file}: can be used\n");
        assert_eq!(done.stdout, if status == 0 { can_be_used.as_str() } else { "" }, "{configuration}");
        assert_eq!(operator.telemctl(&["config"]).status, status, "{configuration}");
    }
}

#[test]
fn settings_can_be_a_json_object() {
    let operator = Operator::new();
    operator.machine.sandbox.configure("server=https://example.org/\nunknown_key=1");
    let done = operator.telemctl(&["config", "--json"]);
    let object: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(object["file"], "/etc/telemetrics/telemetrics.conf");
    assert_eq!(object["warnings"].as_array().unwrap().len(), 1);
    let settings = object["settings"].as_array().unwrap();
    assert_eq!(settings[0], serde_json::json!({"key": "server", "value": "https://example.org/", "line": 2}));
    assert_eq!(settings.len(), Key::ALL.len());
}
