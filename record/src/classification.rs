//! The classification of a record: `namespace/kind/detail`.

/// The longest classification, in bytes.
pub const MAX: usize = 122;
/// The longest first part. The documented limit was 40 from the start, the
/// one that programs met was 41, and it stays 41 for them.
pub const FIRST_PART_MAX: usize = 41;
/// The longest second and third part.
pub const PART_MAX: usize = 40;

/// Whether this is a classification that `tm_create_record(3)` accepts: three
/// parts (which may be empty) separated by `/`, within the limits above, and
/// without control characters, which would forge header lines and journal
/// fields.
pub fn is_valid(classification: &[u8]) -> bool {
    let mut slashes = 0;
    let mut part_len = 0;
    for &byte in classification {
        if byte == b'/' {
            slashes += 1;
            part_len = 0;
        } else {
            part_len += 1;
        }
        let max = if slashes == 0 { FIRST_PART_MAX } else { PART_MAX };
        if part_len > max || slashes > 2 || byte.is_ascii_control() {
            return false;
        }
    }
    slashes == 2 && classification.len() <= MAX
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
}
