//! The payload of a record: up to 8192 bytes of printable ASCII and white
//! space, checked where a program hands it in.
//!
//! Receivers accept any byte, because older libraries checked with the host's
//! locale.

/// The longest payload, in bytes, without any terminator.
pub const MAX: usize = 8192;

const fn is_allowed(byte: u8) -> bool {
    // 0x20..=0x7E and the white space 0x09..=0x0D. Two comparisons without a
    // branch, so that whole vectors of bytes are judged at once.
    (byte.wrapping_sub(0x20) <= 0x7E - 0x20) | (byte.wrapping_sub(0x09) <= 0x0D - 0x09)
}

/// Whether every byte is one that `tm_set_payload(3)` accepts.
pub fn is_valid(payload: &[u8]) -> bool {
    let all_allowed = |bytes: &[u8]| bytes.iter().fold(true, |valid, &byte| valid & is_allowed(byte));
    let blocks = payload.chunks_exact(64);
    let rest = blocks.remainder();
    blocks.fold(true, |valid, block| valid & all_allowed(block)) & all_allowed(rest)
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
            for position in [0, len / 2, len - 1] {
                let mut bad = good.clone();
                if let Some(byte) = bad.get_mut(position) {
                    *byte = 0x80;
                }
                assert!(!is_valid(&bad), "position {position} of {len}");
            }
        }
    }
}
