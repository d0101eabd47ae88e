//! The proxy variables of telemd's environment: honoured, and never a reason
//! to send unencrypted what should be under TLS, or to go around the proxy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use collector::certificates::{Authority, Identity, Subject};
use collector::door::{Door, header, read_request, relay};
use collector::{Collector, Received};
use libtelemetry_acceptance::memory::Memory;
use libtelemetry_acceptance::site::{Site, payloads, wait_for_log};
use sandbox::wait_until;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(20);
const HOST: &str = "127.0.0.1";
const SECRET: &str = "the secret payload";
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// What a proxy saw.
#[derive(Clone, Default)]
struct Seen {
    requests: Arc<Mutex<Vec<String>>>,
    relayed: Arc<Mutex<Vec<u8>>>,
}

impl Seen {
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// What it relayed is TLS, and has no word of a record.
    fn assert_only_tls(&self) {
        wait_until("it has seen something", || !self.relayed.lock().unwrap().is_empty());
        let relayed = self.relayed.lock().unwrap();
        assert!(matches!(relayed.as_slice(), [0x16, 3, 1..=3, ..]), "{relayed:?}");
        let text = String::from_utf8_lossy(&relayed);
        for word in [SECRET, "POST", "/v2/collector", "org.example", "machine-id", "Machine-Id"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
}

/// A proxy that only relays.
fn connect_proxy() -> (Door, Seen) {
    let seen = Seen::default();
    let Seen { requests, relayed } = seen.clone();
    let proxy = proxy_that(move |mut client| {
        let Ok(request) = read_request(&mut client) else { return };
        let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
        requests.lock().unwrap().push(request);
        let Some(server) = target.and_then(|target| TcpStream::connect(target).ok()) else { return };
        // In pieces, as networks do.
        let (first, second) = ESTABLISHED.split_at(15);
        let _ = client.write_all(first);
        thread::sleep(Duration::from_millis(20));
        let _ = client.write_all(second);
        let _ = relay(client, &server, |bytes| relayed.lock().unwrap().extend(bytes));
    });
    (proxy, seen)
}

fn proxy_that(treatment: impl Fn(&TcpStream) + Send + Sync + 'static) -> Door {
    let door = Door::to(SocketAddr::from(([127, 0, 0, 1], 1))).unwrap();
    door.mistreat(treatment);
    door
}

fn https_site(shown: &Identity) -> Site {
    let site = Site::new(Collector::start_tls(shown).unwrap());
    site.sandbox.write("/etc/site.pem", shown.pem());
    site.configure("cainfo=/etc/site.pem");
    site
}

fn http_site() -> Site {
    Site::new(Collector::start().unwrap())
}

/// Sends two records; the requests in which they came.
fn deliver(site: &Site, environment: &[(&str, &str)]) -> Vec<Received> {
    let _telemd = site.sandbox.start_telemd_with(environment);
    site.send(SECRET);
    site.send("second");
    let received = site.take(2, PATIENCE);
    assert_eq!(payloads(&received), ["second", SECRET]);
    site.wait_until_the_spool_is_empty();
    received
}

#[test]
fn https_goes_through_the_proxy_as_tls() {
    for variable in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        let site = https_site(&Subject::host(HOST).self_signed());
        let (proxy, seen) = connect_proxy();
        deliver(&site, &[(variable, &format!("http://{}", proxy.address()))]);
        let server = site.door.address();
        let requests = seen.requests();
        assert_eq!(requests.len(), site.door.visits(), "{variable}: no connection goes around the proxy");
        assert!(requests[0].starts_with(&format!("CONNECT {server} HTTP/1.1\r\n")), "{requests:?}");
        assert_eq!(header(&requests[0], "user-agent"), None);
        seen.assert_only_tls();
    }
}

#[test]
fn http_goes_through_the_proxy_too_and_password_and_proxy_headers_end_there() {
    let site = http_site();
    let (proxy, seen) = connect_proxy();
    let received = deliver(&site, &[("http_proxy", &format!("http://user:p%40ss@{}", proxy.address()))]);
    let requests = seen.requests();
    assert_eq!(requests.len(), site.door.visits());
    // user:p@ss
    assert_eq!(header(&requests[0], "proxy-authorization"), Some("Basic dXNlcjpwQHNz"));
    for (name, _) in received.iter().flat_map(|received| &received.headers) {
        assert!(!name.starts_with("proxy-"), "{name}");
    }
}

#[test]
fn hosts_of_no_proxy_and_other_schemes_are_reached_directly() {
    let (proxy, seen) = connect_proxy();
    let address = format!("http://{}", proxy.address());
    let https = https_site(&Subject::host(HOST).self_signed());
    deliver(&https, &[("https_proxy", &address), ("no_proxy", "other.example,127.0.0.1")]);
    deliver(&https, &[("http_proxy", &address)]);
    let http = http_site();
    deliver(&http, &[("all_proxy", &address), ("NO_PROXY", "127.0.0.1")]);
    deliver(&http, &[("https_proxy", &address)]);
    assert_eq!((seen.requests(), proxy.visits()), (Vec::new(), 0));
    // And only them.
    deliver(&http, &[("all_proxy", &address), ("no_proxy", "127.0.0.2,0.0.1")]);
    assert!(!seen.requests().is_empty());
}

/// A proxy under TLS, which relays what is under TLS itself.
fn tls_proxy(identity: &Identity) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let targets: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&targets);
    let acceptor = TlsAcceptor::from(identity.server_config());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind((HOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut client) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(client.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                let target = request.split(' ').nth(1).unwrap().to_owned();
                let mut server = tokio::net::TcpStream::connect(&target).await.unwrap();
                seen.lock().unwrap().push(target);
                client.write_all(ESTABLISHED).await.unwrap();
                // One client at a time is enough here. Its end may be abrupt.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    });
    (address, targets)
}

#[test]
fn a_proxy_under_tls_is_verified_and_the_server_behind_it_too() {
    let authority = Authority::new("Site");
    let site = https_site(&authority.sign(Subject::host(HOST)));
    site.sandbox.write("/etc/site.pem", authority.pem());
    let (proxy, targets) = tls_proxy(&authority.sign(Subject::host(HOST)));
    deliver(&site, &[("https_proxy", &format!("https://{proxy}"))]);
    assert_eq!(*targets.lock().unwrap(), [site.door.address().to_string()]);

    let (stranger, targets) = tls_proxy(&Authority::new("Stranger").sign(Subject::host(HOST)));
    let visits = site.door.visits();
    let telemd = site.sandbox.start_telemd_with(&[("https_proxy", &format!("https://{stranger}"))]);
    site.send(SECRET);
    wait_for_log(&telemd, "UnknownIssuer", PATIENCE);
    assert_eq!((targets.lock().unwrap().len(), site.door.visits()), (0, visits));
    telemd.kill();

    let wrong_server = Collector::start_tls(&Authority::new("Stranger").sign(Subject::host(HOST))).unwrap();
    site.door.lead_to(wrong_server.address());
    let telemd = site.sandbox.start_telemd_with(&[("https_proxy", &format!("https://{proxy}"))]);
    wait_for_log(&telemd, "UnknownIssuer", PATIENCE);
    assert!(wrong_server.received().try_recv().is_err());
}

/// SOCKS 5 (RFC 1928), as far as relaying needs it.
fn socks(mut client: &TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut byte = [0; 1];
    let mut two = [0; 2];
    client.read_exact(&mut two)?;
    let mut methods = vec![0; usize::from(two[1])];
    client.read_exact(&mut methods)?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 4];
    client.read_exact(&mut request)?;
    let host = match request[3] {
        1 => {
            let mut address = [0; 4];
            client.read_exact(&mut address)?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        _ => {
            client.read_exact(&mut byte)?;
            let mut name = vec![0; usize::from(byte[0])];
            client.read_exact(&mut name)?;
            String::from_utf8(name).expect("a host name")
        }
    };
    client.read_exact(&mut two)?;
    let target = format!("{host}:{}", u16::from_be_bytes(two));
    seen.requests.lock().unwrap().push(target.clone());
    let server = TcpStream::connect(target)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    relay(client, &server, |bytes| seen.relayed.lock().unwrap().extend(bytes))
}

#[test]
fn socks_proxies_relay_tls_too() {
    for scheme in ["socks5", "socks5h"] {
        let site = https_site(&Subject::host(HOST).self_signed());
        let seen = Seen::default();
        let inside = seen.clone();
        let proxy = proxy_that(move |client| drop(socks(client, &inside)));
        deliver(&site, &[("all_proxy", &format!("{scheme}://{}", proxy.address()))]);
        let requests = seen.requests();
        assert!(!requests.is_empty() && requests.iter().all(|target| *target == site.door.address().to_string()));
        seen.assert_only_tls();
    }
}

/// Without a working proxy records wait; they do not go around it.
fn assert_waits(site: &Site, environment: &[(&str, &str)], reason: &str) {
    let telemd = site.sandbox.start_telemd_with(environment);
    site.send(SECRET);
    wait_for_log(&telemd, reason, PATIENCE);
    assert_eq!(site.door.visits(), 0, "{reason}: nothing goes around the proxy");
    let memory = Memory::of(telemd.pid());
    assert!(memory.peak <= 8 * 1024, "{memory:?}");
    telemd.kill();
    // Later, with another environment, they arrive.
    let _telemd = site.sandbox.start_telemd();
    assert_eq!(payloads(&site.take(1, PATIENCE)), [SECRET]);
}

#[test]
fn a_proxy_that_fails_or_is_not_understood_is_not_gone_around() {
    let site = || https_site(&Subject::host(HOST).self_signed());
    let through = |proxy: &Door| format!("http://{}", proxy.address());
    let request_then = |answer: &'static [u8]| {
        proxy_that(move |mut client| {
            let _ = read_request(&mut client);
            let _ = client.write_all(answer);
        })
    };
    let closed = proxy_that(|_| ());
    closed.close();
    let endless = proxy_that(|mut client| {
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\n");
        while client.write_all(&b"x-more: and more\r\n".repeat(100)).is_ok() {}
    });
    let silent = proxy_that(|mut client| drop(client.read_to_end(&mut Vec::new())));
    let denied = request_then(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    let garbage = request_then(b"220 mail.example ESMTP\r\n");
    thread::scope(|scope| {
        for (proxy, reason) in [
            (closed, "Connection refused"),
            (denied, "proxy server responded 407"),
            (garbage, "protocol"),
            (endless, "not delivered"),
            (silent, "timeout: connect"),
        ] {
            scope.spawn(move || assert_waits(&site(), &[("https_proxy", &through(&proxy))], reason));
        }
        let unknown = "https_proxy in the environment is not understood";
        scope.spawn(move || assert_waits(&site(), &[("https_proxy", "ftp://user:hidden@127.0.0.1:1")], unknown));
    });
}

/// A proxy that plays the server itself.
#[test]
fn a_proxy_that_answers_for_the_server_gets_no_byte_of_a_record() {
    let site = https_site(&Subject::host(HOST).self_signed());
    let (ends, ended) = mpsc::channel();
    let proxy = proxy_that(move |mut client| {
        let _ = read_request(&mut client);
        let _ = client.write_all(ESTABLISHED);
        let _ = client.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
        let mut bytes = Vec::new();
        let _ = client.read_to_end(&mut bytes);
        let _ = ends.send(bytes);
    });
    assert_waits(&site, &[("https_proxy", &format!("http://{}", proxy.address()))], "not delivered: ");
    let relayed = ended.recv().unwrap();
    // Nothing at all, if the answer came with the one to CONNECT.
    if !relayed.is_empty() {
        Seen { relayed: Arc::new(Mutex::new(relayed)), ..Seen::default() }.assert_only_tls();
    }
}
