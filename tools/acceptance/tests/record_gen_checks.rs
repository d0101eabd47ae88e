//! What telem-record-gen refuses, in which words, and in which order.

use sandbox::Sandbox;
use tools_acceptance::{CLASS, Ran, record_gen, run};

/// The outcome of a dry run.
fn dry_run(arguments: &[&str]) -> Ran {
    let sandbox = Sandbox::new();
    run(record_gen(&sandbox, ["-n"]).args(arguments))
}

/// A dry run with a class and a payload.
fn dry_run_with(arguments: &[&str]) -> Ran {
    dry_run(&[&["-c", CLASS, "-p", "x"], arguments].concat())
}

fn dry_run_of_class(class: &str) -> Ran {
    dry_run(&["-c", class, "-p", "x"])
}

fn assert_taken(ran: &Ran, what: &str) {
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{what}");
}

fn parts(first: usize, second: usize, third: usize) -> String {
    ["a".repeat(first), "b".repeat(second), "c".repeat(third)].join("/")
}

#[test]
fn severities_are_1_to_4() {
    for severity in ["1", "2", "3", "4", "04"] {
        let ran = dry_run_with(&["-s", severity]);
        assert_taken(&ran, severity);
        assert!(ran.out.contains(&format!("\nseverity: {}\n", severity.trim_start_matches('0'))), "{}", ran.out);
    }
    // An empty number counts as 0.
    for severity in ["0", "5", "4294967295", ""] {
        assert_eq!(dry_run_with(&["-s", severity]), Ran::badly("Error: Valid range for severity is 1-4"), "{severity}");
    }
}

#[test]
fn record_versions_have_32_bits() {
    for (version, shown) in [("0", "0"), ("1", "1"), ("4294967295", "4294967295"), ("", "0")] {
        let ran = dry_run_with(&["-R", version]);
        assert_taken(&ran, version);
        assert!(ran.out.contains(&format!("\npayload_format_version: {shown}\n")), "{}", ran.out);
    }
}

#[test]
fn words_are_no_numbers() {
    for word in ["x", "1x", "0x1", "1.0", "one", "\u{661}"] {
        let complaint = |name| Ran::badly(&format!("Invalid {name} number. Must be an integer"));
        assert_eq!(dry_run_with(&["-s", word]), complaint("severity"), "{word}");
        assert_eq!(dry_run_with(&["-R", word]), complaint("record-version"), "{word}");
    }
}

/// T11: the C program took -s 4294967297 as 1 and -R -1 as 4294967295.
#[test]
fn t11_numbers_with_signs_or_too_many_digits_are_refused() {
    for (option, name) in [("-s", "severity"), ("-R", "record-version")] {
        for word in ["-1", "+1", " 1"] {
            let complaint = format!("Invalid {name} number. Must be an integer");
            assert_eq!(dry_run_with(&[option, word]), Ran::badly(&complaint), "{option} {word:?}");
        }
        for word in ["4294967296", "4294967297", "18446744073709551617", "99999999999999999999999999"] {
            let complaint = format!("ERROR: Failed to convert {name} number: Numerical result out of range");
            assert_eq!(dry_run_with(&[option, word]), Ran::badly(&complaint), "{option} {word}");
        }
    }
}

#[test]
fn a_class_is_required() {
    assert_eq!(dry_run(&["-p", "x"]), Ran::badly("Error: Classification required. See --help."));
}

#[test]
fn a_class_has_1_to_122_characters() {
    let complaint = Ran::badly("Error: Valid size for classification is 1-122 chars");
    assert_eq!(dry_run_of_class(""), complaint);
    assert_eq!(dry_run_of_class(&parts(41, 40, 40)), complaint, "123 characters");
    assert_taken(&dry_run_of_class(&parts(40, 40, 40)), "122 characters");
}

#[test]
fn a_class_is_ascii() {
    let complaint = Ran::badly("Error: Non-ascii characters detected in classification - aborting");
    assert_eq!(dry_run_of_class("a/caf\u{e9}/c"), complaint);
}

#[test]
fn a_class_has_three_parts_which_may_be_empty() {
    let complaint = Ran::badly("Error: Classification needs to be in most/to/least specific format, 2 '/' required.");
    for class in ["a", "a/b", "a/b/c/d", "/", "///"] {
        assert_eq!(dry_run_of_class(class), complaint, "{class}");
    }
    for class in ["//", "a//c", "a/b/", "t/t/t"] {
        assert_taken(&dry_run_of_class(class), class);
    }
}

/// T12: 41 characters in the first part, as the library has it.
#[test]
fn t12_tool_and_library_share_the_rule_of_41_characters_in_the_first_part_and_40_in_the_others() {
    let complaint = Ran::badly("Error: Classification strings between slashes should have at most 40 chars");
    for class in [parts(42, 1, 1), parts(1, 41, 1), parts(1, 1, 41)] {
        assert_eq!(dry_run_of_class(&class), complaint, "{class}");
    }
    for class in [parts(41, 40, 39), parts(41, 1, 1), parts(1, 40, 40)] {
        assert_taken(&dry_run_of_class(&class), &class);
    }
}

/// T13: a newline in the class forged an extra header line.
#[test]
fn t13_control_characters_in_the_class_are_refused() {
    for byte in (1..0x20).chain([0x7F]) {
        let class = format!("a/b{}c/d", char::from(byte));
        let complaint = format!("Error: Control character {byte:#04x} at position 3 of the classification - aborting");
        assert_eq!(dry_run_of_class(&class), Ran::badly(&complaint));
    }
}

#[test]
fn an_event_id_has_32_characters_of_0_to_9_and_a_to_f() {
    let id = "0123456789abcdef0123456789abcdef";
    let ran = dry_run_with(&["-e", id]);
    assert_taken(&ran, id);
    assert!(ran.out.ends_with(&format!("\nevent_id: {id}\nx\n")), "{}", ran.out);
    for len in [0, 31, 33, 200] {
        let complaint = format!("Error: event_id length {len} it should have 32 characters");
        assert_eq!(dry_run_with(&["-e", &"a".repeat(len)]), Ran::badly(&complaint));
    }
    for (id, character, position) in [
        ("0123456789abcdef0123456789abcdeF", "F", 31),
        ("g123456789abcdef0123456789abcdeF", "g", 0),
        ("0123456789 bcdef0123456789abcdef", " ", 10),
        ("0123456789\u{e9}cdef0123456789abcdef", "\\xc3", 10),
    ] {
        let complaint = format!(
            "Error: event_id contains invalid character '{character}' at position {position}, \
             valid characters are 0123456789abcdef"
        );
        assert_eq!(dry_run_with(&["-e", id]), Ran::badly(&complaint));
    }
}

#[test]
fn an_event_id_is_random_unless_it_is_given() {
    let id = |ran: Ran| ran.out.lines().find_map(|line| line.strip_prefix("event_id: ").map(str::to_owned)).unwrap();
    let (one, other) = (id(dry_run_with(&[])), id(dry_run_with(&[])));
    assert!(record::event_id::is_valid(one.as_bytes()), "{one}");
    assert_ne!(one, other);
}

#[test]
fn a_payload_file_that_cannot_be_opened_is_named() {
    let ran = dry_run(&["-c", CLASS, "-P", "/etc/missing file"]);
    assert_eq!(ran, Ran::badly("Error: file /etc/missing file could not be opened for reading"));
}

/// Each command line has all that is wrong from one check on; the first
/// complains.
#[test]
fn checks_have_an_order_and_the_first_that_fails_speaks() {
    let long_part = parts(1, 41, 0) + "/d";
    let rows: [(&[&str], &str); 9] = [
        (&["-s", "x", "-R", "y"], "Invalid severity number. Must be an integer"),
        (&["-s", "5", "-e", "1", "-P", "/missing"], "Error: Classification required. See --help."),
        (&["-c", &"\u{e9}".repeat(100), "-s", "5"], "Error: Valid size for classification is 1-122 chars"),
        (
            &["-c", &(long_part.clone() + "\u{e9}"), "-s", "5"],
            "Error: Non-ascii characters detected in classification - aborting",
        ),
        (&["-c", &long_part, "-s", "5"], "Error: Classification strings between slashes should have at most 40 chars"),
        (
            &["-c", "a", "-s", "5", "-e", "1"],
            "Error: Classification needs to be in most/to/least specific format, 2 '/' required.",
        ),
        (&["-c", CLASS, "-s", "5", "-e", "F"], "Error: Valid range for severity is 1-4"),
        (&["-c", CLASS, "-e", "F", "-P", "/missing"], "Error: event_id length 1 it should have 32 characters"),
        (&["-c", CLASS, "-P", "/missing"], "Error: file /missing could not be opened for reading"),
    ];
    for (arguments, complaint) in rows {
        assert_eq!(dry_run(arguments), Ran::badly(complaint), "{arguments:?}");
    }
}
