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
    let line = |key: &str| {
        let found = done.stdout.lines().find(|line| line.starts_with(&format!("{key}=")));
        found.unwrap_or_else(|| panic!("{key}: {done:?}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("server"), "server=https://example.org/ # /etc/telemetrics/telemetrics.conf:2");
    assert_eq!(line("spool_max_size"), "spool_max_size=7 # /etc/telemetrics/telemetrics.conf:4");
    assert_eq!(line("record_expiry"), "record_expiry=1200 # default");
    assert_eq!(done.stdout.lines().count(), Key::ALL.len());
    for key in Key::ALL {
        line(key.name());
    }
}

#[test]
fn without_a_file_of_the_administrator_all_are_defaults() {
    let operator = Operator::new();
    std::fs::remove_file(operator.path("/etc/telemetrics/telemetrics.conf")).unwrap();
    let done = operator.telemctl(&["config"]);
    assert!(done.status == 0 && done.stdout.lines().all(|line| line.ends_with("# default")), "{done:?}");
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
        ("server=ftp://x/", 1, "server ftp://x/: the address must start with http:// or https://\n".into()),
        ("server=no address", 1, "server no address: ".into()),
        ("cainfo=/nonexistent", 1, "cainfo /nonexistent: No such file".into()),
        ("tidheader=a b: c", 1, "tidheader \"a b: c\" is no header line\n".into()),
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
