//! A record, as a program in Rust makes it. What becomes of it when it is sent
//! is tested with the installed programs, in `tools/acceptance`.

use record::header::Header;
use telemetry::{Error, PAYLOAD_MAX, Record, Severity, classification, event_id};

fn record() -> Record {
    Record::new(Severity::Low, "org.example/a/b", 1).unwrap()
}

fn value(record: &Record, header: Header) -> String {
    let line = String::from_utf8(record.header_lines()[header as usize].to_vec()).unwrap();
    line.strip_prefix(header.prefix()).and_then(|rest| rest.strip_suffix('\n')).unwrap().to_owned()
}

#[test]
fn a_record_has_all_headers_in_their_order() {
    let record = Record::new(Severity::Critical, "org.example/disk/full", u32::MAX).unwrap();
    for header in Header::ALL {
        assert!(!value(&record, header).is_empty(), "{}", header.name());
    }
    assert_eq!(value(&record, Header::Classification), "org.example/disk/full");
    assert_eq!(value(&record, Header::Severity), "4");
    assert_eq!(value(&record, Header::PayloadFormatVersion), "4294967295");
    assert_eq!(value(&record, Header::MachineId), "FFFFFFFF");
}

#[test]
fn a_classification_that_is_refused_names_the_rule() {
    let error = |text: &[u8]| Record::new(Severity::Low, text, 1).unwrap_err();
    assert_eq!(error(b"a/b"), Error::Classification(classification::Fault::Parts));
    let fault = classification::Fault::Control { byte: 0, position: 1 };
    assert_eq!(error(b"a\0/b/c"), Error::Classification(fault));
    assert_eq!(error(b"a/b").to_string(), "classification not valid: it must have three parts, separated by slashes");
}

#[test]
fn a_payload_byte_that_is_refused_is_named_with_its_position() {
    let error = record().payload("disk f\u{fc}ll").unwrap_err();
    assert_eq!(error, Error::PayloadByte { byte: 0xC3, position: 6 });
    let error = record().payload(b"before\0after").unwrap_err();
    assert_eq!(error, Error::PayloadByte { byte: 0, position: 6 });
    assert_eq!(error.errno(), libc::EINVAL);
}

#[test]
fn a_payload_of_8192_bytes_is_taken_and_a_longer_one_is_refused_and_not_cut() {
    assert!(record().payload(vec![b'a'; PAYLOAD_MAX]).is_ok());
    assert_eq!(record().payload(vec![b'a'; PAYLOAD_MAX + 1]).unwrap_err(), Error::PayloadLength(8193));
}

#[test]
fn p1_no_text_from_elsewhere_loses_the_record() {
    assert!(record().payload_lossy(b"caf\xc3\xa9\0\n\x7f").is_ok());
    assert!(record().payload_lossy(vec![0xFF; 3 * PAYLOAD_MAX]).is_ok());
}

#[test]
fn the_event_id_is_random_until_it_is_set() {
    assert_ne!(value(&record(), Header::EventId), value(&record(), Header::EventId));
    let id = "0123456789abcdef0123456789abcdef";
    assert_eq!(value(&record().event_id(id).unwrap(), Header::EventId), id);
    assert_eq!(record().event_id("abc").unwrap_err(), Error::EventId(event_id::Fault::Length(3)));
}

#[test]
fn a_configuration_file_must_be_an_existing_file_with_an_absolute_path() {
    for (path, errno) in [("Cargo.toml", libc::EINVAL), ("/", libc::EINVAL), ("/does/not/exist", libc::ENOENT)] {
        assert_eq!(telemetry::set_config_file(path).unwrap_err(), Error::ConfigFile(errno), "{path}");
    }
    assert_eq!(telemetry::set_config_file("/a\0b").unwrap_err(), Error::ConfigFile(libc::EINVAL));
}

#[test]
fn a_record_shown_for_debugging_is_its_headers() {
    assert!(format!("{:?}", record()).contains("\"classification: org.example/a/b\""));
}

#[test]
fn records_can_be_made_in_one_thread_and_used_in_another() {
    let record = record();
    std::thread::spawn(move || record.payload("hello").map(drop)).join().unwrap().unwrap();
}
