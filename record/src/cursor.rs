//! Writing bytes into a buffer of fixed size.

/// The buffer was too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The part of a buffer that has not been written yet.
///
/// Once a write did not fit, nothing more is written; [`Cursor::finish`] tells.
#[derive(Debug)]
pub struct Cursor<'a> {
    rest: &'a mut [u8],
    written: usize,
    is_full: bool,
}

impl<'a> Cursor<'a> {
    /// Writes from the start of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { rest: buffer, written: 0, is_full: false }
    }

    /// Writes `bytes` whole, or nothing from here on.
    // One copy of this serves every caller: the library that all programs load
    // is smaller for it, and not slower.
    #[inline(never)]
    pub fn put(&mut self, bytes: &[u8]) {
        match core::mem::take(&mut self.rest).split_at_mut_checked(bytes.len()) {
            Some((target, rest)) => {
                target.copy_from_slice(bytes);
                self.rest = rest;
                self.written = self.written.saturating_add(bytes.len());
            }
            None => self.is_full = true,
        }
    }

    /// Number of bytes that were written.
    pub fn written(&self) -> usize {
        self.written
    }

    /// Whether all writes did fit.
    pub fn finish(self) -> Result<(), Full> {
        if self.is_full { Err(Full) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_after_what_did_not_fit() {
        let mut buffer = *b"......";
        let mut cursor = Cursor::new(&mut buffer);
        cursor.put(b"ab");
        cursor.put(b"cdefg");
        cursor.put(b"h");
        assert_eq!(cursor.written(), 2);
        assert_eq!(cursor.finish(), Err(Full));
        assert_eq!(&buffer, b"ab....");
        let mut cursor = Cursor::new(&mut buffer);
        cursor.put(b"123456");
        assert_eq!(cursor.finish(), Ok(()));
    }
}
