//! The configuration file, as a program meets it.

use proptest::prelude::*;
use record::config::{
    Assignments, ConfigError, Key, Problem, Settings, SyntaxProblem, ValueError, Warning, sample_file,
};

fn read(file: &str) -> (Settings, Vec<Warning>) {
    Settings::read(file.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{file}"))
}

fn text(file: &str, key: Key) -> String {
    String::from_utf8(read(file).0.text(key).to_vec()).unwrap()
}

fn integer(assignment: &str, key: Key) -> i64 {
    read(&format!("[settings]\n{assignment}\n")).0.integer(key)
}

fn error(file: &str) -> ConfigError {
    Settings::read(file.as_bytes()).expect_err(file)
}

fn value_error(assignment: &str) -> ValueError {
    match error(&format!("[settings]\n\n{assignment}\n")) {
        ConfigError { line: 3, problem: Problem::Value { error, .. } } => error,
        other => panic!("{assignment}: {other:?}"),
    }
}

#[test]
fn a_file_without_assignments_has_all_the_defaults() {
    let defaults = Settings::default();
    for file in ["", "\n", "[settings]", "[settings]\n", "# nothing\n; nothing\n", "[other]\nserver=x\n"] {
        assert_eq!(read(file), (defaults.clone(), vec![]), "{file:?}");
    }
    let integers = [
        (Key::RecordExpiry, 1200),
        (Key::SpoolMaxSize, 5120),
        (Key::SpoolProcessTime, 120),
        (Key::RecordBurstLimit, 1000),
        (Key::RecordWindowLength, 15),
        (Key::ByteBurstLimit, -1),
        (Key::ByteWindowLength, 20),
    ];
    for (key, expected) in integers {
        assert_eq!(defaults.integer(key), expected, "{}", key.name());
    }
    let booleans = [
        (Key::RateLimitEnabled, true),
        (Key::DaemonRecyclingEnabled, true),
        (Key::RecordServerDeliveryEnabled, true),
        (Key::RecordRetentionEnabled, false),
    ];
    for (key, expected) in booleans {
        assert_eq!(defaults.boolean(key), expected, "{}", key.name());
    }
    let texts = [
        (Key::Server, "https://clr.telemetry.intel.com/v3/collector"),
        (Key::SocketPath, "/run/telem-0"),
        (Key::SpoolDir, "/var/spool/telemetry"),
        (Key::CaInfo, ""),
        (Key::TidHeader, "X-Telemetry-TID: 6907c830-eed9-4ce9-81ae-76daf8d88f0f"),
        (Key::RateLimitStrategy, "spool"),
    ];
    for (key, expected) in texts {
        assert_eq!(defaults.text(key), expected.as_bytes(), "{}", key.name());
    }
}

#[test]
fn blanks_around_keys_and_values_do_not_count() {
    let file = "  [settings]\t\n \tserver \t=\t http://a b/ \t\n";
    assert_eq!(text(file, Key::Server), "http://a b/");
    assert_eq!(text("[settings]\nserver=", Key::Server), "", "an empty value is a value");
}

#[test]
fn names_are_case_sensitive_and_the_last_assignment_wins() {
    let file = "[settings]\nServer=a\nserver=b\n[other]\nserver=c\n[settings]\nserver=d\n";
    let (settings, warnings) = read(file);
    assert_eq!((settings.text(Key::Server), settings.line(Key::Server)), (b"d".as_slice(), Some(7)));
    assert_eq!(warnings, [Warning::UnknownKey { line: 2, name: "Server".into() }]);
    assert_eq!(text("[ settings ]\nserver=x\n", Key::Server), text("", Key::Server), "another section");
    assert_eq!(settings.line(Key::SpoolDir), None, "a default comes from no line");
}

#[test]
fn there_are_no_inline_comments_and_no_quotes() {
    assert_eq!(text("[settings]\nserver=\"a\" # b ; c = d\n", Key::Server), "\"a\" # b ; c = d");
}

#[test]
fn c4_crlf_line_ends_are_accepted() {
    let (settings, _) = read("[settings]\r\nrecord_retention_enabled=true\r\nserver=http://x/\r\n");
    assert!(settings.boolean(Key::RecordRetentionEnabled));
    assert_eq!(settings.text(Key::Server), b"http://x/");
}

#[test]
fn c5_a_backslash_can_be_written() {
    assert_eq!(
        text(
            r"[settings]
spool_dir=/a\\b\sc\d\\s\",
            Key::SpoolDir
        ),
        r"/a\b cd\s"
    );
    assert_eq!(text("[settings]\ntidheader = X-Telemetry-TID:\\s6907\n", Key::TidHeader), "X-Telemetry-TID: 6907");
}

#[test]
fn c6_numbers_are_numbers_or_refused() {
    for bad in [
        "record_expiry=abc",
        "record_expiry=",
        "spool_max_size=5M",
        "record_expiry=1 2",
        "record_expiry=-",
        "byte_burst_limit=0x10",
    ] {
        assert!(matches!(value_error(bad), ValueError::NotInteger), "{bad}");
    }
    for large in [
        "spool_max_size=9223372036854775808",
        "record_burst_limit=-9223372036854775809",
        "spool_max_size=99999999999999999999999",
    ] {
        assert_eq!(value_error(large), ValueError::TooLarge, "{large}");
    }
    assert_eq!(integer("record_expiry =  +7 ", Key::RecordExpiry), 7);
    assert_eq!(integer("record_burst_limit=9223372036854775807", Key::RecordBurstLimit), i64::MAX);
}

#[test]
fn c9_a_negative_expiry_is_refused() {
    assert!(matches!(value_error("record_expiry=-1"), ValueError::OutOfRange));
    assert_eq!(integer("record_expiry=0", Key::RecordExpiry), 0);
}

#[test]
fn c8_a_window_outside_0_to_59_gives_the_default_and_a_warning() {
    let (settings, warnings) = read("[settings]\nrecord_window_length=60\nbyte_window_length=-1\n");
    assert_eq!((settings.integer(Key::RecordWindowLength), settings.integer(Key::ByteWindowLength)), (15, 20));
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "2: record_window_length: \"60\" is not accepted, 15 is used");
    assert_eq!(lines.len(), 2);
}

#[test]
fn numbers_outside_their_range_are_clamped() {
    assert_eq!(integer("spool_process_time=1", Key::SpoolProcessTime), 120);
    assert_eq!(integer("spool_process_time=180", Key::SpoolProcessTime), 180);
    assert_eq!(integer("spool_process_time=301", Key::SpoolProcessTime), 300);
    assert_eq!(integer("spool_max_size=-7", Key::SpoolMaxSize), -1);
    assert_eq!(integer("spool_max_size=0", Key::SpoolMaxSize), 0);
    assert_eq!(integer("spool_max_size=9223372036854775807", Key::SpoolMaxSize), i64::MAX / 1024);
    assert_eq!(integer("record_expiry=9223372036854775807", Key::RecordExpiry), i64::MAX / 60);
    assert_eq!(integer("record_burst_limit=-5", Key::RecordBurstLimit), -1);
}

#[test]
fn booleans_are_true_false_1_and_0() {
    for (word, expected) in [("true", true), ("TRUE", true), ("1", true), ("False", false), ("0", false)] {
        let (settings, _) = read(&format!("[settings]\nrecord_retention_enabled={word}\n"));
        assert_eq!(settings.boolean(Key::RecordRetentionEnabled), expected, "{word}");
    }
    for word in ["yes", "on", "", "2", "01", "true false"] {
        assert_eq!(value_error(&format!("rate_limit_enabled={word}")), ValueError::NotBoolean, "{word:?}");
    }
}

#[test]
fn paths_are_absolute() {
    for bad in ["socket_path=", "socket_path=run/x", "spool_dir=.", "spool_dir=/a\0b"] {
        assert_eq!(value_error(bad), ValueError::NotPath, "{bad:?}");
    }
    assert_eq!(text("[settings]\nsocket_path = /run/a b\n", Key::SocketPath), "/run/a b");
}

#[test]
fn an_unknown_strategy_is_spool() {
    let strategy = |word: &str| text(&format!("[settings]\nrate_limit_strategy={word}\n"), Key::RateLimitStrategy);
    assert_eq!(
        (strategy("DROP"), strategy("Spool"), strategy("keep")),
        ("drop".into(), "spool".into(), "spool".into())
    );
    assert_eq!(read("[settings]\nrate_limit_strategy=keep\n").1.len(), 1, "and a warning");
}

#[test]
fn syntax_errors_name_their_line() {
    let cases = [
        ("[settings", 1, SyntaxProblem::SectionNotClosed),
        ("[settings] # text", 1, SyntaxProblem::SectionNotClosed),
        ("\n[", 2, SyntaxProblem::SectionNotClosed),
        ("[settings]\nserver\n", 2, SyntaxProblem::NoEqualsSign),
        ("server=x\n", 1, SyntaxProblem::NoSection),
        ("[other]\n\n = x\n", 3, SyntaxProblem::NoKey),
        ("\u{feff}[settings]\n", 1, SyntaxProblem::ByteOrderMark),
    ];
    for (file, line, problem) in cases {
        assert_eq!(error(file), ConfigError { line, problem: Problem::Syntax(problem) }, "{file:?}");
    }
}

#[test]
fn error_messages_name_line_key_and_value() {
    assert_eq!(
        error("[settings]\nrecord_expiry=abc\n").to_string(),
        "2: record_expiry: expected minutes as an integer, got \"abc\""
    );
    assert_eq!(
        error("[settings]\nrate_limit_enabled=yes\n").to_string(),
        "2: rate_limit_enabled: expected true or false, got \"yes\""
    );
}

#[test]
fn c10_values_after_several_blanks_are_whole() {
    assert_eq!(text("[settings]\nserver=  a b\n", Key::Server), "a b");
    assert_eq!(text("[settings]\nserver=  abc de f\n", Key::Server), "abc de f");
}

#[test]
fn the_sample_file_documents_the_defaults() {
    let sample = sample_file();
    assert_eq!(read(&sample), (Settings::default(), vec![]));
    let active: String = sample
        .lines()
        .map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
        .collect();
    let (settings, warnings) = read(&active);
    assert!(warnings.is_empty());
    for key in Key::ALL {
        assert_eq!(settings.shown(key), Settings::default().shown(key), "{}", key.name());
        assert!(settings.line(key).is_some(), "{} stands in the sample", key.name());
    }
}

/// Files of the syntax that the `ini` crate reads the same way.
fn shared_syntax() -> impl Strategy<Value = String> {
    let blanks = "[ \t]{0,2}";
    let key = "[a-z][a-z_0-9]{0,8}";
    let value = "[A-Za-z0-9/._-]([A-Za-z0-9/._ -]{0,10}[A-Za-z0-9/._-])?";
    let assignment = (blanks, key, blanks, blanks, value, blanks)
        .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}={c}{value}{d}"));
    let line = prop_oneof![
        6 => assignment,
        2 => "[a-z]{1,4}".prop_map(|name| format!("[{name}]")),
        1 => "[#;][ a-z]{0,5}",
        1 => Just(String::new()),
    ];
    proptest::collection::vec(line, 0..30).prop_map(|lines| format!("[first]\n{}\n", lines.join("\n")))
}

proptest! {
    #[test]
    fn the_ini_crate_reads_the_shared_syntax_the_same_way(file in shared_syntax()) {
        let mut oracle = ini::configparser::ini::Ini::new_cs();
        oracle.set_comment_symbols(&['#', ';']);
        oracle.set_inline_comment_symbols(Some(&[]));
        let expected = oracle.read(file.clone()).unwrap();
        let mut ours = std::collections::HashMap::new();
        for assignment in Assignments::new(file.as_bytes()) {
            let assignment = assignment.unwrap();
            let value: Vec<u8> = assignment.value.bytes().collect();
            let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            ours.insert((owned(assignment.section), owned(assignment.key)), owned(&value));
        }
        let mut count = 0;
        for (section, keys) in expected {
            for (key, value) in keys {
                count += 1;
                prop_assert_eq!(ours.get(&(section.clone(), key)), value.as_ref());
            }
        }
        prop_assert_eq!(ours.len(), count);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
        let _ = Settings::read(&[b"[settings]\nrecord_expiry=".as_slice(), &bytes].concat());
        let _ = Settings::read(&bytes);
    }
}
