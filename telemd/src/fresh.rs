//! What was written to the spool a moment ago: most records are delivered at
//! once, and need not be read from the disk before.

use std::collections::VecDeque;

use crate::spool_name::Name;

/// Bytes that are held.
const BYTES_MAX: usize = 256 * 1024;

/// The newest records, as their files have them.
#[derive(Default)]
pub(crate) struct Fresh {
    records: VecDeque<(Name, Vec<u8>)>,
    bytes: usize,
}

impl Fresh {
    /// Holds a record, and lets go of the oldest if there are too many.
    pub(crate) fn keep(&mut self, name: &Name, record: Vec<u8>) {
        self.bytes += record.len();
        self.records.push_back((name.clone(), record));
        while self.bytes > BYTES_MAX {
            let Some((_, record)) = self.records.pop_front() else { return };
            self.bytes -= record.len();
        }
    }

    /// Gives a record, if it is here, and holds it no more.
    pub(crate) fn take(&mut self, name: &Name) -> Option<Vec<u8>> {
        // The first, as a rule: both come in the order of arrival.
        let position = self.records.iter().position(|(held, _)| held == name)?;
        let (_, record) = self.records.remove(position)?;
        self.bytes -= record.len();
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool_name::Urgency;

    fn name(arrival: u64) -> Name {
        Name::new(Urgency::Ordinary, arrival, 0, 0)
    }

    #[test]
    fn the_newest_are_held_within_a_bound_and_given_once() {
        let mut fresh = Fresh::default();
        let count = BYTES_MAX as u64 / 1000 + 10;
        for arrival in 0..count {
            fresh.keep(&name(arrival), vec![0; 1000]);
        }
        assert!(fresh.bytes <= BYTES_MAX);
        assert_eq!(fresh.take(&name(0)), None, "too old");
        assert_eq!(fresh.take(&name(count - 1)).map(|record| record.len()), Some(1000));
        assert_eq!(fresh.take(&name(count - 1)), None);
    }
}
