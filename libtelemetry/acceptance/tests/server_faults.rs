//! Servers that fail, over plain HTTP: nothing is lost, memory stays bounded,
//! and telemd recovers by itself.

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use collector::door::{header, read_request};
use collector::{Answer, Collector, Received};
use libtelemetry_acceptance::memory::Memory;
use libtelemetry_acceptance::site::{Site, payloads, wait_for_log};
use socket2::SockRef;

const PATIENCE: Duration = Duration::from_secs(30);
/// What telemd may ever have in memory, in KiB, whatever a server sends.
const PEAK_MAX: u64 = 8 * 1024;
const RECORD_ID: &str = "x-telemetry-record-id";

/// Done to a connection after its request was read.
type Fault = fn(&TcpStream);

fn write(mut connection: &TcpStream, bytes: &[u8]) -> bool {
    connection.write_all(bytes).is_ok()
}

/// Writes until the client has gone.
fn write_for_ever(connection: &TcpStream, bytes: &[u8]) {
    let many = bytes.repeat(1 + 16_384 / bytes.len());
    while write(connection, &many) {}
}

fn wait_for_end(mut connection: &TcpStream) {
    while connection.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
}

fn record_ids(received: &[Received]) -> Vec<String> {
    received.iter().map(|received| received.header(RECORD_ID).unwrap()).collect()
}

/// A server does this to every request, until telemd says why it failed; then
/// it is well again.
fn survives(reason: &str, fault: Fault) {
    let site = Site::new(Collector::start().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let ids = Arc::clone(&seen);
    site.door.mistreat(move |mut connection| {
        if let Ok(request) = read_request(&mut connection) {
            ids.lock().unwrap().extend(header(&request, RECORD_ID).map(str::to_owned));
            fault(connection);
        }
    });
    let telemd = site.sandbox.start_telemd();
    for record in ["first", "second", "third"] {
        site.send(record);
    }
    wait_for_log(&telemd, reason, PATIENCE);
    site.door.lead_to(site.collector.address());

    let received = site.take(3, PATIENCE);
    assert_eq!(payloads(&received), ["first", "second", "third"], "{reason}");
    let ids = record_ids(&received);
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|id| ids.contains(id)), "{reason}: the same ids: {seen:?}, {ids:?}");
    site.wait_until_the_spool_is_empty();
    assert!(site.collector.received().try_recv().is_err(), "{reason}: each once");
    let memory = Memory::of(telemd.pid());
    assert!(memory.peak <= PEAK_MAX, "{reason}: {memory:?}");
}

/// Each has a machine of its own.
fn all_survive(cases: &[(&str, Fault)]) {
    thread::scope(|scope| {
        for &(reason, fault) in cases {
            scope.spawn(move || survives(reason, fault));
        }
    });
}

#[test]
fn a_server_that_ends_the_connection_early_loses_nothing() {
    all_survive(&[
        ("Peer disconnected", |_| ()),
        ("Connection reset by peer", |connection| {
            write(connection, b"HTTP/1.1 201 Created\r\ncontent-le");
            SockRef::from(connection).set_linger(Some(Duration::ZERO)).unwrap();
        }),
        ("Peer disconnected", |connection| {
            write(connection, b"HTTP/1.1 20");
        }),
        ("Peer disconnected", |connection| {
            write(connection, b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n");
        }),
    ]);
}

#[test]
fn what_is_not_http_is_no_delivery() {
    all_survive(&[
        ("protocol", |connection| {
            write(connection, b"SSH-2.0-OpenSSH_9.2\r\n");
        }),
        ("protocol", |connection| {
            write(connection, &[0; 4096]);
        }),
        ("protocol", |connection| {
            write(connection, &[0x15, 3, 3, 0, 2, 2, 80]);
        }),
        ("protocol", |connection| {
            write(connection, b"<html>201 Created</html>\n");
        }),
        ("protocol", |connection| {
            write(connection, b"HTTP/1.1 201 Created\r\nno header\r\n\r\n");
        }),
        ("protocol", |connection| {
            write(connection, b"HTTP/1.1 2O1 Created\r\n\r\n");
        }),
    ]);
}

#[test]
fn headers_without_end_are_given_up_and_take_no_memory() {
    all_survive(&[
        ("not delivered", |connection| {
            write(connection, b"HTTP/1.1 201 Created\r\n");
            write_for_ever(connection, b"x-more: and more\r\n");
        }),
        ("not delivered", |connection| {
            write(connection, b"HTTP/1.1 201 Created\r\nx-long: ");
            write_for_ever(connection, b"x");
        }),
        ("not delivered", |connection| write_for_ever(connection, b"x")),
    ]);
}

/// The whole of a request has 10 seconds.
#[test]
fn a_server_that_is_too_slow_is_given_up_after_10_seconds() {
    let start = Instant::now();
    all_survive(&[
        ("timeout: global", wait_for_end),
        ("timeout: global", |connection| {
            for byte in b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n" {
                thread::sleep(Duration::from_secs(1));
                if !write(connection, &[*byte]) {
                    break;
                }
            }
        }),
        ("timeout: global", |connection| write_for_ever(connection, b"HTTP/1.1 100 Continue\r\n\r\n")),
        ("timeout: global", |connection| write_for_ever(connection, b"HTTP/1.1 103 Early Hints\r\n\r\n")),
    ]);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

/// What the server said is known before the body, which nobody needs.
#[test]
fn a_body_without_end_is_not_read_to_its_end() {
    let site = Site::new(Collector::start().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    site.door.mistreat(move |mut connection| {
        let Ok(request) = read_request(&mut connection) else { return };
        let count = {
            let mut seen = seen.lock().unwrap();
            seen.push(header(&request, RECORD_ID).unwrap().to_owned());
            seen.len()
        };
        match count {
            1 => write(connection, b"HTTP/1.1 500 Error\r\n\r\n"),
            2 => write(connection, b"HTTP/1.1 201 Created\r\n\r\n"),
            3 => write(connection, b"HTTP/1.1 201 Created\r\ncontent-length: 99999999999\r\n\r\n"),
            _ => write(connection, b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n"),
        };
        write_for_ever(connection, b"5\r\nxxxxx\r\n");
    });
    let telemd = site.sandbox.start_telemd();
    for record in ["first", "second", "third"] {
        site.send(record);
    }
    site.wait_until_the_spool_is_empty();
    assert!(telemd.log().contains("the server answered 500"), "{}", telemd.log());
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 4, "each once, and the one that failed again");
    assert!(requests[1..].contains(&requests[0]));
    assert_eq!(requests.iter().collect::<HashSet<_>>().len(), 3);
    let memory = Memory::of(telemd.pid());
    println!("peak with bodies and headers without end: {} bytes (limit {})", memory.peak * 1024, PEAK_MAX * 1024);
    assert!(memory.peak <= PEAK_MAX, "{memory:?}");
}

#[test]
fn a_redirect_is_not_followed() {
    let site = Site::new(Collector::start().unwrap());
    let other = Collector::start().unwrap();
    let url = other.url();
    let answers = [301, 201, 302, 201, 303, 201, 307, 201, 308, 201];
    let mut statuses = answers.into_iter();
    site.collector
        .answer_by(move |_| Answer::with(statuses.next().expect("a request more")).header("location", url.clone()));
    let telemd = site.sandbox.start_telemd();
    for record in ["1", "2", "3", "4", "5"] {
        site.send(record);
    }
    let requests: Vec<Received> =
        answers.iter().map(|_| site.collector.received().recv_timeout(PATIENCE).expect("a request")).collect();
    assert_eq!(requests.iter().map(|request| request.status).collect::<Vec<u16>>(), answers);
    let mut attempts: BTreeMap<String, Vec<&Received>> = BTreeMap::new();
    for request in &requests {
        attempts.entry(request.header(RECORD_ID).unwrap()).or_default().push(request);
    }
    assert_eq!(attempts.len(), 5, "a record keeps its id");
    for attempts in attempts.values() {
        let (last, before) = attempts.split_last().unwrap();
        assert_eq!(last.status, 201);
        assert!(before.iter().all(|request| request.status != 201 && request.body == last.body));
    }
    site.wait_until_the_spool_is_empty();
    // Of two at a time, only one is told of.
    assert!(telemd.log().contains("the server answered 30"), "{}", telemd.log());
    assert!(other.received().try_recv().is_err(), "nothing came to the other server");
}

#[test]
fn a_server_that_fails_half_of_the_time_gets_every_record_once() {
    const RECORDS: usize = 12;
    let site = Site::new(Collector::start().unwrap());
    // Runs of one, two and three failures.
    let mut fails = [true, false, false, true, true, false, true, true, true, false, false, false].into_iter().cycle();
    site.collector.answer_by(move |_| Answer::with(if fails.next().unwrap() { 500 } else { 201 }));
    let _telemd = site.sandbox.start_telemd();
    let mut sent: Vec<String> = (0..RECORDS).map(|number| format!("record {number}")).collect();
    for record in &sent {
        site.send(record);
    }
    let received = site.take(RECORDS, PATIENCE);
    sent.sort();
    assert_eq!(payloads(&received), sent);
    site.wait_until_the_spool_is_empty();
    assert!(site.collector.received().try_recv().is_err());
}

/// Refused connections; also the end of connections that are kept. 5 seconds,
/// or what `make check-long` says.
#[test]
fn after_an_outage_everything_arrives_without_help() {
    let seconds = env::var("TELEMETRY_OUTAGE_SECONDS").map_or(5, |seconds| seconds.parse().expect("seconds"));
    let outage = Duration::from_secs(seconds);
    let site = Site::new(Collector::start().unwrap());
    let telemd = site.sandbox.start_telemd();
    site.send("before");
    assert_eq!(payloads(&site.take(1, PATIENCE)), ["before"]);
    site.wait_until_the_spool_is_empty();

    site.door.close();
    let start = Instant::now();
    let mut sent = Vec::new();
    while start.elapsed() < outage {
        sent.push(format!("meanwhile {}", sent.len()));
        site.send(&sent[sent.len() - 1]);
        thread::sleep(Duration::from_millis(250));
    }
    assert!(telemd.log().contains("Connection refused"), "{}", telemd.log());
    site.door.open().unwrap();
    // The pause after the last failure is at most twice the outage.
    let received = site.take(sent.len(), 2 * outage + PATIENCE);
    sent.sort();
    assert_eq!(payloads(&received), sent);
    site.wait_until_the_spool_is_empty();
    assert!(telemd.log().contains("delivery works again"), "{}", telemd.log());
    println!("{} records of an outage of {seconds} s arrived {:?} after its begin", sent.len(), start.elapsed());
}
