//! `test`: every station where a heartbeat can stop, with a real telemd and a
//! real server.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;

use libtelemetry_acceptance::peer;
use sandbox::wait_until;

use crate::operator::{Operator, is_root};

fn running() -> (Operator, sandbox::Telemd) {
    let operator = Operator::new();
    let telemd = operator.machine.sandbox.start_telemd();
    (operator, telemd)
}

/// An operator whose server is this address, with a running telemd.
fn with_server(configuration: &str) -> (Operator, sandbox::Telemd) {
    let operator = Operator::new();
    operator.machine.sandbox.configure(configuration);
    let telemd = operator.machine.sandbox.start_telemd();
    (operator, telemd)
}

#[test]
fn a_heartbeat_that_the_server_took_is_success() {
    let (operator, _telemd) = running();
    let done = operator.telemctl(&["test"]);
    let received = operator.machine.receive();
    let event = received.header("event-id").unwrap();
    let url = operator.machine.collector.url();
    let expected = format!(
        "telemd took the heartbeat, event {event}\n\
         the server took it: {url} (/etc/telemetrics/telemetrics.conf:2)\n"
    );
    assert_eq!(done.all(), (0, expected.as_str(), ""));
    assert_eq!(received.header("classification").unwrap(), "org.clearlinux/heartbeat/ping");
    assert_eq!(received.header("severity").unwrap(), "1");
    assert_eq!(received.body, b"hello\n\n");
    let journal = operator.telemctl(&["journal", "-e", &event]);
    assert_eq!(journal.stdout.lines().count(), 1, "the journal has it: {journal:?}");
}

#[test]
fn who_must_not_read_the_journal_goes_by_what_telemd_counts() {
    let (operator, _telemd) = running();
    let done = operator.telemctl_as_nobody(&["test"]);
    assert!(done.status == 0 && done.stdout.contains("the server took it"), "{done:?}");
}

#[test]
fn without_consent_it_stops_before_anything_is_sent() {
    let (operator, _telemd) = running();
    operator.machine.sandbox.opt_out();
    let done = operator.telemctl(&["test"]);
    let expected = "stopped at consent: this machine is not opted in; telemctl opt-in\n";
    assert_eq!(done.all(), (3, expected, ""));
}

#[test]
fn without_a_telemd_it_stops_at_the_socket() {
    let operator = Operator::new();
    let done = operator.telemctl(&["test"]);
    let expected = "stopped at the socket of telemd: /run/telem-0: No such file or directory: there is no socket of \
                    the daemon, or the chosen configuration file is gone\nStart the daemon by 'telemctl start'.\n";
    assert_eq!(done.all(), (4, expected, ""));
    drop(std::os::unix::net::UnixListener::bind(operator.path("/run/telem-0")).unwrap());
    let done = operator.telemctl(&["test"]);
    assert!(
        done.status == 4 && done.stdout.contains(": Connection refused: no daemon listens on its socket\n"),
        "{done:?}"
    );
}

#[test]
fn a_refusal_stops_it_at_the_intake_with_the_reason() {
    let (operator, _telemd) = with_server("spool_max_size=0");
    let done = operator.telemctl(&["test"]);
    let expected = "stopped at the intake of telemd: telemd did not take it: Disk quota exceeded: the daemon has no \
                    room for the record\nMake room on its disk, or raise spool_max_size or spool_user_share in \
                    telemetrics.conf.\n";
    assert_eq!(done.all(), (5, expected, ""));

    let operator = Operator::new();
    peer::listen(&operator.machine.sandbox, "/run/telem-0", |mut connection| {
        use std::io::Write;
        let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n");
        let _ = connection.shutdown(std::net::Shutdown::Write);
        let _ = peer::read_frame(&mut connection);
    });
    let done = operator.telemctl(&["test"]);
    assert!(done.status == 5 && done.stdout.contains("what listens on the socket is no telemetry daemon"), "{done:?}");
}

#[test]
fn a_server_that_is_not_well_leaves_it_in_the_spool() {
    let (operator, _telemd) = running();
    operator.machine.collector.answer_with(503);
    let done = operator.telemctl(&["test", "--timeout", "2"]);
    assert_eq!(done.status, 6, "{done:?}");
    let reason = "stopped at the way to the server: it waits in the spool after 2 s; delivery fails: \
                  the server answered 503 Service Unavailable; the server is not well";
    assert!(done.stdout.contains(reason), "{done:?}");
    assert!(done.stderr.starts_with("it waits: the server answered 503"), "told at once: {done:?}");
    assert_eq!(operator.machine.spool().len(), 1);

    // Telemd waits now. What comes meanwhile is told why.
    let done = operator.telemctl(&["test", "--timeout", "0"]);
    let reason = "it waits in the spool after 0 s; delivery fails: the server answered 503";
    assert!(done.status == 6 && done.stdout.contains(reason), "{done:?}");
}

#[test]
fn a_server_that_is_well_again_in_time_is_success() {
    let (operator, _telemd) = running();
    operator.machine.collector.answer_with(503);
    let mut test = operator.command("/usr/local/bin/telemctl");
    let mut test = test.arg("test").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = String::new();
    BufReader::new(test.stderr.as_mut().unwrap()).read_line(&mut progress).unwrap();
    assert!(progress.starts_with("it waits: the server answered 503"), "{progress}");
    operator.machine.collector.answer_with(201);
    let output = test.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("the server took it"), "{said}");
}

#[test]
fn a_heartbeat_that_a_rate_limit_drops_is_told_at_once_with_the_limit() {
    let operator = Operator::new();
    let url = operator.machine.collector.url();
    let configuration = format!("server={url}\nrate_limit_strategy=drop\nrecord_burst_limit=1\nrate_user_share=100");
    operator.machine.sandbox.configure(&configuration);
    let _telemd = operator.machine.sandbox.start_telemd();
    assert_eq!(operator.telemctl(&["test"]).status, 0);
    let done = operator.telemctl(&["test", "--timeout", "600"]);
    let said = "stopped at the rate limits: telemd dropped it, as rate_limit_strategy=drop says: record_burst_limit=1";
    assert!(done.status == 9 && done.stdout.contains(said), "{done:?}");
}

#[test]
fn the_server_that_telemd_uses_is_told_and_that_the_file_names_another() {
    let (operator, telemd) = running();
    let url = operator.machine.collector.url();
    operator.machine.sandbox.configure("server=http://127.0.0.1:9/");
    let said = format!(
        "{url}, which telemd uses; the file names http://127.0.0.1:9/ (/etc/telemetrics/telemetrics.conf:2); \
         sudo telemctl restart\n"
    );
    for command in ["test", "status"] {
        let done = operator.telemctl(&[command]);
        assert!(done.status == 0 && done.stdout.contains(&said), "{command}: {done:?}");
    }
    let status: serde_json::Value = serde_json::from_str(&operator.telemctl(&["status", "--json"]).stdout).unwrap();
    assert_eq!(
        (&status["server"], &status["configured_server"]),
        (&url.as_str().into(), &"http://127.0.0.1:9/".into())
    );
    telemd.signal("HUP");
    wait_until("telemd uses the other", || {
        let shown = operator.telemctl(&["status"]).stdout;
        shown.contains("server       http://127.0.0.1:9/ (/etc/telemetrics/telemetrics.conf:2)\n")
    });
}

#[test]
fn what_a_test_saw_is_what_the_status_shows() {
    let (operator, _telemd) = running();
    for count in 1..=3 {
        assert_eq!(operator.telemctl(&["test"]).status, 0);
        let shown = operator.telemctl(&["status"]).stdout;
        let delivered = shown.lines().find(|line| line.starts_with("delivered ")).unwrap().to_owned();
        assert!(delivered.starts_with(&format!("delivered    {count} record")), "{delivered}");
    }
}

#[test]
fn a_heartbeat_that_the_server_rejects_is_told_from_one_that_waits() {
    let (operator, _telemd) = running();
    operator.machine.collector.answer_with(400);
    let done = operator.telemctl(&["test"]);
    assert_eq!(done.status, 7, "{done:?}");
    assert!(
        done.stdout.contains("the server rejected it: the server answered 400 Bad Request; the record was set aside")
    );
    let done = operator.telemctl_as_nobody(&["test"]);
    assert_eq!(done.status, 7, "{done:?}");
}

#[test]
fn a_machine_that_sends_nothing_says_so() {
    let (operator, _telemd) = with_server("record_server_delivery_enabled=false");
    let done = operator.telemctl(&["test"]);
    assert!(done.status == 8 && done.stdout.contains("record_server_delivery_enabled is false"), "{done:?}");
    wait_until("it is noted", || operator.machine.journal().contains("heartbeat"));
}

#[test]
fn a_configuration_that_is_wrong_is_named() {
    let operator = Operator::new();
    operator.machine.sandbox.configure("record_expiry=abc");
    let done = operator.telemctl(&["test"]);
    assert!(done.status == 1 && done.stderr.contains("telemetrics.conf:2: record_expiry"), "{done:?}");
}

/// What an error of delivery is, and a part of what is to be done about it.
fn assert_advice(operator: &Operator, error: &str, advice: &str) {
    assert_advice_within("3", operator, error, advice);
}

fn assert_advice_within(seconds: &str, operator: &Operator, error: &str, advice: &str) {
    let done = operator.telemctl(&["test", "--timeout", seconds]);
    assert!(done.stdout.contains(error) && done.stdout.contains(advice), "{error}, {advice}: {done:?}");
    let shown = operator.telemctl(&["status"]);
    assert!(shown.stdout.contains(error), "{error}: {}", shown.stdout);
    let to_do = shown.stdout.lines().find(|line| line.starts_with("to do ")).unwrap_or_default();
    assert!(to_do.contains(advice), "{advice}: {}", shown.stdout);
}

#[test]
fn for_each_answer_of_a_server_there_is_something_to_do() {
    for (status, advice) in [
        (301, "redirects are not followed"),
        (401, "tidheader"),
        (403, "tidheader"),
        (404, "the path in the key server"),
        (415, "telemctl rejected list"),
        (429, "asks for fewer records"),
        (500, "the server is not well"),
    ] {
        let (operator, _telemd) = running();
        operator.machine.collector.answer_with(status);
        assert_advice(&operator, &format!("the server answered {status}"), advice);
    }
}

#[test]
fn for_each_way_not_to_reach_a_server_there_is_something_to_do() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Speaks, but not TLS.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = plain.local_addr().unwrap();
    thread::spawn(move || {
        for mut connection in plain.incoming().flatten() {
            use std::io::Write;
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        }
    });
    for (configuration, error, advice) in [
        (format!("server=http://{closed}/"), "refused", "nobody listens there"),
        ("server=http://name.invalid/".into(), "name.invalid", "cannot be resolved"),
        (format!("server=https://{address}/"), "server https://", "does not speak TLS"),
        (format!("server=https://{address}/\ncainfo=/nonexistent.pem"), "cainfo /nonexistent.pem", "PEM file"),
        ("server=ftp://127.0.0.1/".into(), "must begin with http", "correct the key server"),
        ("server=not an address".into(), "not an address", "correct the key server"),
    ] {
        let (operator, _telemd) = with_server(&configuration);
        assert_advice(&operator, error, advice);
    }
}

#[test]
fn for_what_the_environment_of_telemd_lacks_there_is_something_to_do() {
    // Takes connections.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let no_certificates = [("SSL_CERT_FILE", "/nonexistent.pem"), ("SSL_CERT_DIR", "/nonexistent")];
    let dead_proxy = [("https_proxy", "http://127.0.0.1:9")];
    let no_proxy = [("https_proxy", "ftp://proxy.invalid/")];
    for (environment, error, advice) in [
        (no_certificates.as_slice(), "the system has no certificates", "the package ca-certificates"),
        (&dead_proxy, "by the proxy", "the variable https_proxy"),
        (&no_proxy, "https_proxy in the environment is not understood", "the variable"),
    ] {
        let operator = Operator::new();
        operator.machine.sandbox.configure(&format!("server=https://{address}/"));
        let _telemd = operator.machine.sandbox.start_telemd_with(environment);
        assert_advice(&operator, error, advice);
    }
}

/// A server whose certificate nobody knows.
fn untrusted_server() -> std::net::SocketAddr {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![signed.cert.into()], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // The client ends it.
            while session.complete_io(&mut connection).is_ok() && session.is_handshaking() {}
        }
    });
    address
}

#[test]
fn a_server_that_is_not_trusted_gets_nothing_and_the_administrator_an_advice() {
    let (operator, _telemd) = with_server(&format!("server=https://{}/", untrusted_server()));
    assert_advice(&operator, "certificate", "the server's certificate is not trusted; look at the key cainfo");
}

#[test]
fn a_server_that_says_nothing_is_told_from_one_that_is_not_there() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (operator, _telemd) = with_server(&format!("server=http://{}/", silent.local_addr().unwrap()));
    // A request may take ten seconds.
    assert_advice_within("15", &operator, "timeout", "the server cannot be reached");
}

#[test]
fn what_others_put_into_the_spool_and_is_no_record_has_an_advice_too() {
    let operator = Operator::new();
    operator.machine.sandbox.write("/var/spool/telemetry/aB3xY9", "no record\n");
    let _telemd = operator.machine.sandbox.start_telemd();
    let advice = "what was in the spool is no record and was set aside";
    wait_until("it is set aside", || operator.telemctl(&["status"]).stdout.contains(advice));
}

#[test]
fn a_file_that_a_program_chose_and_cannot_be_used_has_an_advice_too() {
    if !is_root() {
        return; // There is no other owner.
    }
    let operator = Operator::new();
    let record = include_str!("../../../../telemd/tests/data/spool-file-of-the-c-daemon");
    operator.machine.sandbox.write("/var/spool/telemetry/aB3xY9", format!("CFG:/etc/missing.conf\n{record}"));
    let _telemd = operator.machine.sandbox.start_telemd();
    wait_until("it is set aside", || operator.telemctl(&["status"]).stdout.contains("a program chose this file"));
    let listed = operator.telemctl(&["rejected", "list"]);
    assert!(listed.stdout.ends_with("Total records: 1\n"), "{listed:?}");
}
