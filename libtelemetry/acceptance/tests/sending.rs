//! What `tm_send_record` gives for every kind of peer.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libtelemetry_acceptance::peer::{self, acknowledge, read_frame};
use libtelemetry_acceptance::{Program, compile_preloaded, stdout_of};
use record::frame::Frame;
use record::header::Header;
use sandbox::{Sandbox, wait_until};
use tempfile::TempDir;

/// An opted-in machine, and the program that sends.
struct Machine {
    sandbox: Sandbox,
    program: Program,
}

/// What a send came to.
#[derive(Debug, PartialEq)]
struct Sent {
    result: i32,
    milliseconds: u64,
    cpu_milliseconds: u64,
}

impl Machine {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.opt_in();
        Self { sandbox, program: Program::compile("send.c") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(&self.program.path);
        command.args(arguments);
        command
    }

    fn send(&self, arguments: &[&str]) -> Sent {
        parse(&stdout_of(&mut self.command(arguments))).remove(0)
    }

    fn listen(&self, path: &str) -> UnixListener {
        UnixListener::bind(self.sandbox.path(path)).unwrap()
    }

    /// Starts a peer that handles each connection in its way.
    fn peer(&self, handle: impl Fn(UnixStream) + Clone + Send + 'static) {
        peer::listen(&self.sandbox, "/run/telem-0", handle);
    }

    /// The result of a send to such a peer.
    fn send_to(&self, handle: impl Fn(UnixStream) + Clone + Send + 'static) -> Sent {
        self.peer(handle);
        self.send(&[])
    }
}

fn parse(output: &str) -> Vec<Sent> {
    let sent = |line: &str| {
        let mut fields = line.split(' ');
        let mut field = || fields.next().unwrap();
        Sent {
            result: field().parse().unwrap(),
            milliseconds: field().parse().unwrap(),
            cpu_milliseconds: field().parse().unwrap(),
        }
    };
    output.lines().map(sent).collect()
}

/// A peer that takes frames and hands them on.
fn acknowledging() -> (impl Fn(UnixStream) + Clone + Send + 'static, mpsc::Receiver<Vec<u8>>) {
    let (sender, frames) = mpsc::channel();
    (move |connection| sender.send(acknowledge(connection).unwrap()).unwrap(), frames)
}

#[test]
fn acknowledged_a_status_of_0_is_success() {
    let (peer, frames) = acknowledging();
    assert_eq!(Machine::new().send_to(peer).result, 0);
    assert_eq!(Frame::decode(&frames.recv().unwrap()).unwrap().payload, b"ping");
}

#[test]
fn acknowledged_a_negative_status_is_the_result() {
    for status in [-libc::ENOSPC, -libc::EPERM, -libc::ECONNREFUSED, -4095] {
        let sent = Machine::new().send_to(move |mut connection| {
            connection.write_all(b"TMA1").unwrap();
            read_frame(&mut connection).unwrap();
            connection.write_all(&status.to_le_bytes()).unwrap();
        });
        assert_eq!(sent.result, status);
    }
}

#[test]
fn acknowledged_a_status_in_single_bytes_is_read_whole() {
    let sent = Machine::new().send_to(|mut connection| {
        read_frame(&mut connection).unwrap();
        for byte in [b"TMA1".as_slice(), &(-libc::EIO).to_le_bytes()].concat() {
            connection.write_all(&[byte]).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
    });
    assert_eq!(sent.result, -libc::EIO);
}

#[test]
fn the_c_daemon_which_writes_nothing_and_closes_means_0() {
    let sent = Machine::new().send_to(|mut connection| {
        read_frame(&mut connection).unwrap();
    });
    assert_eq!(sent.result, 0);
}

#[test]
fn a_banner_and_the_end_of_the_connection_mean_not_taken() {
    let sent = Machine::new().send_to(|mut connection| {
        connection.write_all(b"TMA1").unwrap();
        read_frame(&mut connection).unwrap();
    });
    assert_eq!(sent.result, -libc::ECONNRESET);
}

#[test]
fn a_reset_means_not_taken_with_and_without_a_banner() {
    for banner in ["TMA1", "TM", ""] {
        let sent = Machine::new().send_to(move |mut connection| {
            connection.write_all(banner.as_bytes()).unwrap();
            // Bytes that were not read make the close a reset. They are there
            // when the first of them is.
            connection.read_exact(&mut [0]).unwrap();
        });
        assert_eq!(sent.result, -libc::ECONNRESET, "{banner:?}");
    }
}

#[test]
fn no_answer_in_5_seconds_is_a_timeout() {
    for banner in ["TMA1", ""] {
        let sent = Machine::new().send_to(move |mut connection| {
            connection.write_all(banner.as_bytes()).unwrap();
            read_frame(&mut connection).unwrap();
            thread::sleep(Duration::from_secs(60));
        });
        assert_eq!(sent.result, -libc::ETIMEDOUT, "{banner:?}");
        assert!((4900..10_000).contains(&sent.milliseconds), "{sent:?}");
    }
}

#[test]
fn an_answer_that_comes_late_is_waited_for() {
    let sent = Machine::new().send_to(|mut connection| {
        thread::sleep(Duration::from_secs(2));
        read_frame(&mut connection).unwrap();
        connection.write_all(b"TMA1\0\0\0\0").unwrap();
    });
    assert_eq!(sent.result, 0);
}

#[test]
fn a_peer_that_is_no_telemetry_daemon_is_an_error() {
    for answer in [b"HTTP/1.1 400 Bad Request".as_slice(), b"TMA1\x01\0\0\0", b"TMA2\0\0\0\0"] {
        let sent = Machine::new().send_to(move |mut connection| {
            read_frame(&mut connection).unwrap();
            connection.write_all(answer).unwrap();
            connection.shutdown(std::net::Shutdown::Write).unwrap();
        });
        assert_eq!(sent.result, -libc::EPROTO, "{answer:?}");
    }
}

#[test]
fn a1_a_record_without_payload_is_sent_with_an_empty_one() {
    let machine = Machine::new();
    let (peer, frames) = acknowledging();
    machine.peer(peer);
    assert_eq!(machine.send(&["-n"]).result, 0);
    let frame = frames.recv().unwrap();
    assert_eq!(Frame::decode(&frame).unwrap().payload, b"");
}

#[test]
fn the_frame_holds_the_headers_and_the_chosen_file() {
    let machine = Machine::new();
    machine.sandbox.write("/etc/chosen file.conf", "");
    let (peer, frames) = acknowledging();
    machine.peer(peer);
    let id = "00112233445566778899aabbccddeeff";
    assert_eq!(machine.send(&["-c", "/etc/chosen file.conf", "-e", id]).result, 0);
    let bytes = frames.recv().unwrap();
    let frame = Frame::decode(&bytes).unwrap();
    assert_eq!(frame.config, Some(b"/etc/chosen file.conf".as_slice()));
    let header = |header| std::str::from_utf8(frame.headers.get(header)).unwrap();
    assert_eq!(header(Header::EventId), id);
    assert_eq!(header(Header::Classification), "org.example/demo/ping");
    assert_eq!(header(Header::Severity), "2");
    assert_eq!(header(Header::MachineId), "FFFFFFFF");
}

#[test]
fn a_record_can_be_sent_again_and_stays_the_same() {
    let machine = Machine::new();
    let (peer, frames) = acknowledging();
    machine.peer(peer);
    let results: Vec<i32> =
        parse(&stdout_of(&mut machine.command(&["-r", "3"]))).iter().map(|sent| sent.result).collect();
    assert_eq!(results, [0, 0, 0]);
    let [first, second, third] = [(); 3].map(|()| frames.recv().unwrap());
    assert!(first == second && second == third);
}

#[test]
fn a8_a_peer_that_closes_first_gives_an_error_and_no_signal() {
    let machine = Machine::new();
    machine.peer(drop);
    // Depending on who is first, the write or the wait for the answer fails;
    // the C library's host would have died of SIGPIPE.
    for _ in 0..50 {
        let result = machine.send(&[]).result;
        assert!([-libc::EPIPE, -libc::ECONNRESET].contains(&result), "{result}");
    }
}

#[test]
fn a8_a_refusal_before_the_end_of_the_frame_is_told() {
    let machine = Machine::new();
    let sent = machine.send_to(|mut connection| {
        connection.write_all(b"TMA1").unwrap();
        connection.write_all(&(-libc::EMSGSIZE).to_le_bytes()).unwrap();
    });
    assert_eq!(sent.result, -libc::EMSGSIZE);
}

#[test]
fn a9_a_full_backlog_is_a_timeout_after_1_second() {
    let machine = Machine::new();
    let listener = machine.listen("/run/telem-0");
    let path = machine.sandbox.path("/run/telem-0");
    // Nobody accepts; connect until nobody can.
    let (sender, connected) = mpsc::channel();
    thread::spawn(move || {
        let mut connections = Vec::new();
        while let Ok(connection) = UnixStream::connect(&path) {
            connections.push(connection);
            let _ = sender.send(());
        }
    });
    while connected.recv_timeout(Duration::from_millis(500)).is_ok() {}
    let sent = machine.send(&[]);
    assert_eq!(sent.result, -libc::ETIMEDOUT);
    assert!((900..4000).contains(&sent.milliseconds), "{sent:?}");
    drop(listener);
}

#[test]
fn a11_a_peer_that_does_not_read_is_waited_for_without_burning_the_processor() {
    let machine = Machine::new();
    machine.peer(|connection| {
        thread::sleep(Duration::from_secs(60));
        drop(connection);
    });
    // A frame fits in the default buffer of a socket, so the buffer is made
    // small, from outside of the library.
    let directory = TempDir::new().unwrap();
    let small_buffer = directory.path().join("small_buffer.so");
    compile_preloaded("small_buffer.c", &small_buffer);
    let payload = "x".repeat(8192);
    let mut command = machine.command(&["-p", &payload]);
    command.env("LD_PRELOAD", &small_buffer);
    let sent = parse(&stdout_of(&mut command)).remove(0);
    assert_eq!(sent.result, -libc::EAGAIN);
    assert!((900..4000).contains(&sent.milliseconds), "{sent:?}");
    assert!(sent.cpu_milliseconds < 200, "{sent:?}");
}

#[test]
fn a12_a_file_chosen_after_a_send_counts_for_the_socket_too() {
    let machine = Machine::new();
    let program = Program::compile("choose_later.c");
    machine.sandbox.write("/etc/other.conf", "[settings]\nsocket_path=/run/other\n");
    let (first, first_frames) = acknowledging();
    machine.peer(first);
    let other = machine.listen("/run/other");
    let (second, second_frames) = acknowledging();
    thread::spawn(move || second(other.accept().unwrap().0));
    stdout_of(machine.sandbox.command(&program.path).arg("/etc/other.conf"));
    assert_eq!(Frame::decode(&first_frames.recv().unwrap()).unwrap().config, None);
    let frame = second_frames.recv().unwrap();
    assert_eq!(Frame::decode(&frame).unwrap().config, Some(b"/etc/other.conf".as_slice()));
}

#[test]
fn a26_a_changed_socket_path_is_noticed() {
    let machine = Machine::new();
    let (first, first_frames) = acknowledging();
    machine.peer(first);
    let mut sender = machine.command(&["-r", "1000000"]).stdout(Stdio::null()).spawn().unwrap();
    first_frames.recv_timeout(Duration::from_secs(10)).expect("a record arrives at the first socket");
    let other = machine.listen("/run/other");
    machine.sandbox.configure("socket_path=/run/other");
    // The same process goes to the new socket.
    other.set_nonblocking(true).unwrap();
    wait_until("the sender comes to the new socket", || {
        while first_frames.try_recv().is_ok() {}
        other.accept().is_ok()
    });
    sender.kill().unwrap();
    sender.wait().unwrap();
}

#[test]
fn a14_nothing_is_printed_whatever_happens() {
    let machine = Machine::new();
    let check = |arguments: &[&str], what: &str| {
        let output = machine.command(arguments).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{what}");
        assert_eq!(
            output.stdout.iter().filter(|&&byte| byte == b'\n').count(),
            1,
            "{what}: only the program's own line"
        );
    };
    check(&[], "no socket");
    machine.sandbox.configure("record_expiry=abc");
    check(&[], "a malformed configuration");
    fs::remove_file(machine.sandbox.path("/etc/telemetrics/telemetrics.conf")).unwrap();
    machine.peer(drop);
    check(&[], "a peer that closes");
    machine.sandbox.opt_out();
    check(&[], "no consent");
}

#[test]
fn without_consent_the_library_looks_at_nothing_but_the_opt_in_file() {
    let machine = Machine::new();
    machine.sandbox.opt_out();
    let mut command = machine.sandbox.command("strace");
    command.args(["-qq", "-e", "trace=network,%file"]).arg(&machine.program.path);
    let output = command.output().unwrap();
    let trace = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(trace.contains("opt-in"), "{trace}");
    assert!(!trace.contains("socket("), "{trace}");
    assert!(!trace.contains("telemetrics.conf"), "{trace}");
}

#[test]
fn debug_messages_go_to_the_system_log_and_only_on_request() {
    let machine = Machine::new();
    let log = std::os::unix::net::UnixDatagram::bind(machine.sandbox.path("/run/log")).unwrap();
    log.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let directory = TempDir::new().unwrap();
    let redirect = directory.path().join("log_socket.so");
    compile_preloaded("log_socket.c", &redirect);
    let mut message = [0; 1000];

    stdout_of(machine.command(&[]).env("LD_PRELOAD", &redirect));
    assert!(log.recv(&mut message).is_err(), "nothing is logged without the variable");

    let output = machine.command(&[]).env("LD_PRELOAD", &redirect).env("TELEMETRY_DEBUG", "1").output().unwrap();
    let len = log.recv(&mut message).expect("a message");
    let text = String::from_utf8_lossy(&message[..len]).into_owned();
    assert!(text.contains("libtelemetry: connection to telemd: No such file or directory"), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
