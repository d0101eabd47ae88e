//! Clients that mean harm, or could as well: what they send is refused or kept
//! whole, and nobody else notices them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IoSlice, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use libtelemetry_acceptance::client::{connect, frame, header_block, send, status};
use libtelemetry_acceptance::machine::Machine;
use libtelemetry_acceptance::{Program, stdout_of};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sandbox::{TELEMD, Telemd, wait_at_most, wait_until};

/// Descriptors of a process as service managers start it.
const DESCRIPTORS: &str = "--nofile=1024:";
/// Resident memory that telemd may take whatever its clients do, in kB.
const MEMORY_MAX: u64 = 24 * 1024;
/// Longest life of a connection.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long the end of a connection takes that a client passes.
const LINGER: Duration = Duration::from_secs(4);
/// How long readers wait for the next connection, and then end.
const IDLE: Duration = Duration::from_secs(10);

/// A machine that hostile clients meet, and what its telemd held before.
struct Victim {
    machine: Machine,
    telemd: Telemd,
    threads: usize,
    descriptors: usize,
}

impl Victim {
    fn new() -> Self {
        let machine = Machine::configured("spool_max_size=-1");
        let mut command = machine.sandbox.command("prlimit");
        command.args([DESCRIPTORS, TELEMD]);
        let telemd = machine.sandbox.start_telemd_by(command);
        let mut victim = Self { machine, telemd, threads: 0, descriptors: 0 };
        // With a connection to the collector, and a reader.
        victim.good_record_arrives();
        victim.threads = victim.count("task");
        victim.descriptors = victim.count("fd");
        victim
    }

    fn count(&self, entries: &str) -> usize {
        fs::read_dir(self.telemd.proc(entries)).unwrap().count()
    }

    fn send(&self, bytes: &[u8]) -> Option<i32> {
        send(&self.machine.sandbox, bytes)
    }

    fn connect(&self) -> UnixStream {
        connect(&self.machine.sandbox)
    }

    /// Bodies that arrive up to the next good record, which must come.
    fn good_record_arrives(&self) -> Vec<Vec<u8>> {
        assert_eq!(self.send(&frame(None, "2", b"good")), Some(0), "{}", self.telemd.log());
        let bodies = std::iter::from_fn(|| Some(self.machine.receive().body));
        bodies.take_while(|body| body != b"good\n").collect()
    }

    /// It works, holds no connection of those who are gone, and has not grown
    /// out of bounds. Gives what arrived: bodies, and how often.
    fn is_unharmed(&self, after: &str) -> BTreeMap<String, usize> {
        let mut bodies = self.good_record_arrives();
        wait_until("descriptors are given back", || self.count("fd") <= self.descriptors);
        wait_until("the spool is empty", || self.machine.spooled().is_empty());
        bodies.extend(self.machine.collector.received().try_iter().map(|received| received.body));
        let memory = self.telemd.kilobytes("VmRSS");
        println!("telemd after {after}: {memory} kB resident (limit {MEMORY_MAX})");
        assert!(memory <= MEMORY_MAX);
        counted(bodies)
    }

    /// Readers end when there is nothing to read.
    fn threads_are_given_back(&self) {
        wait_at_most(2 * IDLE, "threads are given back", || self.count("task") <= self.threads);
    }
}

/// A connection whose end waits as long as its maker wants: it has data that
/// nobody reads.
fn lingering() -> (TcpListener, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    socket2::SockRef::from(&stream).set_linger(Some(LINGER)).unwrap();
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 65536]).is_ok() {}
    (listener, stream)
}

/// Writes bytes, and passes a descriptor with them.
fn write_with(connection: &UnixStream, bytes: &[u8], descriptor: &impl AsRawFd) {
    let rights = [ControlMessage::ScmRights(&[descriptor.as_raw_fd()])];
    // Who has the answer already may send no more.
    let _ = sendmsg::<()>(connection.as_raw_fd(), &[IoSlice::new(bytes)], &rights, MsgFlags::MSG_NOSIGNAL, None);
}

fn counted(bodies: impl IntoIterator<Item = impl AsRef<[u8]>>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for body in bodies {
        *counts.entry(String::from_utf8_lossy(body.as_ref()).into_owned()).or_default() += 1;
    }
    counts
}

/// The worked example of the format, with these sizes.
fn sized(record_size: u32, header_size: u32) -> Vec<u8> {
    [&record_size.to_le_bytes(), &header_size.to_le_bytes(), header_block("2").as_slice(), b"ping\0"].concat()
}

fn boundaries(around: u32) -> impl Iterator<Item = u32> {
    let far = [13_499, 13_500, 13_501, i32::MAX as u32, 1 << 31, u32::MAX - 8, u32::MAX - 4, u32::MAX];
    (0..=around + 20).chain(far)
}

fn is_refused(status: Option<i32>) -> bool {
    matches!(status, Some(errno) if [-libc::EMSGSIZE, -libc::EINVAL].contains(&errno))
}

#[test]
fn w3_every_length_may_be_a_lie_and_nothing_is_kept_that_was_not_sent() {
    let victim = Victim::new();
    let block = header_block("2");
    let (record_len, block_len) = (sized(0, 0).len() as u32, block.len() as u32);
    let text = [&block, b"ping".as_slice()].concat();
    let mut expected = Vec::new();
    for size in boundaries(record_len) {
        let status = victim.send(&sized(size, block_len));
        match size {
            _ if size == record_len => assert_eq!(status, Some(0)),
            // The end is not where it is said to be: what is there is kept.
            _ if size > 8 + block_len && size < record_len => assert!(status == Some(0) || is_refused(status)),
            0..=8 | 13_501.. => assert_eq!(status, Some(-libc::EMSGSIZE), "record_size {size}"),
            _ => assert!(is_refused(status), "record_size {size}: {status:?}"),
        }
        if status == Some(0) {
            expected.push([&text[block_len as usize..(size as usize - 8).min(text.len())], b"\n"].concat());
        }
    }
    let last_line = block_len - b"event_id: 0123456789abcdef0123456789abcdef\n".len() as u32;
    for size in boundaries(record_len) {
        let status = victim.send(&sized(record_len, size));
        match size {
            _ if size == block_len => assert_eq!(status, Some(0)),
            _ if size > last_line && size < record_len - 8 => assert!(status == Some(0) || is_refused(status)),
            _ => assert!(is_refused(status), "header_size {size}: {status:?}"),
        }
        if status == Some(0) {
            expected.push([&text[size as usize..], b"\n"].concat());
        }
    }
    assert_eq!(victim.is_unharmed("lies about lengths"), counted(expected));
}

#[test]
fn w3_a_configuration_field_may_be_anything_and_nothing_is_sent_for_it() {
    let victim = Victim::new();
    let rest = [&345u32.to_le_bytes(), header_block("2").as_slice(), b"ping"].concat();
    let with_field = |field: &[u8], end: &[u8]| {
        let size = (4 + field.len() + rest.len() + end.len()) as u32;
        [&size.to_le_bytes(), field, &rest, end].concat()
    };
    let long = |len: usize| [b"CFG:/".as_slice(), &vec![b'a'; len], b"\0"].concat();
    let fields: [&[u8]; 9] = [
        b"CFG:\0",
        b"CFG:relative\0",
        b"CFG:/new\nline\0",
        b"CFG:/escape\x1b\0",
        b"CFG:/etc/alt.conf",
        b"CFG",
        b"CFG:CFG:/etc/alt.conf\0",
        &long(4092),
        &long(13_000),
    ];
    for field in fields {
        for end in [b"\0".as_slice(), b""] {
            let status = victim.send(&with_field(field, end));
            assert!(is_refused(status), "{:?}: {status:?}", String::from_utf8_lossy(field));
        }
    }
    let only_fields: [&[u8]; 4] = [b"CFG:", b"CFG:/", b"CFG:/etc/alt.conf\0", b"CFG:/etc/alt.conf\0\0\0\0\0"];
    for field in only_fields {
        let frame = [&(4 + field.len() as u32).to_le_bytes(), field].concat();
        assert!(is_refused(victim.send(&frame)), "{field:?}");
    }
    for path in ["/nonexistent", "/dev/zero", "/etc", "/proc/self/mem"] {
        let status = victim.send(&frame(Some(path.as_bytes()), "2", b"ping"));
        assert_eq!(status, Some(-libc::EPERM), "{path}");
    }
    assert!(victim.is_unharmed("configuration fields").is_empty());
}

#[test]
fn w2_eight_clients_that_write_byte_by_byte_are_all_served() {
    let victim = Victim::new();
    thread::scope(|scope| {
        for mut connection in (0..8).map(|_| victim.connect()) {
            scope.spawn(move || {
                for byte in frame(None, "2", &[b'p'; 1000]) {
                    connection.write_all(&[byte]).unwrap();
                }
                assert_eq!(status(connection).unwrap(), Some(0));
            });
        }
    });
    assert_eq!(victim.is_unharmed("single bytes"), counted(vec![[[b'p'; 1000].as_slice(), b"\n"].concat(); 8]));
}

#[test]
fn clients_that_leave_at_any_byte_of_a_frame_leave_nothing() {
    let victim = Victim::new();
    let frame = frame(None, "2", b"whole");
    for len in 0..=frame.len() {
        let mut connection = victim.connect();
        connection.write_all(&frame[..len]).unwrap();
    }
    assert_eq!(victim.is_unharmed("clients that left"), counted([b"whole\n"]));
}

#[test]
fn clients_that_never_read_are_served_like_others() {
    let victim = Victim::new();
    let connections: Vec<UnixStream> = (0..300)
        .map(|_| {
            let mut connection = victim.connect();
            connection.write_all(&frame(None, "2", b"unread")).unwrap();
            // More than telemd will ever read.
            let _ = connection.write_all(&[b'x'; 20_000]);
            connection
        })
        .collect();
    assert_eq!(victim.is_unharmed("clients that never read"), counted([b"unread\n"; 300]));
    victim.threads_are_given_back();
    drop(connections);
}

/// Bytes without sense, or a frame to which something happened.
fn noise(random: &mut StdRng) -> Vec<u8> {
    let mut bytes = frame(random.random_bool(0.1).then_some(b"/etc/alt.conf"), "2", b"noise");
    match random.random_range(0..5) {
        0 => {
            bytes = vec![0; random.random_range(0..20_000)];
            random.fill(bytes.as_mut_slice());
        }
        1 => {
            let len = random.random_range(9..13_500u32);
            bytes = vec![0; len as usize];
            random.fill(bytes.as_mut_slice());
            bytes[..4].copy_from_slice(&len.to_le_bytes());
        }
        2 => bytes.truncate(random.random_range(0..bytes.len())),
        _ => {
            let special = [0, b'\n', b'\r', b':', 0x1b, 0x1e, 0x7f, 0x80, 0xff];
            for _ in 0..random.random_range(1..4) {
                // Behind the sizes, so that something of it is accepted.
                let position = random.random_range(8..bytes.len());
                bytes[position] = *special.choose(random).unwrap();
            }
        }
    }
    bytes
}

#[test]
fn random_bytes_neither_stop_telemd_nor_reach_the_collector_as_control_characters() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("random bytes: SEED={seed} gives the same ones");
    let mut random = StdRng::seed_from_u64(seed);
    let victim = Victim::new();
    let statuses: Vec<Option<i32>> = (0..3000).map(|_| victim.send(&noise(&mut random))).collect();
    let accepted = statuses.iter().filter(|status| **status == Some(0)).count();
    assert!((50..2950).contains(&accepted), "{accepted} of 3000 were accepted");
    for _ in 0..accepted {
        for (name, value) in victim.machine.receive().headers {
            assert!(!value.iter().any(u8::is_ascii_control), "{name}: {value:?}");
        }
    }
    println!("random bytes: {accepted} of 3000 frames were accepted");
    assert!(victim.is_unharmed("random bytes").is_empty());
}

/// Lets this process have as many descriptors as it may.
fn raise_descriptor_limit() {
    static RAISED: Once = Once::new();
    RAISED.call_once(|| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is to a whole rlimit.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    });
}

/// Connections on which the first bytes of a frame came, and no more will.
fn stall(victim: &Victim, count: usize) -> Vec<UnixStream> {
    raise_descriptor_limit();
    let begun = &frame(None, "2", b"stalled")[..100];
    let stalled = |_| {
        let mut connection = victim.connect();
        connection.write_all(begun).unwrap();
        connection
    };
    (0..count).map(stalled).collect()
}

/// Microseconds of a thousand sends by the library, in order of size.
fn latencies(victim: &Victim, program: &Program) -> Vec<u64> {
    let output = stdout_of(victim.machine.sandbox.command(&program.path).arg("1000"));
    let mut times: Vec<u64> =
        output.lines().map(|line| line.strip_prefix("0 ").expect(line).parse().unwrap()).collect();
    times.sort_unstable();
    assert_eq!(times.len(), 1000);
    times
}

#[test]
fn five_hundred_stalled_connections_delay_nobody() {
    let victim = Victim::new();
    let program = Program::compile("latency.c");
    let without = latencies(&victim, &program);
    let start = Instant::now();
    let stalled = stall(&victim, 500);
    let with = latencies(&victim, &program);
    assert!(start.elapsed() < DEADLINE, "they were stalled all the time");
    println!(
        "500 stalled connections: send p50 {} µs, p99 {} µs (limit 10000); without them {} and {} µs",
        with[500], with[990], without[500], without[990]
    );
    assert!(with[990] <= 100_000, "noise is ten times the limit at most");
    for connection in stalled {
        assert_eq!(status(connection).unwrap(), Some(-libc::ETIMEDOUT));
    }
    assert!(start.elapsed() >= DEADLINE);
    assert_eq!(victim.is_unharmed("500 stalled connections"), counted([b"measured\n"; 2000]));
    victim.threads_are_given_back();
}

#[test]
fn d10_1020_stalled_connections_leave_room_for_a_client_and_after_more_clients_are_served_again() {
    let victim = Victim::new();
    let served_after = |start: Instant| {
        assert_eq!(victim.send(&frame(None, "2", b"served")), Some(0), "{}", victim.telemd.log());
        start.elapsed()
    };
    let start = Instant::now();
    let mut stalled = stall(&victim, 1020);
    let beside = served_after(Instant::now());
    stalled.extend(stall(&victim, 80));
    let behind = served_after(start);
    println!(
        "1020 stalled connections: a client is served after {:.3} s; 1100: after {:.1} s (limit {} s), {} kB resident",
        beside.as_secs_f64(),
        behind.as_secs_f64(),
        DEADLINE.as_secs() + 1,
        victim.telemd.kilobytes("VmRSS")
    );
    assert!(beside < Duration::from_secs(1), "1,024 are read at a time");
    assert!(behind < DEADLINE + Duration::from_secs(5), "each has its 10 s at the same time");
    drop(stalled);
    assert_eq!(victim.is_unharmed("1100 stalled connections"), counted([b"served\n"; 2]));
    victim.threads_are_given_back();
}

#[test]
fn descriptors_that_clients_pass_hold_up_nobody_else() {
    let victim = Victim::new();
    let frame = frame(None, "2", b"with a descriptor");
    let start = Instant::now();
    for is_behind in [false, true, true, true, true] {
        let (_listener, stream) = lingering();
        let mut connection = victim.connect();
        if is_behind {
            connection.write_all(&frame).unwrap();
            write_with(&connection, b"more", &stream);
        } else {
            write_with(&connection, &frame, &stream);
        }
        // The last one who has it waits when it closes it.
        drop(stream);
        drop(connection);
        for _ in 0..2 {
            victim.good_record_arrives();
        }
    }
    println!("ten good records took {:?}", start.elapsed());
    assert!(start.elapsed() < LINGER);
    victim.is_unharmed("descriptors");
}
