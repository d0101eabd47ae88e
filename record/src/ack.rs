//! The acknowledgement: what `telemd` answers on the socket.
//!
//! An extension that older peers never notice: the older library closes
//! without reading, the older daemon closes without writing.
//!
//! The daemon sends [`BANNER`] before it takes a frame from the socket, and
//! once the record is in the spool, or is refused, a status of four bytes;
//! both together if the frame is there when the client is accepted.

/// The first bytes that an acknowledging daemon sends.
pub const BANNER: [u8; 4] = *b"TMA1";
/// Banner and status.
pub const LEN: usize = 8;
/// The largest errno that Linux reports.
const MAX_ERRNO: i32 = 4095;

/// Encodes a status: 0, or a negative errno. Little-endian.
pub fn encode_status(status: i32) -> [u8; 4] {
    status.to_le_bytes()
}

/// What a peer's answer says so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// More bytes must come before anything is known.
    Incomplete,
    /// 0: the record is in the spool; negative errno: it was refused.
    Status(i32),
    /// These bytes are not an acknowledgement.
    Foreign,
}

/// Reads what has arrived of an acknowledgement.
pub fn decode(received: &[u8]) -> Answer {
    let (banner, status) = match received.split_first_chunk::<4>() {
        Some((banner, status)) => (banner.as_slice(), status),
        None => (received, [].as_slice()),
    };
    if !BANNER.starts_with(banner) {
        return Answer::Foreign;
    }
    match status.first_chunk::<4>().map(|bytes| i32::from_le_bytes(*bytes)) {
        None => Answer::Incomplete,
        Some(status) if (-MAX_ERRNO..=0).contains(&status) => Answer::Status(status),
        Some(_) => Answer::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_byte_by_byte() {
        let whole = [b'T', b'M', b'A', b'1', 0xF4, 0xFF, 0xFF, 0xFF];
        for (len, _) in whole.iter().enumerate() {
            assert_eq!(decode(whole.get(..len).unwrap_or_default()), Answer::Incomplete, "{len} bytes");
        }
        assert_eq!(decode(&whole), Answer::Status(-12));
        assert_eq!(decode(b"TMA1\0\0\0\0"), Answer::Status(0));
    }

    #[test]
    fn anything_else_is_foreign() {
        assert_eq!(decode(b"H"), Answer::Foreign);
        assert_eq!(decode(b"TMA2"), Answer::Foreign);
        assert_eq!(decode(b"TMA1\x01\0\0\0"), Answer::Foreign, "positive status");
        assert_eq!(decode(b"TMA1\0\0\0\x80"), Answer::Foreign, "status below every errno");
    }
}
