//! The event id: 32 lower-case hexadecimal digits that tie the records of one
//! event together.

use core::fmt;

/// Number of digits.
pub const LEN: usize = 32;

/// Why an event id is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not [`LEN`] bytes, but this many.
    Length(usize),
    /// No digit, or one in upper case.
    Byte {
        /// The first such byte.
        byte: u8,
        /// Where it stands.
        position: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(len) => write!(f, "it must have {LEN} characters and has {len}"),
            Self::Byte { byte, position } => {
                write!(f, "byte {byte:#04x} at position {position} is none of 0123456789abcdef")
            }
        }
    }
}

impl core::error::Error for Fault {}

/// Whether these are exactly 32 bytes of `0123456789abcdef`.
pub fn is_valid(event_id: &[u8]) -> bool {
    check(event_id).is_ok()
}

/// Accepts exactly 32 bytes of `0123456789abcdef`.
pub fn check(event_id: &[u8]) -> Result<(), Fault> {
    if event_id.len() != LEN {
        return Err(Fault::Length(event_id.len()));
    }
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    match event_id.iter().enumerate().find(|&(_, &byte)| !is_digit(byte)) {
        Some((position, &byte)) => Err(Fault::Byte { byte, position }),
        None => Ok(()),
    }
}

/// Prints 16 random bytes as an event id.
#[inline(never)]
pub fn from_random(random: [u8; LEN / 2]) -> [u8; LEN] {
    let mut id = [b'0'; LEN];
    for (pair, byte) in id.chunks_exact_mut(2).zip(random) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_lower_case_hexadecimal_digits_are_valid() {
        assert!(is_valid(b"0123456789abcdef0123456789abcdef"));
        assert!(!is_valid(b"0123456789ABCDEF0123456789abcdef"), "upper case");
        assert!(!is_valid(b"g123456789abcdef0123456789abcdef"), "not hexadecimal");
        assert!(!is_valid(b"0123456789abcdef0123456789abcde"), "31 digits");
        assert!(!is_valid(b"0123456789abcdef0123456789abcdef0"), "33 digits");
        assert!(!is_valid(b""));
    }

    #[test]
    fn a_fault_names_the_first_bad_byte_and_its_position() {
        assert_eq!(check(b"abc"), Err(Fault::Length(3)));
        let fault = Fault::Byte { byte: b'F', position: 31 };
        assert_eq!(check(b"0123456789abcdef0123456789abcdeF"), Err(fault));
    }

    #[test]
    fn random_bytes_are_printed_high_nibble_first() {
        let id = from_random([0x00, 0x1f, 0xf1, 0xa0, 0x0a, 0x99, 0xff, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(&id, b"001ff1a00a99ff0708090a0b0c0d0e0f");
        assert!(is_valid(&id));
    }
}
