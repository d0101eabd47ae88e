//! The payload of a record: up to 8192 bytes of printable ASCII and white
//! space, checked where a program hands it in.
//!
//! Receivers accept any byte, because older libraries checked with the host's
//! locale.

/// The longest payload, in bytes, without any terminator.
pub const MAX: usize = 8192;

/// One in every byte of a word.
const ONES: u64 = u64::MAX / 0xFF;
/// The highest bit of every byte of a word.
const HIGH: u64 = ONES * 0x80;

/// Whether the eight bytes of a word are allowed, judged at once: for a byte
/// below 0x80, adding 0x80 - n sets its highest bit exactly if it is n or more,
/// and carries nothing into the next byte.
#[allow(clippy::identity_op, reason = "the bound 0x7F reads like the others")]
const fn all_allowed(word: u64) -> bool {
    let seven_bits = word & !HIGH;
    let at_least_0x09 = seven_bits + ONES * (0x80 - 0x09);
    let at_least_0x0e = seven_bits + ONES * (0x80 - 0x0E);
    let at_least_0x20 = seven_bits + ONES * (0x80 - 0x20);
    let at_least_0x7f = seven_bits + ONES * (0x80 - 0x7F);
    let white_space = at_least_0x09 & !at_least_0x0e;
    let printable = at_least_0x20 & !at_least_0x7f;
    (printable | white_space) & !word & HIGH == HIGH
}

/// Where the first byte stands that is not allowed.
pub fn first_invalid(payload: &[u8]) -> Option<usize> {
    if is_valid(payload) {
        return None;
    }
    payload.iter().position(|&byte| !is_valid(&[byte]))
}

/// Whether every byte is one that `tm_set_payload(3)` accepts: 0x20 to 0x7E
/// and 0x09 to 0x0D.
pub fn is_valid(payload: &[u8]) -> bool {
    let words = payload.chunks_exact(8);
    let mut last = [b' '; 8];
    for (slot, &byte) in last.iter_mut().zip(words.remainder()) {
        *slot = byte;
    }
    let whole_words_are_valid = words.fold(true, |valid, bytes| {
        valid & bytes.first_chunk().is_some_and(|word| all_allowed(u64::from_ne_bytes(*word)))
    });
    whole_words_are_valid && all_allowed(u64::from_ne_bytes(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_printable_ascii_and_white_space_are_allowed() {
        for byte in 0..=255u8 {
            let expected = (0x20..=0x7E).contains(&byte) || (0x09..=0x0D).contains(&byte);
            assert_eq!(is_valid(&[byte]), expected, "byte {byte:#04x}");
        }
    }

    #[test]
    fn one_bad_byte_is_found_wherever_it_stands() {
        for len in [1, 63, 64, 65, 127, 128, 200, MAX] {
            let good = alloc::vec![b'a'; len];
            assert!(is_valid(&good));
            assert_eq!(first_invalid(&good), None);
            for position in [0, len / 2, len - 1] {
                let mut bad = good.clone();
                if let Some(byte) = bad.get_mut(position) {
                    *byte = 0x80;
                }
                assert!(!is_valid(&bad), "position {position} of {len}");
                assert_eq!(first_invalid(&bad), Some(position));
            }
        }
    }
}
