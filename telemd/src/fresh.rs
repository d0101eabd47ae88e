//! What was written to the spool a moment ago: most records are delivered at
//! once, and need not be read from the disk before.

use std::collections::VecDeque;

use crate::spool_name::Name;

/// Bytes that are held.
const BYTES_MAX: usize = 256 * 1024;

/// Records as their files have them: the first that came, for it is their turn
/// first.
#[derive(Default)]
pub(crate) struct Fresh {
    records: VecDeque<(Name, Vec<u8>)>,
    bytes: usize,
}

impl Fresh {
    /// Holds a record if there is room.
    pub(crate) fn keep(&mut self, name: &Name, record: Vec<u8>) {
        if self.bytes + record.len() <= BYTES_MAX {
            self.bytes += record.len();
            self.records.push_back((name.clone(), record));
        }
    }

    /// Holds nothing more.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
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
    fn the_first_are_held_within_a_bound_and_given_once() {
        let mut fresh = Fresh::default();
        let count = BYTES_MAX as u64 / 1000 + 10;
        for arrival in 0..count {
            fresh.keep(&name(arrival), vec![0; 1000]);
        }
        assert!(fresh.bytes <= BYTES_MAX);
        assert_eq!(fresh.take(&name(count - 1)), None, "there was no room");
        assert_eq!(fresh.take(&name(0)).map(|record| record.len()), Some(1000));
        assert_eq!(fresh.take(&name(0)), None);
        fresh.keep(&name(count), vec![0; 1000]);
        assert!(fresh.take(&name(count)).is_some(), "room again");
    }
}
