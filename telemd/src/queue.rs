//! Whose turn it is: the names of the records that wait, in the order of
//! delivery.
//!
//! Memory does not grow with the number of records: only the first names are
//! held, and more are looked up on disk when it is their turn.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use crate::spool_name::Name;

/// Names that are held in memory, of each kind.
pub(crate) const NAMES_MAX: usize = 1024;

#[derive(Default)]
pub(crate) struct Queue {
    /// The first of those that nobody has taken.
    ready: BTreeSet<Name>,
    /// Whether files wait that `ready` had no room for.
    more_on_disk: bool,
    /// Users whose records must wait, and hold up nobody.
    held: BTreeSet<u32>,
    /// Whether records of `held` were left on disk.
    held_on_disk: bool,
    /// What the courier has.
    taken: BTreeSet<Name>,
    /// What could not be delivered or read for reasons of its own.
    aside: BTreeSet<Name>,
    aside_since: Option<Instant>,
    /// The last of those that `aside` had no room for.
    tried_up_to: Option<Name>,
    /// What is done with and could not be deleted.
    done: BTreeSet<Name>,
}

impl Queue {
    /// Takes note of all files of the directory; gives their number.
    pub(crate) fn find(&mut self, names: impl Iterator<Item = io::Result<Name>>) -> io::Result<u64> {
        let mut found = BTreeSet::new();
        let (mut more_on_disk, mut held_on_disk, mut count) = (false, false, 0);
        for name in names {
            let name = name?;
            if self.done.contains(&name) || self.taken.contains(&name) {
                continue;
            }
            count += 1;
            let is_tried = self.tried_up_to.as_ref().is_some_and(|last| name <= *last);
            if is_tried || self.aside.contains(&name) {
                continue;
            }
            if self.is_held(&name) {
                held_on_disk = true;
                continue;
            }
            found.insert(name);
            if found.len() > NAMES_MAX {
                found.pop_last();
                more_on_disk = true;
            }
        }
        // Only now: what was known must outlive a search that failed.
        (self.ready, self.more_on_disk, self.held_on_disk) = (found, more_on_disk, held_on_disk);
        // Whoever has one may be deleting it just now, and says so then.
        Ok(count + self.taken.len() as u64)
    }

    /// Whether the directory must be searched to know the first name.
    pub(crate) fn must_search(&self) -> bool {
        self.more_on_disk && self.first().is_none()
    }

    /// Files may have come that nobody announced.
    pub(crate) fn suspect_more(&mut self) {
        self.more_on_disk = true;
    }

    fn is_held(&self, name: &Name) -> bool {
        name.uid.is_some_and(|uid| self.held.contains(&uid))
    }

    /// From now on, records of these users wait, and of no others.
    pub(crate) fn hold(&mut self, users: BTreeSet<u32>) {
        if self.held_on_disk && !self.held.is_subset(&users) {
            self.more_on_disk = true;
        }
        self.held = users;
    }

    /// Adds a name, unless older ones wait on disk: then it is found there when
    /// it is its turn.
    pub(crate) fn insert(&mut self, name: Name) {
        if self.is_held(&name) {
            self.held_on_disk = true;
            return;
        }
        if self.more_on_disk && self.ready.last().is_none_or(|last| name > *last) {
            return;
        }
        self.ready.insert(name);
        if self.ready.len() > NAMES_MAX {
            self.ready.pop_last();
            self.more_on_disk = true;
        }
    }

    /// The first name that need not wait.
    pub(crate) fn first(&self) -> Option<&Name> {
        self.ready.iter().find(|name| !self.is_held(name))
    }

    /// The courier has it.
    pub(crate) fn take(&mut self, name: &Name) {
        self.ready.remove(name);
        self.taken.insert(name.clone());
    }

    /// The courier has it no more, and it does not come back.
    pub(crate) fn finish(&mut self, name: &Name) {
        self.taken.remove(name);
    }

    /// The courier could not deliver it.
    pub(crate) fn give_back(&mut self, name: Name) {
        self.taken.remove(&name);
        self.insert(name);
    }

    /// There is no courier any more: what it had waits again.
    pub(crate) fn give_back_all(&mut self) {
        for name in std::mem::take(&mut self.taken) {
            self.insert(name);
        }
    }

    /// It comes again when its time has come, and holds up nobody.
    pub(crate) fn set_aside(&mut self, name: Name, now: Instant) {
        self.ready.remove(&name);
        self.taken.remove(&name);
        self.aside_since.get_or_insert(now);
        self.aside.insert(name);
        if self.aside.len() > NAMES_MAX {
            // Its turn is over until the others of its kind come again.
            self.tried_up_to = self.tried_up_to.take().max(self.aside.pop_last());
        }
    }

    /// Puts back what has been aside for so long.
    pub(crate) fn take_up(&mut self, interval: Duration, now: Instant) {
        if self.aside_since.is_some_and(|since| now.duration_since(since) >= interval) {
            self.aside_since = None;
            // What there was no room for is found again on disk.
            self.more_on_disk |= self.tried_up_to.take().is_some();
            for name in std::mem::take(&mut self.aside) {
                self.insert(name);
            }
        }
    }

    /// It is done with, and its file is still there: it must not be delivered
    /// again.
    pub(crate) fn remember_done(&mut self, name: Name) {
        self.done.insert(name);
        if self.done.len() > NAMES_MAX {
            self.done.pop_first();
        }
    }

    pub(crate) fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// What is still to be deleted.
    pub(crate) fn done(&self) -> impl Iterator<Item = &Name> {
        self.done.iter()
    }

    /// It was deleted at last.
    pub(crate) fn forget_done(&mut self, name: &Name) {
        self.done.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool_name::Urgency;

    fn name(arrival: u64, uid: u32) -> Name {
        Name::new(Urgency::Ordinary, arrival, uid, 0)
    }

    fn found(disk: &[Name]) -> Queue {
        let mut queue = Queue::default();
        search(&mut queue, disk);
        queue
    }

    fn search(queue: &mut Queue, disk: &[Name]) {
        queue.find(disk.iter().cloned().map(Ok)).unwrap();
    }

    /// Takes all, as the spool does, in order of arrival.
    fn drain(queue: &mut Queue, disk: &mut Vec<Name>) -> Vec<u64> {
        let mut order = Vec::new();
        loop {
            if queue.must_search() {
                search(queue, disk);
            }
            let Some(name) = queue.first().cloned() else { return order };
            queue.take(&name);
            queue.finish(&name);
            disk.retain(|other| *other != name);
            order.push(name.arrival);
        }
    }

    #[test]
    fn records_of_a_user_who_must_wait_hold_up_nobody_and_come_later() {
        let mut disk: Vec<_> = (0..3000).map(|number| name(number, 7)).chain([name(5000, 8)]).collect();
        let mut queue = found(&disk);
        queue.hold(BTreeSet::from([7]));
        queue.insert(name(6000, 7));
        disk.push(name(6000, 7));
        assert_eq!(drain(&mut queue, &mut disk), [5000]);
        assert!(!queue.must_search(), "the directory is not searched for those who wait");
        queue.hold(BTreeSet::new());
        assert_eq!(drain(&mut queue, &mut disk), (0..3000).chain([6000]).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_aside_comes_again_after_the_interval() {
        let mut queue = found(&[name(1, 0), name(2, 0)]);
        let (now, interval) = (Instant::now(), Duration::from_secs(120));
        queue.set_aside(name(1, 0), now);
        queue.take_up(interval, now + interval / 2);
        assert_eq!(queue.first(), Some(&name(2, 0)));
        queue.take_up(interval, now + interval);
        assert_eq!(queue.first(), Some(&name(1, 0)));
    }

    #[test]
    fn more_bad_files_than_names_fit_in_memory_are_tried_once_and_not_for_ever() {
        let disk: Vec<_> = (0..3 * NAMES_MAX as u64).map(|number| name(number, 0)).collect();
        let mut queue = found(&disk);
        let (now, mut tried) = (Instant::now(), 0);
        while tried < 100 * disk.len() {
            if queue.must_search() {
                search(&mut queue, &disk);
            }
            let Some(name) = queue.first().cloned() else { break };
            queue.set_aside(name, now);
            tried += 1;
        }
        assert!(tried <= 5 * disk.len(), "{tried}");
        queue.take_up(Duration::ZERO, now);
        assert!(queue.must_search(), "all of them come again");
    }

    #[test]
    fn what_could_not_be_deleted_is_not_found_again() {
        let mut queue = Queue::default();
        queue.remember_done(name(1, 0));
        assert_eq!(queue.find([name(1, 0), name(2, 0)].map(Ok).into_iter()).unwrap(), 1);
        assert_eq!(queue.first(), Some(&name(2, 0)));
        assert_eq!(queue.done().count(), 1);
    }

    #[test]
    fn what_a_courier_had_at_its_end_waits_again() {
        let mut queue = found(&[name(1, 0)]);
        queue.take(&name(1, 0));
        assert_eq!(queue.first(), None);
        queue.give_back_all();
        assert_eq!(queue.first(), Some(&name(1, 0)));
    }

    #[test]
    fn a_search_that_fails_forgets_nothing() {
        let mut queue = found(&[name(1, 0)]);
        assert!(queue.find([Err(io::ErrorKind::Other.into())].into_iter()).is_err());
        assert_eq!(queue.first(), Some(&name(1, 0)));
    }
}
