//! `preview`: what it shows is what is sent.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::operator::Operator;

/// Differ from record to record.
const OF_ONE_RECORD: [&str; 3] = ["x-telemetry-record-id", "creation-timestamp", "event-id"];

fn preview(operator: &Operator, arguments: &[&str]) -> Value {
    let done = operator.telemctl(&[["preview", "--json"].as_slice(), arguments].concat());
    assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{arguments:?}");
    serde_json::from_str(&done.stdout).unwrap()
}

fn headers(preview: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let header = |header: &Value| (text(&header["name"]).to_lowercase(), text(&header["value"]));
    preview["request_headers"].as_array().unwrap().iter().map(header).collect()
}

/// What is shown before a record is sent is what the server receives.
fn assert_shows_what_is_sent(configuration: &str) {
    let operator = Operator::new();
    operator.machine.sandbox.configure(&configuration.replace("URL", &operator.machine.collector.url()));
    let _telemd = operator.machine.sandbox.start_telemd();
    // Makes the machine id.
    assert_eq!(operator.telemctl(&["test"]).status, 0);
    operator.machine.receive();
    let preview = preview(&operator, &["--class", "org.clearlinux/heartbeat/ping", "--payload", "hello\n"]);
    assert_eq!(operator.telemctl(&["test"]).status, 0);
    let received = operator.machine.receive();

    let mut shown = headers(&preview);
    let mut sent: BTreeMap<String, String> = received
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), String::from_utf8(value.clone()).unwrap()))
        .collect();
    for name in OF_ONE_RECORD {
        let (shown, sent) = (shown.remove(name), sent.remove(name));
        assert_eq!(shown.as_ref().map(String::len), sent.as_ref().map(String::len), "{name}");
        assert!(shown.is_none() || shown != sent || name == "creation-timestamp", "{name} of another record");
    }
    assert_eq!(shown, sent);
    let url: String = preview["url"].as_str().unwrap().splitn(4, '/').skip(3).collect();
    assert_eq!(received.request, format!("POST /{url}"));
    let body = String::from_utf8(received.body).unwrap();
    let shown = preview["body"].as_str().unwrap();
    match serde_json::from_str::<Value>(&body) {
        Ok(mut sent) => {
            let mut shown: Value = serde_json::from_str(shown).unwrap();
            for name in ["creation_timestamp", "event_id"] {
                assert!(shown[name].take().is_string() && sent[name].take().is_string());
            }
            assert_eq!(shown, sent);
        }
        Err(_) => assert_eq!(shown, body),
    }
}

#[test]
fn the_headers_form_is_shown_as_it_is_sent() {
    assert_shows_what_is_sent("server=URL");
}

#[test]
fn the_json_form_is_shown_as_it_is_sent() {
    assert_shows_what_is_sent("server=URL\ndelivery_format=json\ntidheader=X-Key:\\smine");
}

#[test]
fn every_header_has_its_origin_and_the_text_is_for_people() {
    let operator = Operator::new();
    let done = operator.telemctl(&["preview", "--class", "org.example/disk/full", "--severity", "3", "-p", "no space"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    let url = operator.machine.collector.url();
    assert!(done.stdout.starts_with(&format!("POST {url}    <- server (/etc/telemetrics/telemetrics.conf:2)\n")));
    for (header, origin) in [
        ("Record-Format-Version: 4", "fixed: the version of this list"),
        ("Classification: org.example/disk/full", "the program"),
        ("Severity: 3", "the program"),
        (
            "Machine-Id: (a new random id)",
            "/var/lib/telemetry/machine_id, new every 3 days; or /etc/telemetrics/opt-in-static-machine-id",
        ),
        ("X-Telemetry-TID: 6907c830-eed9-4ce9-81ae-76daf8d88f0f", "tidheader (default)"),
        ("host: 127.0.0.1:", "server (/etc/telemetrics/telemetrics.conf:2)"),
        ("content-type: application/text", "delivery_format (default)"),
        ("content-length: 9", "HTTP"),
    ] {
        let line =
            done.stdout.lines().find(|line| line.to_lowercase().starts_with(&format!("  {}", header.to_lowercase())));
        assert!(line.is_some_and(|line| line.ends_with(&format!("  <- {origin}"))), "{header}: {}", done.stdout);
    }
    let headers = done.stdout.lines().filter(|line| line.starts_with("  ")).collect::<Vec<_>>();
    assert!(headers.len() >= 20 && headers.iter().all(|line| line.contains("  <- ")), "{}", done.stdout);
    assert!(done.stdout.ends_with("Body as it is sent, 9 bytes:\nno space\n"), "{}", done.stdout);
}

#[test]
fn nothing_is_sent_or_written_and_everybody_may_look() {
    let operator = Operator::new();
    let _telemd = operator.machine.sandbox.start_telemd();
    assert_eq!(operator.telemctl_as_nobody(&["preview"]).status, 0);
    assert_eq!(operator.telemctl(&["preview"]).status, 0);
    assert!(operator.machine.collector.received().try_recv().is_err() && operator.machine.spool().is_empty());
    assert!(!operator.path("/var/lib/telemetry/machine_id").exists(), "telemd makes it, not this command");
}

#[test]
fn a_machine_that_sends_nothing_says_so_first() {
    let operator = Operator::new();
    operator.machine.sandbox.configure("record_server_delivery_enabled=false");
    let done = operator.telemctl(&["preview"]);
    assert!(
        done.stdout.starts_with(
            "Delivery is switched off by record_server_delivery_enabled (/etc/telemetrics/telemetrics.conf:2)"
        ),
        "{done:?}"
    );
    operator.machine.sandbox.opt_out();
    let done = operator.telemctl(&["preview"]);
    assert!(done.stdout.starts_with("This machine is not opted in: nothing is sent."), "{done:?}");
}

#[test]
fn the_machine_id_is_the_one_that_would_be_sent() {
    let operator = Operator::new();
    let id = "0123456789abcdef0123456789abcdef";
    operator.machine.sandbox.write("/var/lib/telemetry/machine_id", id);
    assert_eq!(headers(&preview(&operator, &[]))["machine-id"], id);
    operator.machine.sandbox.write("/etc/telemetrics/opt-in-static-machine-id", "my host\n");
    assert_eq!(headers(&preview(&operator, &[]))["machine-id"], "my host");
    fs::remove_file(operator.path("/etc/telemetrics/opt-in-static-machine-id")).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(4 * 24 * 60 * 60);
    fs::File::open(operator.path("/var/lib/telemetry/machine_id")).unwrap().set_modified(old).unwrap();
    assert_eq!(headers(&preview(&operator, &[]))["machine-id"], "(a new random id)", "it is too old to be sent");
}

#[test]
fn a_record_that_the_library_does_not_make_is_an_error() {
    let operator = Operator::new();
    for arguments in [["--class", "no class"], ["--payload", "gr\u{fc}n"], ["--class", "a/b\n/c"]] {
        let done = operator.telemctl(&["preview", arguments[0], arguments[1]]);
        assert!(done.status == 1 && done.stdout.is_empty(), "{done:?}");
        assert!(done.stderr.contains("the library does not make this record"), "{done:?}");
    }
    for severity in ["0", "5", "high"] {
        assert_eq!(operator.telemctl(&["preview", "--severity", severity]).status, 2);
    }
}

#[test]
fn t9_another_configuration_file_is_named_in_both_spellings() {
    let operator = Operator::new();
    operator.machine.sandbox.write("/etc/other.conf", "[settings]\nserver=https://other.example.org/v3/collector\n");
    for option in ["-f", "--config_file", "--config-file"] {
        let url = preview(&operator, &[option, "/etc/other.conf"])["url"].clone();
        assert_eq!(url, "https://other.example.org/v3/collector", "{option}");
        let done = operator.telemctl(&["config", option, "/etc/other.conf"]);
        assert!(done.stdout.contains("server=https://other.example.org/v3/collector"), "{option}: {done:?}");
        let done = operator.telemctl(&["config", option, "other.conf"]);
        assert!(done.status == 1 && done.stderr.contains("other.conf"), "{option}: {done:?}");
    }
}
