//! The payload of telem-record-gen: from where, how long, of what.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use libtelemetry_acceptance::machine::Machine;
use sandbox::{Sandbox, Telemd};
use tools_acceptance::{CLASS, Ran, payload, record_gen, run, run_with_input};

/// The longest payload that is not cut.
const MAX: usize = 8191;
const WARNING: &str = "Warning: the payload has more than 8191 bytes; the rest is cut off\n";

/// Where a payload comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Text,
    File,
    Input,
}

const SOURCES: [Source; 3] = [Source::Text, Source::File, Source::Input];

fn run_with(sandbox: &Sandbox, source: Source, payload: &[u8], options: &[&str]) -> Ran {
    let mut command = record_gen(sandbox, ["-c", CLASS]);
    command.args(options);
    match source {
        Source::Text => run(command.arg("-p").arg(OsStr::from_bytes(payload))),
        Source::File => {
            sandbox.write("/var/payload", payload);
            run(command.args(["-P", "/var/payload"]))
        }
        Source::Input => run_with_input(&mut command, payload),
    }
}

fn running() -> (Machine, Telemd) {
    let machine = Machine::new();
    let telemd = machine.sandbox.start_telemd();
    (machine, telemd)
}

#[test]
fn the_payload_is_that_of_the_file_else_of_the_text_else_of_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.write("/var/payload", "of the file");
    let ends = |command: &mut Command, expected: &str| {
        let ran = run_with_input(command, "of the input");
        assert!(ran.status == 0 && ran.out.ends_with(&format!("\n{expected}\n")), "{ran:?}");
    };
    ends(&mut record_gen(&sandbox, ["-nc", CLASS]), "of the input");
    // What reads no input is not asked to.
    let mut both = record_gen(&sandbox, ["-nc", CLASS, "-p", "of the text", "-P", "/var/payload"]);
    assert!(run(&mut both).out.ends_with("\nof the file\n"));
    assert!(run(&mut record_gen(&sandbox, ["-nc", CLASS, "-p", "of the text"])).out.ends_with("\nof the text\n"));
}

#[test]
fn no_newline_is_added_or_removed() {
    let (machine, _telemd) = running();
    for text in ["", "\n", "one line", "one line\n", "\n\nlines\r\n\n", " \t\n\x0b\x0c\r~!"] {
        for source in SOURCES {
            assert_eq!(run_with(&machine.sandbox, source, text.as_bytes(), &[]), Ran::well(""), "{text:?}");
            assert_eq!(payload(&machine.receive()), text.as_bytes(), "{source:?}");
        }
    }
}

/// T18: such payloads were dropped by the daemon, and the sender heard of
/// success.
#[test]
fn t18_payloads_of_8187_to_8191_bytes_arrive_whole() {
    let (machine, _telemd) = running();
    for len in 8187..=MAX {
        for source in SOURCES {
            let bytes = vec![b'a'; len];
            assert_eq!(run_with(&machine.sandbox, source, &bytes, &[]), Ran::well(""), "{len} {source:?}");
            assert_eq!(payload(&machine.receive()), bytes, "{len} {source:?}");
        }
    }
}

/// T19: long input was cut without a word. That it is cut, to this length, is
/// what scripts know.
#[test]
fn t19_longer_payloads_are_cut_to_8191_bytes_with_a_warning_and_sent() {
    let (machine, _telemd) = running();
    for len in [MAX + 1, MAX + 2, 100_000] {
        for source in SOURCES {
            let bytes: Vec<u8> = (b'a'..=b'z').cycle().take(len).collect();
            let ran = run_with(&machine.sandbox, source, &bytes, &[]);
            assert_eq!(ran, Ran { status: 0, out: String::new(), err: WARNING.to_owned() }, "{len} {source:?}");
            assert_eq!(payload(&machine.receive()), &bytes[..MAX], "{len} {source:?}");
        }
    }
}

#[test]
fn t19_a_dry_run_warns_too() {
    let ran = run_with(&Sandbox::new(), Source::Text, &[b'a'; MAX + 1], &["-n"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, WARNING));
}

#[test]
fn t19_who_writes_a_long_payload_is_not_ended_by_a_signal() {
    let (machine, _telemd) = running();
    // More than any pipe holds.
    let ran = run_with(&machine.sandbox, Source::Input, &[b'a'; 3_000_000], &[]);
    assert_eq!((ran.status, ran.err.as_str()), (0, WARNING));
    assert_eq!(payload(&machine.receive()).len(), MAX);
}

#[test]
fn a_file_without_end_is_read_no_further_than_needed() {
    let ran = run(&mut record_gen(&Sandbox::new(), ["-nc", CLASS, "-P", "/dev/zero"]));
    assert!(ran.err.contains("invalid byte 0x00 at position 0 of the payload"), "{}", ran.err);
}

/// T15: the C program failed without a word, or with success in a dry run.
#[test]
fn t15_a_byte_that_is_not_allowed_is_named_in_every_mode() {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    let complaint = |byte: u8, position: usize| {
        Ran::badly(&format!(
            "Error: invalid byte {byte:#04x} at position {position} of the payload, \
             valid are printable ASCII and white space"
        ))
    };
    for options in [[].as_slice(), &["-o"], &["-n"], &["-on"]] {
        for source in SOURCES {
            let ran = run_with(&sandbox, source, b"disk f\xfcll", options);
            assert_eq!(ran, complaint(0xFC, 6), "{source:?} {options:?}");
        }
        for source in [Source::File, Source::Input] {
            let ran = run_with(&sandbox, source, b"before\0behind", options);
            assert_eq!(ran, complaint(0, 6), "{source:?} {options:?}: a NUL does not end the payload");
        }
    }
}

#[test]
fn t15_exactly_printable_ascii_and_white_space_are_allowed() {
    let sandbox = Sandbox::new();
    for byte in 0..=255u8 {
        let is_allowed = matches!(byte, b' '..=b'~' | b'\t'..=b'\r');
        let ran = run_with(&sandbox, Source::Input, &[b'a', byte], &["-n"]);
        assert_eq!(ran.status == 0, is_allowed, "{byte:#04x}: {}", ran.err);
    }
}

#[test]
fn t15_bytes_behind_the_cut_do_not_count() {
    let mut bytes = vec![b'a'; MAX + 10];
    bytes[MAX] = 0;
    let ran = run_with(&Sandbox::new(), Source::Input, &bytes, &["-n"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, WARNING));
}

#[test]
fn t15_a_directory_as_payload_file_is_named_in_every_mode() {
    for options in [[].as_slice(), &["-o"], &["-n"]] {
        let ran = run(record_gen(&Sandbox::new(), ["-c", CLASS, "-P", "/etc"]).args(options));
        assert_eq!(ran, Ran::badly("Error: file /etc could not be read: Is a directory"), "{options:?}");
    }
}

#[test]
fn without_standard_input_the_payload_is_empty() {
    let (machine, _telemd) = running();
    let mut sh = machine.sandbox.command("sh");
    sh.args(["-c", "/usr/local/bin/telem-record-gen -c a/b/c <&-"]);
    assert_eq!(run(&mut sh), Ran::well(""));
    assert_eq!(payload(&machine.receive()), b"");
}
