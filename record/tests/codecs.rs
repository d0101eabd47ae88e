//! The frame and the spool file, written and read.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use record::config_field::ConfigFieldError;
use record::frame::{self, Frame, FrameError, Outgoing};
use record::header::{Header, HeaderError, Headers};
use record::payload;
use record::spool_file::{self, SpoolFile, SpoolFileError};

/// Counts what the running test asks for.
struct Counting;

thread_local!(static ALLOCATED: Cell<usize> = const { Cell::new(0) });

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.with(|sum| sum.set(sum.get() + layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated_by<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATED.with(Cell::get);
    let result = work();
    (ALLOCATED.with(Cell::get) - before, result)
}

fn example_values() -> [&'static str; Header::COUNT] {
    [
        "4",
        "org.example/demo/ping",
        "2",
        "FFFFFFFF",
        "1700000000",
        "x86_64",
        "ACME|Box|1.0",
        "42",
        "6.1.0",
        "1",
        "exampleos",
        "B1|ACME",
        "Demo CPU",
        "F1",
        "0123456789abcdef0123456789abcdef",
    ]
}

fn lines<V: AsRef<[u8]>>(values: &[V]) -> Vec<Vec<u8>> {
    let line = |(header, value): (Header, &V)| [header.name().as_bytes(), b": ", value.as_ref(), b"\n"].concat();
    Header::ALL.into_iter().zip(values).map(line).collect()
}

fn encode<V: AsRef<[u8]>>(config: Option<&[u8]>, values: &[V], payload: &[u8]) -> Option<Vec<u8>> {
    let lines = lines(values);
    let header_lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let outgoing = Outgoing { config, header_lines: &header_lines, payload };
    let mut frame = vec![0xAA; outgoing.encoded_len()?];
    outgoing.encode(&mut frame).unwrap();
    Some(frame)
}

fn raw_frame(config: &[u8], header_size: u32, rest: &[u8]) -> Vec<u8> {
    let size = 8 + config.len() + rest.len();
    [&(size as u32).to_le_bytes(), config, &header_size.to_le_bytes(), rest].concat()
}

#[test]
fn the_worked_example_of_the_format_is_reproduced() {
    let frame = encode(None, &example_values(), b"ping").unwrap();
    assert_eq!(frame.len(), 358);
    assert_eq!(&frame[..8], [0x66, 0x01, 0, 0, 0x59, 0x01, 0, 0]);
    assert_eq!(&frame[8..29], b"record_format_version");
    assert_eq!(&frame[frame.len() - 6..], b"\nping\0");

    let frame = encode(Some(b"/etc/alt.conf"), &example_values(), b"ping").unwrap();
    assert_eq!(frame.len(), 376);
    assert_eq!(&frame[..4], [0x78, 0x01, 0, 0]);
    assert_eq!(&frame[4..26], b"CFG:/etc/alt.conf\0\x59\x01\0\0");
}

#[test]
fn the_worked_example_of_the_spool_file_is_reproduced() {
    let frame = encode(Some(b"/etc/alt.conf"), &example_values(), b"ping").unwrap();
    let frame = Frame::decode(&frame).unwrap();
    let headers = frame.headers.with(Header::MachineId, b"00112233445566778899aabbccddeeff");
    let file = spool_file::encode(frame.config, &headers, frame.payload);
    let expected = "CFG:/etc/alt.conf\nrecord_format_version: 4\nclassification: org.example/demo/ping\nseverity: 2\n\
        machine_id: 00112233445566778899aabbccddeeff\ncreation_timestamp: 1700000000\narch: x86_64\n\
        host_type: ACME|Box|1.0\nbuild: 42\nkernel_version: 6.1.0\npayload_format_version: 1\n\
        system_name: exampleos\nboard_name: B1|ACME\ncpu_model: Demo CPU\nbios_version: F1\n\
        event_id: 0123456789abcdef0123456789abcdef\nping\n";
    assert_eq!(String::from_utf8(file.clone()).unwrap(), expected);
    let read = SpoolFile::decode(&file).unwrap();
    assert_eq!((read.config, read.headers, read.body), (frame.config, headers, b"ping\n".as_slice()));
}

#[test]
fn w1_payloads_up_to_8192_bytes_are_accepted_and_longer_ones_are_not() {
    for len in [0, 8187, 8188, 8191, 8192] {
        let frame = encode(None, &example_values(), &vec![b'x'; len]).unwrap();
        assert_eq!(Frame::decode(&frame).unwrap().payload.len(), len);
    }
    let frame = encode(None, &example_values(), &[b'x'; 8193]).unwrap();
    assert_eq!(Frame::decode(&frame), Err(FrameError::PayloadTooLong(8193)));
}

#[test]
fn sizes_outside_9_to_13500_are_refused() {
    let declared = |size: u32| frame::declared_len(size.to_le_bytes());
    for refused in [0, 4, 5, 6, 7, 8, 13_501, u32::MAX] {
        assert_eq!(declared(refused), Err(FrameError::Size(refused)));
    }
    assert_eq!((declared(9), declared(13_500)), (Ok(9), Ok(13_500)));
}

#[test]
fn w3_no_length_is_trusted() {
    let block = lines(&example_values()).concat();
    let good = encode(None, &example_values(), b"ping").unwrap();
    assert_eq!(Frame::decode(&good[..good.len() - 1]), Err(FrameError::Incomplete), "shorter than declared");
    assert_eq!(Frame::decode(b""), Err(FrameError::Incomplete));

    let without_end = raw_frame(b"CFG:/etc/alt.conf", 0x3131_3131, b"11");
    assert_eq!(Frame::decode(&without_end), Err(FrameError::Config(ConfigFieldError::Unterminated)));
    let config_only = raw_frame(b"CFG:/etc/alt.conf\0", 0, b"");
    assert_eq!(Frame::decode(&config_only), Err(FrameError::HeaderSize(0)));

    for size in [block.len() as u32 + 1, u32::MAX, i32::MAX as u32] {
        let frame = raw_frame(b"", size, &[block.as_slice(), b"\0"].concat());
        assert_eq!(Frame::decode(&frame), Err(FrameError::HeaderSize(size)));
    }
    let unterminated = raw_frame(b"", block.len() as u32, &[block.as_slice(), b"ping"].concat());
    assert_eq!(Frame::decode(&unterminated).unwrap().payload, b"ping", "no NUL at the end");
}

#[test]
fn w14_a_configuration_path_holds_no_control_characters() {
    for path in ["/etc/a\nseverity: 4", "/etc/a\rb", "/etc/\x1eb", "relative", ""] {
        let frame = encode(Some(path.as_bytes()), &example_values(), b"").unwrap();
        assert_eq!(Frame::decode(&frame), Err(FrameError::Config(ConfigFieldError::Path)), "{path:?}");
    }
}

#[test]
fn w14_control_characters_of_header_values_become_spaces_on_disk() {
    let mut values = example_values();
    values[Header::CpuModel as usize] = "a\rb\x07c\td";
    let frame = encode(None, &values, b"").unwrap();
    let file = spool_file::encode(None, &Frame::decode(&frame).unwrap().headers, b"");
    assert_eq!(SpoolFile::decode(&file).unwrap().headers.get(Header::CpuModel), b"a b c d");
}

#[test]
fn lines_after_the_15th_are_dropped_and_the_payload_ends_at_a_nul() {
    let block = lines(&example_values()).concat();
    let surplus = [block.as_slice(), b"more: 1\n"].concat();
    let frame = raw_frame(b"", surplus.len() as u32, &[surplus.as_slice(), b"one\0two\0"].concat());
    assert_eq!(Frame::decode(&frame).unwrap().payload, b"one");
}

#[test]
fn a_header_size_that_cuts_a_line_makes_its_rest_payload() {
    let block = lines(&example_values()).concat();
    let frame = raw_frame(b"", block.len() as u32 - 5, &[block.as_slice(), b"p\0"].concat());
    let frame = Frame::decode(&frame).unwrap();
    assert_eq!(frame.headers.get(Header::EventId), b"0123456789abcdef0123456789ab");
    assert_eq!(frame.payload, b"cdef\np");
}

#[test]
fn payload_bytes_are_not_judged_by_the_receiver() {
    let payload = [0x01, 0x7F, 0x80, 0xC3, 0xBC, 0xFF];
    let frame = encode(None, &example_values(), &payload).unwrap();
    assert_eq!(Frame::decode(&frame).unwrap().payload, payload);
}

#[test]
fn unreadable_spool_files_say_why() {
    let decode = |text: &str| SpoolFile::decode(text.as_bytes()).unwrap_err();
    assert_eq!(decode(""), SpoolFileError::Header(HeaderError::Missing(Header::RecordFormatVersion)));
    assert_eq!(decode("word"), SpoolFileError::Header(HeaderError::Misnamed(Header::RecordFormatVersion)));
    assert_eq!(decode("CFG:/etc/x"), SpoolFileError::Config(ConfigFieldError::Unterminated));
    assert_eq!(decode("CFG:x\n"), SpoolFileError::Config(ConfigFieldError::Path));
    let whole = spool_file::encode(None, &Headers::new(example_values().map(str::as_bytes)), b"");
    assert_eq!(SpoolFile::decode(&whole).unwrap().body, b"\n");
    assert_eq!(SpoolFile::decode(&whole[..whole.len() - 1]), Err(SpoolFileError::NoBody));
    let misspelt = String::from_utf8(whole).unwrap().replace("cpu_model", "cpu_modell");
    assert_eq!(decode(&misspelt), SpoolFileError::Header(HeaderError::Misnamed(Header::CpuModel)));
}

/// A header value as the library and older libraries write it.
fn value() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_map(|byte| if byte.is_ascii_control() { b'_' } else { byte }), 1..80)
}

fn config() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of("/[a-z0-9/. _-]{0,200}".prop_map(String::into_bytes))
}

proptest! {
    #[test]
    fn a_frame_comes_back_as_it_was(
        values in vec(value(), Header::COUNT),
        payload in vec(1u8.., 0..=payload::MAX),
        config in config(),
    ) {
        let frame = encode(config.as_deref(), &values, &payload).unwrap();
        prop_assert_eq!(frame::declared_len(*frame.first_chunk().unwrap()), Ok(frame.len()));
        let read = Frame::decode(&frame).unwrap();
        prop_assert_eq!(read.config, config.as_deref());
        prop_assert_eq!(read.payload, &payload);
        for ((_, read), value) in read.headers.iter().zip(&values) {
            prop_assert_eq!(read, value);
        }
    }

    #[test]
    fn a_spool_file_comes_back_as_it_was(
        values in vec(value(), Header::COUNT),
        payload in vec(any::<u8>(), 0..300),
        config in config(),
    ) {
        let borrowed: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let headers = Headers::new(borrowed.try_into().unwrap());
        let file = spool_file::encode(config.as_deref(), &headers, &payload);
        let read = SpoolFile::decode(&file).unwrap();
        prop_assert_eq!(read.config, config.as_deref());
        prop_assert_eq!(read.headers, headers);
        prop_assert_eq!(read.body, [payload.as_slice(), b"\n"].concat());
    }

    #[test]
    fn no_bytes_make_a_decoder_panic_or_allocate(
        mut bytes in vec(any::<u8>(), 0..14_000),
        likely in any::<bool>(),
        config in any::<bool>(),
        header_size in 0u32..600,
    ) {
        if likely {
            let block = lines(&example_values()).concat();
            let tag: &[u8] = if config { b"CFG:/a\0" } else { b"" };
            bytes.truncate(9000);
            bytes = raw_frame(tag, header_size, &[block, bytes].concat());
        }
        let (allocated, _) = allocated_by(|| (Frame::decode(&bytes).is_ok(), SpoolFile::decode(&bytes).is_ok()));
        prop_assert_eq!(allocated, 0);
    }

    #[test]
    fn what_a_frame_can_hold_a_spool_file_can_hold(
        len in 4000usize..4200,
        blank in any::<bool>(),
        path_len in prop_oneof![Just(0usize), 4000usize..4200],
    ) {
        let mut lines = lines(&example_values());
        let separator = if blank { ": " } else { ":" };
        lines[Header::CpuModel as usize] = format!("cpu_model{separator}{}\n", "x".repeat(len)).into_bytes();
        let block = lines.concat();
        let config = if path_len == 0 { String::new() } else { format!("CFG:/{}\0", "p".repeat(path_len)) };
        let frame = raw_frame(config.as_bytes(), block.len() as u32, &[block.as_slice(), b"p\0"].concat());
        if let Ok(read) = Frame::decode(&frame) {
            let file = spool_file::encode(read.config, &read.headers, read.payload);
            prop_assert!(SpoolFile::decode(&file).is_ok());
        }
    }

    #[test]
    fn one_changed_byte_never_panics(position in 0usize..376, byte: u8) {
        let mut frame = encode(Some(b"/etc/alt.conf"), &example_values(), b"ping").unwrap();
        frame[position] = byte;
        if let Ok(read) = Frame::decode(&frame) {
            let file = spool_file::encode(read.config, &read.headers, read.payload);
            prop_assert!(SpoolFile::decode(&file).is_ok());
        }
    }

    #[test]
    fn a_spool_file_is_allocated_once_at_its_length(payload in vec(any::<u8>(), 0..8192)) {
        let headers = Headers::new(example_values().map(str::as_bytes));
        let (allocated, file) = allocated_by(|| spool_file::encode(None, &headers, &payload));
        prop_assert_eq!(allocated, file.len());
    }
}

#[test]
fn w9_sizes_in_a_frame_are_little_endian_on_every_machine() {
    let lines = Header::ALL.map(|header| format!("{}: {}\n", header.name(), "x".repeat(20)).into_bytes());
    let header_lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let outgoing = Outgoing { config: None, header_lines: &header_lines, payload: b"" };
    let mut frame = vec![0; outgoing.encoded_len().unwrap()];
    outgoing.encode(&mut frame).unwrap();
    let headers = header_lines.concat().len();
    assert!(headers > 255, "both bytes tell something");
    // record_size, header_size, headers, the end of the payload.
    let size = |at: usize| usize::from(frame[at]) + 256 * usize::from(frame[at + 1]);
    assert_eq!((size(0), size(4)), (frame.len(), headers));
    assert_eq!(record::frame::declared_len([0x66, 0x01, 0, 0]).unwrap(), 0x0166);
}
