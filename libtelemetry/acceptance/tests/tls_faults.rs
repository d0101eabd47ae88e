//! TLS: which servers are trusted, and what becomes of records when one is
//! not, or breaks off. Nothing is lost, and nothing goes out unencrypted.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use collector::certificates::{Authority, Identity, Subject};
use collector::door::read_request;
use collector::{Answer, Collector};
use libtelemetry_acceptance::memory::Memory;
use libtelemetry_acceptance::site::{Site, payloads, wait_for_log};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};
use sandbox::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);
/// What telemd may ever have in memory, in KiB, whatever a server sends.
const PEAK_MAX: u64 = 8 * 1024;
const HOST: &str = "127.0.0.1";
const SECRET: &str = "the secret payload";

/// A site whose server shows this certificate, and whose `cainfo` is this.
fn site(shown: &Identity, cainfo: &str) -> Site {
    let site = Site::new(Collector::start_tls(shown).unwrap());
    site.sandbox.write("/etc/site.pem", cainfo);
    site.configure("cainfo=/etc/site.pem");
    site
}

fn assert_memory_is_bounded(telemd: &sandbox::Telemd) {
    let memory = Memory::of(telemd.pid());
    assert!(memory.peak <= PEAK_MAX, "{memory:?}");
}

/// Gets its records to the collector.
fn assert_delivers(site: &Site, environment: &[(&str, &str)]) {
    let _telemd = site.sandbox.start_telemd_with(environment);
    site.send("first");
    site.send("second");
    assert_eq!(payloads(&site.take(2, PATIENCE)), ["first", "second"]);
    site.wait_until_the_spool_is_empty();
}

/// Sends nothing to the server, says why, and delivers when a server is there
/// that can be trusted.
fn assert_refuses(reason: &str, site: &Site, environment: &[(&str, &str)], good: &Collector) {
    let telemd = site.sandbox.start_telemd_with(environment);
    site.send("first");
    site.send("second");
    wait_for_log(&telemd, reason, PATIENCE);
    assert!(site.collector.received().try_recv().is_err(), "{reason}: nothing is sent");
    assert!(site.collector.handshakes().is_empty(), "{reason}");

    site.door.lead_to(good.address());
    let received = || good.received().recv_timeout(PATIENCE).expect("a record arrives");
    assert_eq!(payloads(&[received(), received()]), ["first", "second"], "{reason}");
    site.wait_until_the_spool_is_empty();
    assert!(site.collector.received().try_recv().is_err(), "{reason}: nothing is sent");
    assert_memory_is_bounded(&telemd);
}

#[test]
fn a_server_is_trusted_whose_certificate_is_in_cainfo_or_was_issued_by_one_in_it() {
    let authority = Authority::new("Site");
    let issued = authority.sign(Subject::host(HOST));
    let of_authority = Subject::host(HOST).also_authority().self_signed();
    let self_signed = Subject::host(HOST).self_signed();
    let of_stranger = Authority::new("Stranger").sign(Subject::host(HOST));
    thread::scope(|scope| {
        scope.spawn(|| assert_delivers(&site(&issued, &authority.pem()), &[]));
        for shown in [&of_authority, &self_signed, &of_stranger] {
            scope.spawn(|| assert_delivers(&site(shown, shown.pem()), &[]));
        }
    });
}

#[test]
fn a_server_is_not_trusted_with_a_certificate_of_strangers_another_time_host_or_key() {
    let authority = Authority::new("Site");
    let good = |cainfo: &mut String| {
        // Trusted by the same file, so that nothing but the server changes.
        let identity = Subject::host(HOST).self_signed();
        cainfo.push_str(identity.pem());
        Collector::start_tls(&identity).unwrap()
    };
    let issued = |subject| (authority.sign(subject), authority.pem());
    let listed = |subject: Subject| {
        let identity = subject.also_authority().self_signed();
        let cainfo = identity.pem().to_owned();
        (identity, cainfo)
    };
    let stolen = |subject: Subject| {
        let identity = subject.self_signed();
        (identity.stolen(), identity.pem().to_owned())
    };
    let host = || Subject::host(HOST);
    let other = || Subject::host("other.example");
    let cases = [
        ("UnknownIssuer", (Authority::new("Stranger").sign(host()), authority.pem())),
        ("BadSignature", (Authority::new("Site").sign(host()), authority.pem())),
        ("CaUsedAsEndEntity", (host().also_authority().self_signed(), authority.pem())),
        ("certificate expired", issued(host().expired())),
        ("certificate not valid yet", issued(host().not_yet_valid())),
        ("certificate not valid for name \"127.0.0.1\"", issued(other())),
        ("certificate expired", listed(host().expired())),
        ("certificate not valid yet", listed(host().not_yet_valid())),
        ("certificate not valid for name \"127.0.0.1\"", listed(other())),
        ("BadSignature", stolen(host())),
        ("BadSignature", stolen(host().also_authority())),
    ];
    thread::scope(|scope| {
        for (reason, (shown, mut cainfo)) in cases {
            scope.spawn(move || {
                let good = good(&mut cainfo);
                assert_refuses(reason, &site(&shown, &cainfo), &[], &good);
            });
        }
    });
}

#[test]
fn certificates_of_the_system_stand_for_those_they_issued_and_not_for_themselves() {
    let authority = Authority::new("System");
    let issued = authority.sign(Subject::host(HOST));
    let listed = Subject::host(HOST).also_authority().self_signed();
    let system = [("SSL_CERT_FILE", "/etc/system.pem")];
    let site = Site::new(Collector::start_tls(&listed).unwrap());
    site.sandbox.write("/etc/system.pem", authority.pem() + listed.pem());
    assert_refuses("CaUsedAsEndEntity", &site, &system, &Collector::start_tls(&issued).unwrap());
}

#[test]
fn w11_without_its_cainfo_telemd_waits_for_it_and_asks_no_other() {
    let shown = Subject::host(HOST).also_authority().self_signed();
    let site = Site::new(Collector::start_tls(&shown).unwrap());
    site.configure("cainfo=/etc/site.pem");
    site.sandbox.write("/etc/system.pem", shown.pem());
    let telemd = site.sandbox.start_telemd_with(&[("SSL_CERT_FILE", "/etc/system.pem")]);
    site.send("first");
    wait_for_log(&telemd, "cainfo /etc/site.pem: No such file or directory", PATIENCE);
    site.sandbox.write("/etc/site.pem", shown.pem());
    assert_eq!(payloads(&site.take(1, PATIENCE)), ["first"]);
}

#[test]
fn a_changed_cainfo_counts_after_the_first_failure_without_a_restart() {
    let [old, new] = [(); 2].map(|()| Subject::host(HOST).also_authority().self_signed());
    let site = site(&old, old.pem());
    let telemd = site.sandbox.start_telemd();
    site.send("first");
    assert_eq!(payloads(&site.take(1, PATIENCE)), ["first"]);
    site.wait_until_the_spool_is_empty();

    let renewed = Collector::start_tls(&new).unwrap();
    site.door.lead_to(renewed.address());
    site.send("second");
    wait_for_log(&telemd, "CaUsedAsEndEntity", PATIENCE);
    assert!(renewed.received().try_recv().is_err());
    site.sandbox.write("/etc/site.pem", new.pem());
    assert_eq!(renewed.received().recv_timeout(PATIENCE).unwrap().body, b"second\n");
    site.wait_until_the_spool_is_empty();

    // The old certificate has lost its trust with that.
    site.door.lead_to(site.collector.address());
    site.send("third");
    wait_until("it is refused", || telemd.log().matches("CaUsedAsEndEntity").count() >= 2);
    assert!(site.collector.received().try_recv().is_err());
}

/// All bytes of each connection, up to its end.
fn record_bytes(site: &Site, answer: &'static [u8]) -> Arc<Mutex<Vec<Vec<u8>>>> {
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let connections = Arc::clone(&seen);
    site.door.mistreat(move |mut connection| {
        let _ = connection.write_all(answer);
        let mut bytes = Vec::new();
        let _ = connection.read_to_end(&mut bytes);
        connections.lock().unwrap().push(bytes);
    });
    seen
}

#[test]
fn a_server_without_tls_at_an_https_address_gets_no_byte_of_a_record() {
    let shown = Subject::host(HOST).self_signed();
    let site = site(&shown, shown.pem());
    site.configure("cainfo=/etc/site.pem\ntidheader=X-Telemetry-TID: the-secret-id");
    let seen = record_bytes(&site, b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
    let telemd = site.sandbox.start_telemd();
    site.send(SECRET);
    wait_for_log(&telemd, "not delivered: ", PATIENCE);
    site.door.lead_to(site.collector.address());
    assert_eq!(payloads(&site.take(1, PATIENCE)), [SECRET]);

    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty());
    for bytes in &*seen {
        // A record of TLS: handshake, version 3.x; later ones are alerts.
        assert!(matches!(bytes.as_slice(), [0x16, 3, 1..=3, ..]), "{bytes:?}");
        let text = String::from_utf8_lossy(bytes);
        for word in [SECRET, "secret", "POST", "collector", "HTTP", "org.example", "Machine-Id"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
}

#[test]
fn a_redirect_to_a_server_without_tls_is_not_followed() {
    let shown = Subject::host(HOST).self_signed();
    let site = site(&shown, shown.pem());
    let plain = Collector::start().unwrap();
    let (url, mut redirects) = (plain.url(), 0..1);
    site.collector.answer_by(move |_| match redirects.next() {
        Some(_) => Answer::with(307).header("location", url.clone()),
        None => Answer::with(201),
    });
    let telemd = site.sandbox.start_telemd();
    site.send(SECRET);
    assert_eq!(payloads(&site.take(1, PATIENCE)), [SECRET]);
    assert!(telemd.log().contains("the server answered 307 Temporary Redirect"), "{}", telemd.log());
    assert!(plain.received().try_recv().is_err());
}

/// Done to a connection under TLS after its request was read.
type Fault = fn(&mut StreamOwned<ServerConnection, &TcpStream>);

fn survives_under_tls(reason: &str, fault: Fault) {
    let shown = Subject::host(HOST).self_signed();
    let site = site(&shown, shown.pem());
    let config: Arc<ServerConfig> = shown.server_config();
    site.door.mistreat(move |connection| {
        let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(tls, connection);
        if read_request(&mut stream).is_ok() {
            fault(&mut stream);
        }
    });
    let telemd = site.sandbox.start_telemd();
    site.send("first");
    site.send("second");
    wait_for_log(&telemd, reason, PATIENCE);
    site.door.lead_to(site.collector.address());
    assert_eq!(payloads(&site.take(2, PATIENCE)), ["first", "second"], "{reason}");
    site.wait_until_the_spool_is_empty();
    assert!(site.collector.received().try_recv().is_err(), "{reason}: each once");
    assert_memory_is_bounded(&telemd);
}

#[test]
fn a_stream_that_is_cut_or_damaged_is_no_delivery() {
    let cases: [(&str, Fault); 4] = [
        // The connection ends, and TLS does not.
        ("not delivered", |stream| {
            let _ = stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-le");
        }),
        // An answer that goes as far as the headers' end.
        ("Peer disconnected", |stream| {
            let _ = stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n");
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }),
        // Half a record.
        ("not delivered", |stream| {
            let _ = stream.conn.writer().write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
            let mut record = Vec::new();
            let _ = stream.conn.write_tls(&mut record);
            let _ = stream.sock.write_all(&record[..record.len() / 2]);
        }),
        // A record with one bit changed.
        ("not delivered", |stream| {
            let _ = stream.conn.writer().write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
            let mut record = Vec::new();
            let _ = stream.conn.write_tls(&mut record);
            *record.last_mut().unwrap() ^= 1;
            let _ = stream.sock.write_all(&record);
            let _ = stream.sock.shutdown(Shutdown::Write);
            let _ = stream.sock.read_to_end(&mut Vec::new());
        }),
    ];
    thread::scope(|scope| {
        for (reason, fault) in cases {
            scope.spawn(move || survives_under_tls(reason, fault));
        }
    });
}

/// Done to a connection instead of a handshake.
type HandshakeFault = fn(&TcpStream);

#[test]
fn a_handshake_has_5_seconds_and_bounded_memory() {
    let cases: [(&str, HandshakeFault); 5] = [
        ("timeout: connect", |mut connection| drop(connection.read_to_end(&mut Vec::new()))),
        // A handshake message of 65,000 bytes, a byte at a time.
        ("timeout: connect", |mut connection| {
            let head = [0x16, 3, 3, 0x40, 0, 2, 0, 0xfd, 0xe8];
            for byte in head.into_iter().chain(std::iter::repeat(0)) {
                thread::sleep(Duration::from_millis(100));
                if connection.write_all(&[byte]).is_err() {
                    break;
                }
            }
        }),
        // The longest message that its length can say.
        ("not delivered", |mut connection| {
            let fragment = [[0x16, 3, 3, 0x10, 0, 2, 0xff, 0xff, 0xff].as_slice(), &[0; 4092]].concat();
            while connection.write_all(&fragment).is_ok() {}
        }),
        // Alerts that are only warnings.
        (
            "not delivered",
            |mut connection| {
                while connection.write_all(&[0x15, 3, 3, 0, 2, 1, 90].repeat(1000)).is_ok() {}
            },
        ),
        ("not delivered", |mut connection| while connection.write_all(&[0xaa; 16_384]).is_ok() {}),
    ];
    thread::scope(|scope| {
        for (reason, fault) in cases {
            scope.spawn(move || {
                let shown = Subject::host(HOST).self_signed();
                let site = site(&shown, shown.pem());
                site.door.mistreat(fault);
                let telemd = site.sandbox.start_telemd();
                site.send("first");
                wait_for_log(&telemd, reason, Duration::from_secs(9));
                site.door.lead_to(site.collector.address());
                assert_eq!(payloads(&site.take(1, PATIENCE)), ["first"], "{reason}");
                assert_memory_is_bounded(&telemd);
            });
        }
    });
}

#[test]
fn a_connection_is_kept_and_a_new_one_takes_up_the_session() {
    let shown = Subject::host(HOST).also_authority().self_signed();
    let site = site(&shown, shown.pem());
    let _telemd = site.sandbox.start_telemd();
    for record in ["first", "second"] {
        site.send(record);
        site.take(1, PATIENCE);
        site.wait_until_the_spool_is_empty();
    }
    assert_eq!(site.collector.handshakes(), [HandshakeKind::Full]);
    site.collector.answer_by(|_| Answer::with(201).header("connection", "close"));
    for record in ["third", "fourth"] {
        site.send(record);
        site.take(1, PATIENCE);
        site.wait_until_the_spool_is_empty();
    }
    assert_eq!(site.collector.handshakes(), [HandshakeKind::Full, HandshakeKind::Resumed]);
}
