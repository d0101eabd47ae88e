//! What is known of the spool without looking: which records wait, which are
//! being written, who waits for one, and what all of it takes.
//!
//! Nothing here touches a record's file: that takes time, and whoever holds the
//! inventory holds up the others. Only a backlog is searched and a full spool
//! measured under it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Sender;
use ring::rand::{SecureRandom, SystemRandom};

use crate::fresh::Fresh;
use crate::log;
use crate::queue::Queue;
use crate::spool::SpoolRules;
use crate::spool_directory::SpoolDirectory;
use crate::spool_name::{Name, Urgency, nanoseconds};
use crate::status::Counters;
use crate::sync::{self, Batch, SyncQueue};
use crate::usage::{StoreError, Usage};

/// Pause after a shortage of descriptors or memory.
const SHORTAGE_PAUSE: Duration = Duration::from_secs(1);
/// Time after which a file that could not be deleted is tried again.
const DELETE_INTERVAL: Duration = Duration::from_secs(10);

/// A record that is somebody's now, until they say what became of it.
pub(crate) struct Taken {
    pub(crate) name: Name,
    /// If it was written a moment ago: it need not be read.
    pub(crate) content: Option<Vec<u8>>,
}

/// A record that is being written.
struct Arriving {
    len: usize,
    uid: u32,
    since: Instant,
}

pub(crate) struct Inventory {
    queue: Queue,
    usage: Usage,
    /// Their files may be there already or not; searches pass them over.
    arriving: BTreeMap<Name, Arriving>,
    fresh: Fresh,
    unsynced: SyncQueue,
    syncer: Sender<Batch>,
    /// Number of records in the directory.
    count: u64,
    counters: Arc<Counters>,
    askers: VecDeque<Sender<Taken>>,
    retry_interval: Duration,
    /// Records could not be read for want of something that others have.
    in_shortage: bool,
    /// When the directory changed last, as far as that was looked at.
    changed: Option<SystemTime>,
    looked: Instant,
    /// When the keeper comes next.
    keeper_comes: Instant,
    last_arrival: u64,
    /// Makes names different from those of other daemons that had the same
    /// time.
    name_salt: u32,
}

impl Inventory {
    /// Takes note of what is in the directory.
    pub(crate) fn of(directory: &SpoolDirectory, rules: &SpoolRules, counters: Arc<Counters>) -> io::Result<Self> {
        let now = Instant::now();
        let mut inventory = Self {
            queue: Queue::default(),
            usage: Usage::default(),
            arriving: BTreeMap::new(),
            fresh: Fresh::default(),
            unsynced: SyncQueue::new(rules.sync_interval),
            syncer: sync::start(directory.path())?,
            count: 0,
            counters,
            askers: VecDeque::new(),
            retry_interval: rules.retry_interval,
            in_shortage: false,
            changed: None,
            looked: now,
            keeper_comes: now,
            last_arrival: 0,
            name_salt: salt()?,
        };
        inventory.usage.quota = rules.quota;
        inventory.search(directory)?;
        Ok(inventory)
    }

    /// Works by other rules for the same directory.
    pub(crate) fn apply(&mut self, rules: &SpoolRules) {
        self.usage.quota = rules.quota;
        self.unsynced.set_interval(rules.sync_interval);
        self.retry_interval = rules.retry_interval;
    }

    /// What couriers had waits again, and none of them waits for more.
    pub(crate) fn forget_couriers(&mut self) {
        self.askers.clear();
        self.queue.hold(Default::default());
        self.queue.give_back_all();
    }

    /// The directory was emptied.
    pub(crate) fn start_anew(&mut self, directory: &SpoolDirectory) -> io::Result<()> {
        self.fresh.clear();
        self.usage.forget();
        self.queue = Queue::default();
        self.search(directory)
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// How long a record has been waiting to be written.
    pub(crate) fn slowest_arrival(&self) -> Duration {
        self.arriving.values().map(|arriving| arriving.since.elapsed()).max().unwrap_or_default()
    }

    /// Looks for the first names on disk.
    fn search(&mut self, directory: &SpoolDirectory) -> io::Result<()> {
        let (last_arrival, arriving) = (&mut self.last_arrival, &self.arriving);
        let names = directory.names()?.filter(|name| {
            let Ok(name) = name else { return true };
            *last_arrival = (*last_arrival).max(name.arrival);
            !arriving.contains_key(name)
        });
        self.count = self.queue.find(names)?;
        self.counters.spooled(self.count);
        Ok(())
    }

    /// Makes room for a record that is to be written, and gives it a name
    /// behind all others, whatever the clock does.
    pub(crate) fn announce(
        &mut self,
        directory: &SpoolDirectory,
        len: usize,
        urgency: Urgency,
        uid: u32,
    ) -> Result<Name, StoreError> {
        let arriving = self.arriving.values().map(|arriving| (arriving.len, arriving.uid));
        self.usage.check(directory.path(), len, uid, arriving)?;
        let arrival = nanoseconds(SystemTime::now()).max(self.last_arrival.saturating_add(1));
        self.last_arrival = arrival;
        self.name_salt = self.name_salt.wrapping_add(1);
        let name = Name::new(urgency, arrival, uid, self.name_salt);
        self.usage.add(len, uid);
        self.arriving.insert(name.clone(), Arriving { len, uid, since: Instant::now() });
        Ok(name)
    }

    /// A record is there.
    pub(crate) fn arrived(&mut self, name: Name, record: Vec<u8>, is_synced: bool) {
        self.arriving.remove(&name);
        if !is_synced {
            self.unsynced.add(&name.file, Instant::now());
        }
        self.fresh.keep(&name, record);
        self.queue.insert(name);
        self.count += 1;
        self.counters.spooled(self.count);
    }

    /// A record could not be written, and nothing of it is there.
    pub(crate) fn did_not_arrive(&mut self, name: &Name) {
        if let Some(Arriving { len, uid, .. }) = self.arriving.remove(name) {
            self.usage.subtract(len, Some(uid));
        }
    }

    /// Somebody waits for a record.
    pub(crate) fn ask(&mut self, asker: Sender<Taken>) {
        self.askers.push_back(asker);
    }

    /// Whether those who wait for a record must wait for a search.
    pub(crate) fn must_search(&self) -> bool {
        !self.askers.is_empty() && self.queue.must_search()
    }

    /// Gives the first records to those who wait for one.
    pub(crate) fn answer(&mut self, directory: &SpoolDirectory) {
        while !self.askers.is_empty() && !self.in_shortage {
            let Some(taken) = self.take_first(directory) else { return };
            let Some(asker) = self.askers.pop_front() else { return };
            // Who does not wait any more does not need it.
            if let Err(unsent) = asker.send(taken) {
                self.give_back(unsent.into_inner());
            }
        }
    }

    fn take_first(&mut self, directory: &SpoolDirectory) -> Option<Taken> {
        if self.queue.must_search() {
            if let Err(error) = self.search(directory) {
                log::error(format_args!("spool_dir {}: {error}", directory.path().display()));
                self.in_shortage = true;
                return None;
            }
        }
        let name = self.queue.first()?.clone();
        self.queue.take(&name);
        Some(Taken { content: self.fresh.take(&name), name })
    }

    fn give_back(&mut self, taken: Taken) {
        if let Some(content) = taken.content {
            self.fresh.keep(&taken.name, content);
        }
        self.queue.give_back(taken.name);
    }

    /// A record that was taken cannot be read for want of something that others
    /// have: it keeps its place, and none is given out for a moment.
    pub(crate) fn wait_for_others(&mut self, name: Name) {
        self.queue.give_back(name);
        self.in_shortage = true;
    }

    /// A record that was taken is in the directory no more.
    pub(crate) fn gone(&mut self, name: &Name, len: usize) {
        self.queue.finish(name);
        self.usage.subtract(len, name.uid);
        self.count = self.count.saturating_sub(1);
        self.counters.spooled(self.count);
    }

    /// A record that is done with could not be deleted; until that works, it is
    /// not delivered again by this process.
    pub(crate) fn stays(&mut self, name: Name) {
        self.usage.forget();
        self.queue.remember_done(name);
    }

    /// A record that had stayed could be deleted.
    pub(crate) fn deleted_at_last(&mut self, name: &Name) {
        self.queue.forget_done(name);
    }

    /// A record that was taken could not be delivered.
    pub(crate) fn undelivered(&mut self, name: Name) {
        self.queue.give_back(name);
    }

    /// A record that was taken could not be delivered or read for reasons of
    /// its own: it comes again when its time has come.
    pub(crate) fn set_aside(&mut self, name: Name) {
        self.queue.set_aside(name, Instant::now());
    }

    /// From now on, only records of these users are not given out.
    pub(crate) fn hold(&mut self, users: BTreeSet<u32>) {
        self.queue.hold(users);
    }

    /// Time between two looks around.
    fn look_interval(&self) -> Duration {
        match () {
            () if self.in_shortage => SHORTAGE_PAUSE,
            () if self.queue.has_done() => DELETE_INTERVAL.min(self.retry_interval),
            () => self.retry_interval,
        }
    }

    fn next_chore(&self, now: Instant) -> Instant {
        let look = self.looked + self.look_interval();
        self.unsynced.due_in(now).map_or(look, |sync| look.min(now + sync))
    }

    /// Whether the keeper would come too late, and has to be called.
    pub(crate) fn calls_keeper(&mut self) -> bool {
        let now = Instant::now();
        let must_call = self.keeper_comes > now && (self.must_search() || self.next_chore(now) < self.keeper_comes);
        if must_call {
            self.keeper_comes = now;
        }
        must_call
    }

    /// When the keeper has to come again; it will.
    pub(crate) fn schedule_keeper(&mut self) -> Duration {
        let now = Instant::now();
        self.keeper_comes = self.next_chore(now);
        self.keeper_comes.saturating_duration_since(now)
    }

    /// What is to be done from time to time. Gives the files that are to be
    /// deleted at last.
    pub(crate) fn do_chores(&mut self, directory: &SpoolDirectory) -> Vec<Name> {
        let now = Instant::now();
        self.unsynced.hand_over_if_due(&self.syncer, now);
        let mut undeleted = Vec::new();
        if now.duration_since(self.looked) >= self.look_interval() {
            self.looked = now;
            self.in_shortage = false;
            undeleted.extend(self.queue.done().cloned());
            // Others may have put files into the directory.
            let changed = directory.changed();
            if std::mem::replace(&mut self.changed, changed) != changed {
                self.queue.suspect_more();
            }
        }
        self.queue.take_up(self.retry_interval, now);
        self.answer(directory);
        undeleted
    }

    #[cfg(test)]
    pub(crate) fn usage(&mut self) -> &mut Usage {
        &mut self.usage
    }

    #[cfg(test)]
    pub(crate) fn suspect_more(&mut self) {
        self.queue.suspect_more();
    }

    /// Syncs all that was not synced yet: nobody will later.
    pub(crate) fn flush(&mut self, directory: &SpoolDirectory) {
        self.unsynced.flush(directory.path());
    }
}

fn salt() -> io::Result<u32> {
    let mut random = [0; 4];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(u32::from_ne_bytes(random))
}
