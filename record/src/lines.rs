//! The lines of a text.

/// The pieces between the newlines, without them; the last may be empty.
#[derive(Clone, Debug)]
pub struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Lines<'a> {
    /// The lines of `text`.
    pub const fn new(text: &'a [u8]) -> Self {
        Self(Some(text))
    }

    /// What follows the lines that were taken.
    pub fn rest(&self) -> &'a [u8] {
        self.0.unwrap_or_default()
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut parts = self.0?.splitn(2, |&byte| byte == b'\n');
        let line = parts.next();
        self.0 = parts.next();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn lines_end_at_newlines_only() {
        let lines: Vec<&[u8]> = Lines::new(b"one\r\n\ntwo").collect();
        assert_eq!(lines, [b"one\r".as_slice(), b"", b"two"]);
        assert_eq!(Lines::new(b"").count(), 1);
    }

    #[test]
    fn the_rest_starts_behind_the_newline() {
        let mut lines = Lines::new(b"one\n\ntwo");
        lines.next();
        assert_eq!(lines.rest(), b"\ntwo");
        lines.next();
        lines.next();
        assert_eq!(lines.rest(), b"");
    }
}
