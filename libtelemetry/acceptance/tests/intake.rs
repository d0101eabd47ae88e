//! What any local program may write to the socket of telemd.

use std::time::Instant;

use libtelemetry_acceptance::machine::{Machine, frame};

#[test]
fn w2_a_frame_in_many_pieces_is_read_to_its_end() {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    let frame = frame("a/b/c", b"in pieces");
    let (size, rest) = frame.split_at(2);
    let pieces: Vec<&[u8]> = [size].into_iter().chain(rest.chunks(60)).collect();
    assert_eq!(machine.status_of(&pieces), Some(0));
    assert_eq!(machine.receive().body, b"in pieces\n");
}

#[test]
fn w2_a_frame_that_does_not_end_is_given_up_after_10_seconds() {
    let machine = Machine::new();
    let telemd = machine.sandbox.start_telemd();
    let frame = frame("a/b/c", b"");
    let start = Instant::now();
    assert_eq!(machine.status_of(&[&frame[..100]]), Some(-libc::ETIMEDOUT));
    assert!((9..13).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(telemd.log().contains("not complete after 10 s"), "{}", telemd.log());
}

#[test]
fn frames_that_are_wrong_are_refused_with_a_reason_and_the_next_one_is_taken() {
    let machine = Machine::new();
    let telemd = machine.sandbox.start_telemd();
    let good = frame("a/b/c", b"good");
    let cases: [(&[u8], i32); 5] = [
        (&20_000u32.to_le_bytes(), libc::EMSGSIZE),
        (&5u32.to_le_bytes(), libc::EMSGSIZE),
        (&frame("a/b\x1e/c", b""), libc::EINVAL),
        (&frame("a/b/c", &[b'p'; 8193]), libc::EMSGSIZE),
        (&[&good[..8], b"severity: 1\n".as_slice(), &good[20..]].concat(), libc::EINVAL),
    ];
    for (bytes, errno) in cases {
        assert_eq!(machine.status_of(&[bytes]), Some(-errno), "{}", telemd.log());
    }
    assert!(telemd.log().contains("record_size 20000 is outside 9..=13500"), "{}", telemd.log());
    assert_eq!(machine.status_of(&[&[&good[..], b"more"].concat()]), Some(0), "bytes after the end are ignored");
    assert_eq!(machine.receive().body, b"good\n");
}
