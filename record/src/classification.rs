//! The classification of a record: `namespace/kind/detail`.

use core::fmt;

/// The longest classification, in bytes.
pub const MAX: usize = 122;
/// The longest first part. The documented limit was 40 from the start, the
/// one that programs met was 41, and it stays 41 for them.
pub const FIRST_PART_MAX: usize = 41;
/// The longest second and third part.
pub const PART_MAX: usize = 40;

/// Why a classification is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Empty, or longer than [`MAX`].
    Length,
    /// A part is longer than its limit.
    PartLength,
    /// A control character, which would forge header lines and journal fields.
    Control {
        /// The character.
        byte: u8,
        /// Where it stands.
        position: usize,
    },
    /// Not exactly three parts.
    Parts,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "it must have 1 to {MAX} bytes"),
            Self::PartLength => {
                write!(f, "the first part may have {FIRST_PART_MAX} bytes, each of the others {PART_MAX}")
            }
            Self::Control { byte, position } => write!(f, "control character {byte:#04x} at position {position}"),
            Self::Parts => f.write_str("it must have three parts, separated by slashes"),
        }
    }
}

impl core::error::Error for Fault {}

/// Whether this is a classification that `tm_create_record(3)` accepts.
pub fn is_valid(classification: &[u8]) -> bool {
    check(classification).is_ok()
}

/// Accepts three parts (which may be empty) separated by `/`, within the
/// limits above, and without control characters.
pub fn check(classification: &[u8]) -> Result<(), Fault> {
    if classification.is_empty() || classification.len() > MAX {
        return Err(Fault::Length);
    }
    let mut slashes = 0;
    let mut part_len = 0;
    for (position, &byte) in classification.iter().enumerate() {
        if byte == b'/' {
            slashes += 1;
            part_len = 0;
        } else {
            part_len += 1;
        }
        if byte.is_ascii_control() {
            return Err(Fault::Control { byte, position });
        }
        let max = if slashes == 0 { FIRST_PART_MAX } else { PART_MAX };
        if part_len > max {
            return Err(Fault::PartLength);
        }
    }
    if slashes == 2 { Ok(()) } else { Err(Fault::Parts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn parts(first: usize, second: usize, third: usize) -> String {
        ["a".repeat(first), "b".repeat(second), "c".repeat(third)].join("/")
    }

    #[test]
    fn boundaries_of_the_parts() {
        assert!(is_valid(parts(40, 40, 40).as_bytes()), "122 bytes");
        assert!(is_valid(parts(41, 40, 39).as_bytes()), "122 bytes, long first part");
        assert!(!is_valid(parts(41, 40, 40).as_bytes()), "123 bytes");
        assert!(!is_valid(parts(42, 1, 1).as_bytes()), "first part of 42");
        assert!(is_valid(parts(41, 1, 1).as_bytes()), "first part of 41");
        assert!(!is_valid(parts(1, 41, 1).as_bytes()), "second part of 41");
        assert!(!is_valid(parts(1, 1, 41).as_bytes()), "third part of 41");
        assert!(is_valid(b"//"), "empty parts");
    }

    #[test]
    fn number_of_parts() {
        assert!(is_valid(b"t/t/t"));
        for refused in ["", "t", "t/t", "t/t/t/t", "///"] {
            assert!(!is_valid(refused.as_bytes()), "{refused:?}");
        }
    }

    #[test]
    fn control_characters_are_refused_and_all_else_is_accepted() {
        for byte in 0..=255u8 {
            let classification = [b'a', b'/', byte, b'/', b'c'];
            let expected = !byte.is_ascii_control() && byte != b'/';
            assert_eq!(is_valid(&classification), expected, "byte {byte:#04x}");
        }
    }

    #[test]
    fn a_fault_says_what_is_wrong() {
        let fault = |classification: &str| check(classification.as_bytes()).unwrap_err();
        assert_eq!(fault(""), Fault::Length);
        assert_eq!(fault(&parts(41, 40, 40)), Fault::Length);
        assert_eq!(fault(&parts(42, 1, 1)), Fault::PartLength);
        assert_eq!(fault("a/b\nc/d"), Fault::Control { byte: b'\n', position: 3 });
        assert_eq!(fault("a/b"), Fault::Parts);
        assert_eq!(fault("a/b/c/d"), Fault::Parts);
    }
}
