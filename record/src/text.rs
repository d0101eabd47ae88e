//! A short value in a buffer on the stack.

/// Up to `N` bytes; what does not fit is cut off.
#[derive(Clone, Copy, Debug)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0 }
    }
}

impl<const N: usize> Text<N> {
    /// Appends the bytes that fit.
    pub fn push(&mut self, bytes: impl IntoIterator<Item = u8>) {
        for byte in bytes {
            let Some(slot) = self.bytes.get_mut(self.len) else { return };
            *slot = byte;
            self.len += 1;
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
    fn what_does_not_fit_is_cut_off() {
        let mut text = Text::<4>::default();
        text.push(*b"ab");
        text.push(*b"cdef");
        assert_eq!(text.as_bytes(), b"abcd");
        assert!(!text.is_blank());
        text.clear();
        text.push(*b" \t");
        assert!(text.is_blank());
    }
}
