//! A short value in a buffer on the stack.

/// Up to [`Text::CAPACITY`] bytes; what is over its limit is cut off.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; Self::CAPACITY],
    len: usize,
    limit: usize,
}

impl Text {
    /// The greatest limit: the longest value that is kept in one, the path of a
    /// socket.
    pub const CAPACITY: usize = crate::config::SOCKET_PATH_MAX;

    /// No bytes yet, and at most `limit` of them later.
    #[inline(never)]
    pub const fn with_limit(limit: usize) -> Self {
        Self { bytes: [0; Self::CAPACITY], len: 0, limit }
    }

    /// Appends a byte if there is room for it.
    #[inline(never)]
    pub fn push(&mut self, byte: u8) {
        let room = self.bytes.get_mut(..self.limit.min(Self::CAPACITY)).unwrap_or_default();
        if let Some(slot) = room.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    /// Appends the bytes that there is room for.
    pub fn extend(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte);
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Whether there is nothing but white space.
    #[inline(never)]
    pub fn is_blank(&self) -> bool {
        self.as_bytes().iter().all(u8::is_ascii_whitespace)
    }
}

/// Makes a byte fit to stand in a header line: control characters, which
/// could end the line or be refused by an HTTP server, become spaces.
pub const fn header_byte(byte: u8) -> u8 {
    if byte.is_ascii_control() { b' ' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_limit_is_cut_off() {
        let mut text = Text::with_limit(4);
        text.extend(b"ab");
        text.extend(b"cdef");
        assert_eq!(text.as_bytes(), b"abcd");
        assert!(!text.is_blank());
        text.clear();
        text.extend(b" \t");
        assert!(text.is_blank());
        let mut text = Text::with_limit(1000);
        text.extend(&[b'x'; 1000]);
        assert_eq!(text.as_bytes().len(), Text::CAPACITY);
    }
}
