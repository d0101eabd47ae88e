//! A line of the journal, the same for who writes it and who reads it.
//!
//! ```text
//! record_id RS timestamp RS classification RS event_id RS boot_id LF
//! ```
//!
//! The format is that of the C daemons.

/// Lines at the end of the journal that count: the daemon lets the file grow a
/// little longer before it cuts it back to these, and readers show no others.
pub const LINES_KEPT: usize = 100;

/// Between two fields.
const SEPARATOR: u8 = 0x1E;

/// What a line says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Made for this line; names the copy of the payload, if there is one.
    pub record_id: &'a [u8],
    /// Seconds since the epoch, in decimal: when the record was delivered.
    pub timestamp: &'a [u8],
    /// `namespace/kind/detail`.
    pub classification: &'a [u8],
    /// Joins the records of one event.
    pub event_id: &'a [u8],
    /// The boot in which the line was written.
    pub boot_id: &'a [u8],
}

impl<'a> Line<'a> {
    /// Writes the line, with its newline. The fields must be free of control
    /// characters.
    pub fn encode(&self) -> Vec<u8> {
        let fields = [self.record_id, self.timestamp, self.classification, self.event_id, self.boot_id];
        let mut line = fields.join(&SEPARATOR);
        line.push(b'\n');
        line
    }

    /// Reads a line, without its newline. `None`: it has too few fields. More
    /// than there should be are ignored, and none is checked.
    pub fn decode(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == SEPARATOR);
        Some(Self {
            record_id: fields.next()?,
            timestamp: fields.next()?,
            classification: fields.next()?,
            event_id: fields.next()?,
            boot_id: fields.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_a_short_one_is_none() {
        let line = Line { record_id: b"r", timestamp: b"1", classification: b"a/b/c", event_id: b"e", boot_id: b"b" };
        let encoded = line.encode();
        assert_eq!(encoded, b"r\x1e1\x1ea/b/c\x1ee\x1eb\n");
        let text = encoded.strip_suffix(b"\n").unwrap();
        assert_eq!(Line::decode(text), Some(line));
        assert_eq!(Line::decode(&[text, b"\x1emore"].concat()), Some(line));
        for short in [b"".as_slice(), b"r", b"r\x1e1\x1ea/b/c\x1ee"] {
            assert_eq!(Line::decode(short), None);
        }
    }
}
