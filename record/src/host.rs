//! From the texts that describe a host to the values of its headers.
//!
//! No value is ever empty or holds a control character; each has a fallback
//! and a longest length.

use crate::lines::Lines;
use crate::text::{Text, header_byte};

/// Stands for a value that is not known.
pub const UNKNOWN: &str = "unknown";
/// Stands for a value that is there and says nothing.
pub const BLANK: &str = "blank";

/// Longest value of `uname(2)`.
pub const UNAME_MAX: usize = 64;
/// Longest `build`.
pub const BUILD_MAX: usize = 39;
/// Longest `system_name`.
pub const SYSTEM_NAME_MAX: usize = 79;
/// Longest value of a DMI file.
pub const DMI_MAX: usize = 77;
/// Longest `cpu_model`.
pub const CPU_MODEL_MAX: usize = 65;

fn header_text(limit: usize, value: &[u8]) -> Text {
    let mut text = Text::with_limit(limit);
    for &byte in value {
        text.push(header_byte(byte));
    }
    text
}

fn or_fallback(mut text: Text, fallback: &str) -> Text {
    if text.is_blank() {
        text.clear();
        text.extend(fallback.as_bytes());
    }
    text
}

/// A string of `uname(2)`.
pub fn uname(value: &[u8]) -> Text {
    or_fallback(header_text(UNAME_MAX, value), UNKNOWN)
}

/// `build`: the `VERSION_ID` of an os-release(5) file; `0` without one.
pub fn build(os_release: &[u8]) -> Text {
    or_fallback(os_release_value(BUILD_MAX, os_release, "VERSION_ID="), "0")
}

/// `system_name`: `ID`, and `_` and `VARIANT_ID` if that is given; `unknown`
/// stands for a missing `ID`.
pub fn system_name(os_release: &[u8]) -> Text {
    let mut name = or_fallback(os_release_value(SYSTEM_NAME_MAX, os_release, "ID="), UNKNOWN);
    let variant = os_release_value(SYSTEM_NAME_MAX, os_release, "VARIANT_ID=");
    if !variant.is_blank() {
        name.push(b'_');
        name.extend(variant.as_bytes());
    }
    name
}

/// The first value that says something among the lines that start with `key`.
fn os_release_value(limit: usize, os_release: &[u8], key: &str) -> Text {
    let mut value = Text::with_limit(limit);
    for assigned in Lines::new(os_release).filter_map(|line| line.strip_prefix(key.as_bytes())) {
        value.clear();
        push_unquoted(&mut value, assigned.trim_ascii());
        if !value.is_blank() {
            break;
        }
    }
    value
}

/// Reads a shell-like value as os-release(5) allows it: quoted as a whole, or
/// one word. After an unterminated quote the rest of the line counts.
fn push_unquoted(text: &mut Text, value: &[u8]) {
    let (quote, content) = match value.split_first() {
        Some((&quote @ (b'"' | b'\''), content)) => (Some(quote), content),
        _ => (None, value),
    };
    let mut bytes = content.iter().copied();
    while let Some(byte) = bytes.next() {
        let ends = quote.map_or(byte.is_ascii_whitespace(), |quote| byte == quote);
        if ends {
            return;
        }
        let escapes = quote == Some(b'"') && byte == b'\\';
        let byte = if escapes { bytes.next().unwrap_or(byte) } else { byte };
        text.push(header_byte(byte));
    }
}

/// The value of a file of `/sys/class/dmi/id`: its first line.
pub fn dmi(file: &[u8]) -> Text {
    let line = Lines::new(file).next().unwrap_or_default();
    let text = line.split(|&byte| byte == 0).next().unwrap_or_default();
    or_fallback(header_text(DMI_MAX, text), BLANK)
}

/// `cpu_model`: the first `model name` of `/proc/cpuinfo`. Many architectures
/// have none.
pub fn cpu_model(cpuinfo: &[u8]) -> Text {
    let line = Lines::new(cpuinfo).find(|line| line.starts_with(b"model name")).unwrap_or_default();
    let after_colon = line.splitn(2, |&byte| byte == b':').nth(1).unwrap_or_default();
    or_fallback(header_text(CPU_MODEL_MAX, after_colon.get(1..).unwrap_or_default()), BLANK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};
    use proptest::prelude::*;

    fn shown(text: Text) -> String {
        String::from_utf8_lossy(text.as_bytes()).into_owned()
    }

    #[test]
    fn a15_quotes_are_decoded_and_never_split() {
        let file = b"NAME=\"x\"\nID=\"clear linux\"\nVERSION_ID=\"22.04\"\nVARIANT_ID='ser ver'\n";
        assert_eq!(shown(build(file)), "22.04");
        assert_eq!(shown(system_name(file)), "clear linux_ser ver");
        assert_eq!(shown(build(br#"VERSION_ID="a\"b\\c\$d""#)), r#"a"b\c$d"#);
        assert_eq!(shown(build(br"VERSION_ID='a\b'")), r"a\b", "nothing is escaped in single quotes");
        assert_eq!(shown(build(b"VERSION_ID=\"22.04 LTS")), "22.04 LTS", "unterminated");
    }

    #[test]
    fn a15_long_values_are_cut_and_long_lines_read_whole() {
        let file = format!("VERSION_ID={}\nID={}\nVARIANT_ID=v\n", "9".repeat(200), "i".repeat(200));
        assert_eq!(shown(build(file.as_bytes())), "9".repeat(BUILD_MAX));
        assert_eq!(shown(system_name(file.as_bytes())), "i".repeat(SYSTEM_NAME_MAX));
        let disguised = format!("X={}ID=wrong\nID=right\n", "x".repeat(77));
        assert_eq!(shown(system_name(disguised.as_bytes())), "right");
    }

    #[test]
    fn a15_a_missing_file_gives_unknown_and_0() {
        assert_eq!(shown(system_name(b"")), "unknown");
        assert_eq!(shown(build(b"")), "0");
        assert_eq!(shown(system_name(b"VARIANT_ID=server\n")), "unknown_server");
    }

    #[test]
    fn only_a_key_at_the_very_start_matches_and_the_first_value_wins() {
        let file = b" ID=a\nID =b\nID_LIKE=c\nID=\nID=\"\"\nID=  d e\nID=f\n";
        assert_eq!(shown(system_name(file)), "d");
        assert_eq!(shown(system_name(b"ID=fedora\r\nVARIANT_ID=server\r\n")), "fedora_server");
    }

    #[test]
    fn a16_only_a_newline_is_stripped_from_dmi_values() {
        assert_eq!(shown(dmi(b"ACME Inc.\n")), "ACME Inc.");
        assert_eq!(shown(dmi(b"ACME Inc.")), "ACME Inc.", "no newline, no lost character");
        assert_eq!(shown(dmi(b"  two  \nsecond line\n")), "  two  ");
        assert_eq!(shown(dmi("x".repeat(100).as_bytes())), "x".repeat(DMI_MAX));
    }

    #[test]
    fn a16_white_space_and_nothing_are_blank() {
        for blank in [b"".as_slice(), b"\n", b"   \n", b"\t\t\n", b"\0garbage\n", b"\r\n"] {
            assert_eq!(shown(dmi(blank)), "blank", "{blank:?}");
        }
    }

    #[test]
    fn a17_cpu_model_is_blank_without_a_model_name() {
        let intel = b"processor\t: 0\nmodel\t\t: 207\nmodel name\t: Intel(R) Xeon(R) @ 2.50GHz\nmodel name\t: other\n";
        assert_eq!(shown(cpu_model(intel)), "Intel(R) Xeon(R) @ 2.50GHz");
        for blank in
            ["", "processor\t: 0\n", "model name\n", "model name\t:\n", "model name\t: \n", "model name\t:  \n"]
        {
            assert_eq!(shown(cpu_model(blank.as_bytes())), "blank", "{blank:?}");
        }
        let long = format!("model name\t: {}", "m".repeat(80));
        assert_eq!(shown(cpu_model(long.as_bytes())), "m".repeat(CPU_MODEL_MAX));
    }

    fn is_fit(text: &Text) -> bool {
        !text.as_bytes().is_empty() && !text.as_bytes().iter().any(u8::is_ascii_control)
    }

    proptest! {
        #[test]
        fn no_text_makes_a_value_empty_or_unfit_for_a_header(text: alloc::vec::Vec<u8>, key in 0usize..5) {
            let keys = ["", "ID=", "VERSION_ID=\"", "VARIANT_ID='", "model name:"];
            let mut file = keys.get(key).map_or(alloc::vec::Vec::new(), |key| key.as_bytes().to_vec());
            file.extend(text);
            prop_assert!(is_fit(&uname(&file)));
            prop_assert!(is_fit(&build(&file)));
            prop_assert!(is_fit(&system_name(&file)));
            prop_assert!(is_fit(&dmi(&file)));
            prop_assert!(is_fit(&cpu_model(&file)));
        }
    }
}
