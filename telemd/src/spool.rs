//! The spool: records on disk, one file each, until a collector has them.
//!
//! Records come out in the order of their names; what cannot be read or
//! delivered for reasons of its own is set aside and holds up nobody.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};
use record::config::{Key, Settings};
use ring::digest;
use thiserror::Error;

use crate::inventory::{Inventory, Taken};
use crate::rejected::Rejected;
use crate::spool_directory::SpoolDirectory;
use crate::spool_name::{Name, Urgency};
use crate::status::Counters;
use crate::usage::{Quota, StoreError};
use crate::{files, log};

mod keeper;
#[cfg(test)]
pub(crate) mod tests;

#[derive(Debug, Error)]
#[error("spool_dir {}: {error}; it must be a directory that the daemon may write to", directory.display())]
pub(crate) struct SpoolError {
    directory: PathBuf,
    error: io::Error,
}

/// A record that waits, as its file has it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The file's name.
    pub name: Name,
    /// What is in it.
    pub content: Vec<u8>,
}

impl Waiting {
    /// The same for every attempt to deliver this file, and for no other: by
    /// it a collector knows a record that comes again.
    pub fn record_id(&self) -> String {
        let mut digest = digest::Context::new(&digest::SHA256);
        digest.update(self.name.file.as_os_str().as_bytes());
        digest.update(&[0]);
        digest.update(&self.content);
        digest.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// When it came.
    pub fn arrival(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.name.arrival)
    }
}

/// What the configuration says of the spool.
#[derive(Clone, Debug)]
pub(crate) struct SpoolRules {
    pub(crate) directory: PathBuf,
    pub(crate) quota: Quota,
    /// Longest time until a record survives a power failure.
    pub(crate) sync_interval: Duration,
    /// Time after which what was set aside, or could not be read, is tried
    /// again, and files are looked for that others put here.
    pub(crate) retry_interval: Duration,
}

impl SpoolRules {
    pub(crate) fn new(settings: &Settings) -> Self {
        let number = |key| u64::try_from(settings.integer(key)).ok();
        let seconds = |key| Duration::from_secs(number(key).unwrap_or_default());
        let all = number(Key::SpoolMaxSize).map(|kibibytes| kibibytes.saturating_mul(1024));
        let percent = number(Key::SpoolUserShare).filter(|percent| *percent < 100);
        let user = all.zip(percent).map(|(all, percent)| all.saturating_mul(percent) / 100);
        Self {
            directory: crate::settings::path(settings, Key::SpoolDir).to_owned(),
            quota: Quota { all, user },
            sync_interval: seconds(Key::SpoolSyncInterval),
            retry_interval: seconds(Key::SpoolProcessTime),
        }
    }
}

/// The spool, as all stations share it: each writes, reads and deletes files
/// itself, and says so in the inventory.
struct Shared {
    /// Written to only while nobody uses the directory.
    directory: RwLock<SpoolDirectory>,
    /// Held for no longer than it takes to note something, and for a search.
    inventory: Mutex<Inventory>,
    rejected: Mutex<Rejected>,
    /// Whether no record may wait to be synced.
    is_synced_at_once: AtomicBool,
    counters: Arc<Counters>,
    /// For files that could not be deleted.
    undeleted: log::Throttle,
    /// For files that are no good.
    bad: log::Throttle,
}

impl Shared {
    fn directory(&self) -> RwLockReadGuard<'_, SpoolDirectory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory_alone(&self) -> RwLockWriteGuard<'_, SpoolDirectory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn inventory(&self) -> MutexGuard<'_, Inventory> {
        self.inventory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rejected(&self) -> MutexGuard<'_, Rejected> {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes a file that is done with; tells whether it is gone.
    fn delete(&self, directory: &SpoolDirectory, name: &Name) -> bool {
        let deleted = directory.delete(name);
        if let Err(error) = &deleted {
            let file = name.file.display();
            self.undeleted.log(format_args!(
                "spool file {file}: it is delivered and cannot be deleted: {error}; after a restart it is sent again"
            ));
        }
        deleted.is_ok()
    }
}

/// A station's end of the spool.
#[derive(Clone)]
pub(crate) struct Spool {
    shared: Arc<Shared>,
    keeper: Sender<keeper::Request>,
}

impl Spool {
    /// Opens the directory and starts its keeper, which ends when the last
    /// `Spool` is dropped.
    pub(crate) fn open(rules: SpoolRules, counters: Arc<Counters>) -> Result<(Self, JoinHandle<()>), SpoolError> {
        Self::try_open(&rules, counters).map_err(|error| SpoolError { directory: rules.directory, error })
    }

    fn try_open(rules: &SpoolRules, counters: Arc<Counters>) -> io::Result<(Self, JoinHandle<()>)> {
        let directory = SpoolDirectory::open(&rules.directory)?;
        let inventory = Inventory::of(&directory, rules, Arc::clone(&counters))?;
        let shared = Arc::new(Shared {
            rejected: Mutex::new(Rejected::beside(directory.path())),
            directory: RwLock::new(directory),
            inventory: Mutex::new(inventory),
            is_synced_at_once: AtomicBool::new(rules.sync_interval.is_zero()),
            counters,
            undeleted: log::Throttle::default(),
            bad: log::Throttle::default(),
        });
        let (keeper, thread) = keeper::start(Arc::clone(&shared))?;
        Ok((Self { shared, keeper }, thread))
    }

    /// Notes something, and calls the keeper if it has to come sooner for that.
    fn note<T>(&self, note: impl FnOnce(&mut Inventory) -> T) -> T {
        let mut inventory = self.shared.inventory();
        let noted = note(&mut inventory);
        let must_call = inventory.calls_keeper();
        // It needs the inventory when it wakes.
        drop(inventory);
        if must_call {
            // If it is called already, it comes anyway.
            let _ = self.keeper.try_send(keeper::Request::Come);
        }
        noted
    }

    /// Puts a record, encoded as a spool file, on disk. Returns when it is
    /// there; a critical one, when a power failure cannot take it any more.
    /// Who waits for one gets it by [`Self::hand_out`].
    pub(crate) fn store(&self, record: Vec<u8>, urgency: Urgency, uid: u32) -> Result<(), StoreError> {
        let directory = self.shared.directory();
        let is_synced = self.is_synced(urgency);
        let name = self.shared.inventory().announce(&directory, record.len(), urgency, uid)?;
        let written = directory.write(&name, &record, is_synced);
        self.note(|inventory| match written {
            Ok(()) => inventory.arrived(name, record, is_synced),
            Err(_) => inventory.did_not_arrive(&name),
        });
        Ok(written?)
    }

    /// Gives records that came to those who wait for one. A search is left to
    /// the keeper.
    pub(crate) fn hand_out(&self) {
        let directory = self.shared.directory();
        self.note(|inventory| {
            if !inventory.must_search() {
                inventory.answer(&directory);
            }
        });
    }

    /// Whether a record is synced before [`Self::store`] returns, which takes
    /// long.
    pub(crate) fn is_synced(&self, urgency: Urgency) -> bool {
        urgency == Urgency::Critical || self.shared.is_synced_at_once.load(Ordering::Relaxed)
    }

    /// Asks for the first record that nobody else has; it comes when there is
    /// one, and is then to be opened.
    pub(crate) fn next(&self) -> Receiver<Taken> {
        let (reply, answer) = bounded(1);
        let directory = self.shared.directory();
        self.note(|inventory| {
            inventory.ask(reply);
            inventory.answer(&directory);
        });
        answer
    }

    /// Reads a record. `None`: it could not be read, and the next one is to be
    /// asked for. In a shortage it keeps its place; if it cannot be read for
    /// another reason, it is set aside.
    pub(crate) fn open_taken(&self, taken: Taken) -> Option<Waiting> {
        let directory = self.shared.directory();
        let Taken { name, content } = taken;
        let read = match content {
            // Unless somebody deleted it: then it must not be sent.
            Some(content) => directory.check_presence(&name).map(|()| content),
            None => directory.read(&name),
        };
        let error = match read {
            Ok(content) => return Some(Waiting { name, content }),
            Err(error) => error,
        };
        let file = name.file.display();
        match error.kind() {
            io::ErrorKind::NotFound => self.note(|inventory| inventory.gone(&name, 0)),
            _ if files::is_shortage(&error) => {
                self.shared.bad.log(format_args!("spool file {file}: {error}; it is tried again"));
                self.note(|inventory| inventory.wait_for_others(name));
            }
            _ => {
                self.shared.bad.log(format_args!("spool file {file}: {error}; it is left there"));
                self.note(|inventory| inventory.set_aside(name));
            }
        }
        None
    }

    /// Deletes a record that is not needed any more.
    pub(crate) fn remove(&self, waiting: Waiting) {
        let directory = self.shared.directory();
        let Waiting { name, content } = waiting;
        // Its name is known as taken until the file is gone.
        let is_gone = self.shared.delete(&directory, &name);
        self.note(|inventory| {
            inventory.gone(&name, content.len());
            if !is_gone {
                inventory.stays(name);
            }
        });
    }

    /// Moves a record away that no collector will ever take.
    pub(crate) fn reject(&self, waiting: Waiting, reason: &str) {
        let directory = self.shared.directory();
        let Waiting { name, content } = waiting;
        let file = name.file.display();
        let rejected = self.shared.rejected();
        let target = rejected.directory().display();
        match rejected.take(&directory.path_of(&name), reason) {
            Ok(()) => {
                self.shared.bad.log(format_args!("spool file {file}: {reason}; it was moved to {target}"));
                self.note(|inventory| inventory.gone(&name, content.len()));
                self.shared.counters.rejected();
            }
            Err(error) => {
                self.shared.bad.log(format_args!(
                    "spool file {file}: {reason}; it cannot be moved to {target}: {error}; make that directory for the daemon's user"
                ));
                self.note(|inventory| inventory.set_aside(name));
            }
        }
    }

    /// Returns a record that could not be delivered, for reasons of its own: the
    /// others go on, and it comes again later.
    pub(crate) fn set_aside(&self, waiting: Waiting) {
        self.note(|inventory| inventory.set_aside(waiting.name));
    }

    /// Returns a record that could not be delivered.
    pub(crate) fn give_back(&self, waiting: Waiting) {
        let directory = self.shared.directory();
        self.note(|inventory| {
            inventory.undelivered(waiting.name);
            inventory.answer(&directory);
        });
    }

    /// From now on, only records of these users are not given out.
    pub(crate) fn hold(&self, users: BTreeSet<u32>) {
        let directory = self.shared.directory();
        self.note(|inventory| {
            inventory.hold(users);
            inventory.answer(&directory);
        });
    }

    /// Works by other rules from now on. No courier may be at work. After an
    /// error, the old ones hold.
    pub(crate) fn apply(&self, rules: &SpoolRules) -> Result<(), SpoolError> {
        let mut directory = self.shared.directory_alone();
        self.note(Inventory::forget_couriers);
        if rules.directory == directory.path() {
            self.note(|inventory| inventory.apply(rules));
        } else {
            let moved = self.move_to(&mut directory, rules);
            moved.map_err(|error| SpoolError { directory: rules.directory.clone(), error })?;
        }
        self.shared.is_synced_at_once.store(rules.sync_interval.is_zero(), Ordering::Relaxed);
        Ok(())
    }

    fn move_to(&self, directory: &mut SpoolDirectory, rules: &SpoolRules) -> io::Result<()> {
        let next = SpoolDirectory::open(&rules.directory)?;
        let next_inventory = Inventory::of(&next, rules, Arc::clone(&self.shared.counters))?;
        let mut inventory = self.shared.inventory();
        let count = inventory.count();
        if count > 0 {
            log::warning(format_args!(
                "{count} records stay in {}; to have them sent, move them to the new spool_dir",
                directory.path().display()
            ));
        }
        inventory.flush(directory);
        *inventory = next_inventory;
        drop(inventory);
        *self.shared.rejected() = Rejected::beside(next.path());
        *directory = next;
        // It counts with the inventory of before.
        let _ = self.keeper.try_send(keeper::Request::Come);
        Ok(())
    }

    /// Deletes all records, rejected ones too; gives their number.
    pub(crate) fn clear(&self) -> io::Result<u64> {
        let directory = self.shared.directory_alone();
        let count = directory.clear()? + self.shared.rejected().clear()?;
        self.shared.inventory().start_anew(&directory)?;
        Ok(count)
    }

    /// The number of records that wait; `None` if the spool does not answer in
    /// time, or the disk has not taken a record for so long.
    pub(crate) fn count(&self, patience: Duration) -> Option<u64> {
        let (reply, answer) = bounded(1);
        self.keeper.send_timeout(keeper::Request::Count { patience, reply }, patience).ok()?;
        answer.recv_timeout(patience).ok()?
    }
}
