//! The spooler: the one thread that writes to the spool directory.
//!
//! A file appears under its final name when it is complete. Records come out in
//! the order of their names; what cannot be read or delivered for reasons of its
//! own is set aside and holds up nobody.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use record::spool_file;
use ring::rand::{SecureRandom, SystemRandom};

use crate::fresh::Fresh;
use crate::queue::Queue;
use crate::rejected::Rejected;
use crate::spool::{Request, SpoolRules, Waiting};
use crate::spool_name::{Name, Urgency, nanoseconds};
use crate::status::Counters;
use crate::sync::{self, Batch, SyncQueue};
use crate::usage::{StoreError, Usage};
use crate::{files, log};

/// Names that start with this are not records yet.
const TEMPORARY_PREFIX: &str = ".new-";
/// Pause after a shortage of descriptors or memory.
const SHORTAGE_PAUSE: Duration = Duration::from_secs(1);
/// Time after which a file that could not be deleted is tried again.
const DELETE_INTERVAL: Duration = Duration::from_secs(10);

pub(crate) struct Spooler {
    directory: PathBuf,
    /// For `fsync` after a rename; locked against a second daemon.
    directory_file: Flock<File>,
    /// When the directory changed last, as far as that was looked at.
    changed: Option<SystemTime>,
    looked: Instant,
    queue: Queue,
    /// Number of records in the directory.
    count: u64,
    usage: Usage,
    rejected: Rejected,
    unsynced: SyncQueue,
    syncer: Sender<Batch>,
    retry_interval: Duration,
    /// Records could not be read for want of something that others have.
    in_shortage: bool,
    last_arrival: u64,
    /// Makes names different from those of other daemons that had the same
    /// time.
    name_salt: u32,
    /// What was written a moment ago, and need not be read.
    fresh: Fresh,
    undeleted: log::Throttle,
    /// For files that are no good.
    bad: log::Throttle,
    askers: VecDeque<Sender<Waiting>>,
    counters: Arc<Counters>,
}

impl Spooler {
    pub(crate) fn open(rules: SpoolRules, counters: Arc<Counters>) -> io::Result<Self> {
        let directory = rules.directory;
        let mut spooler = Self {
            directory_file: lock(File::open(&directory)?)?,
            changed: None,
            looked: Instant::now(),
            queue: Queue::default(),
            count: 0,
            usage: Usage::default(),
            rejected: Rejected::beside(&directory),
            unsynced: SyncQueue::new(rules.sync_interval),
            syncer: sync::start(&directory)?,
            retry_interval: rules.retry_interval,
            in_shortage: false,
            last_arrival: 0,
            name_salt: salt()?,
            fresh: Fresh::default(),
            undeleted: log::Throttle::default(),
            bad: log::Throttle::default(),
            askers: VecDeque::new(),
            counters,
            directory,
        };
        spooler.usage.quota = rules.quota;
        spooler.sweep()?;
        spooler.search()?;
        Ok(spooler)
    }

    /// Works by other rules. No courier is at work.
    fn apply(&mut self, rules: SpoolRules) -> io::Result<()> {
        self.askers.clear();
        self.queue.hold(Default::default());
        self.queue.give_back_all();
        if rules.directory != self.directory {
            let next = Self::open(rules, Arc::clone(&self.counters))?;
            if self.count > 0 {
                let (count, directory) = (self.count, self.directory.display());
                log::warning(format_args!(
                    "{count} records stay in {directory}; to have them sent, move them to the new spool_dir"
                ));
            }
            self.unsynced.flush(&self.directory);
            *self = next;
            self.counters.spooled(self.count);
            return Ok(());
        }
        self.usage.quota = rules.quota;
        self.unsynced.set_interval(rules.sync_interval);
        self.retry_interval = rules.retry_interval;
        Ok(())
    }

    /// Removes what a crash left half-written: it was never acknowledged.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_name().as_bytes().starts_with(TEMPORARY_PREFIX.as_bytes()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Looks for the first names on disk.
    fn search(&mut self) -> io::Result<()> {
        let last_arrival = &mut self.last_arrival;
        let names = fs::read_dir(&self.directory)?.filter_map(|entry| {
            let name = entry.and_then(|entry| name_of(&entry)).transpose()?;
            if let Ok(name) = &name {
                *last_arrival = (*last_arrival).max(name.arrival);
            }
            Some(name)
        });
        self.count = self.queue.find(names)?;
        self.counters.spooled(self.count);
        Ok(())
    }

    pub(crate) fn serve(&mut self, requests: &Receiver<Request>) {
        loop {
            let look_in = self.look_interval().saturating_sub(self.looked.elapsed());
            let timeout = self.unsynced.due_in(Instant::now()).unwrap_or(look_in).min(look_in);
            let received = requests.recv_timeout(timeout);
            self.unsynced.hand_over_if_due(&self.syncer, Instant::now());
            match received {
                Ok(request) => self.handle(request),
                Err(RecvTimeoutError::Disconnected) => return self.unsynced.flush(&self.directory),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.looked.elapsed() >= self.look_interval() {
                self.looked = Instant::now();
                self.look_around();
            }
            self.queue.take_up(self.retry_interval, Instant::now());
            self.answer();
        }
    }

    fn handle(&mut self, request: Request) {
        // Who does not wait for the reply any more does not need it.
        match request {
            Request::Store { record, urgency, uid, reply } => {
                // The intake says what failed, and says it with measure.
                let _ = reply.send(self.store(record, urgency, uid));
            }
            Request::Next { reply } => self.askers.push_back(reply),
            Request::Remove { waiting } => {
                self.queue.finish(&waiting.name);
                self.remove(waiting);
            }
            Request::Reject { waiting, reason } => self.reject(waiting, &reason),
            Request::GiveBack { waiting } => self.queue.give_back(waiting.name),
            Request::SetAside { waiting } => self.queue.set_aside(waiting.name, Instant::now()),
            Request::Hold { users } => self.queue.hold(users),
            Request::Apply { rules, reply } => {
                let _ = reply.send(self.apply(rules));
            }
            Request::Clear { reply } => {
                let _ = reply.send(self.clear());
            }
            Request::Count { reply } => {
                let _ = reply.send(self.count);
            }
        }
    }

    /// Time between two looks around.
    fn look_interval(&self) -> Duration {
        match () {
            () if self.in_shortage => SHORTAGE_PAUSE,
            () if self.queue.has_done() => DELETE_INTERVAL,
            () => self.retry_interval,
        }
    }

    /// Time for what could not be done before, and for what others did in the
    /// directory.
    fn look_around(&mut self) {
        for name in self.queue.take_done() {
            self.delete(name);
        }
        let changed = self.directory_file.metadata().and_then(|metadata| metadata.modified()).ok();
        if std::mem::replace(&mut self.changed, changed) != changed {
            self.queue.suspect_more();
        }
    }

    /// Gives the first records to those who wait for one.
    fn answer(&mut self) {
        while !self.askers.is_empty() {
            let Some(waiting) = self.take_first() else { return };
            let Some(asker) = self.askers.pop_front() else { return };
            if let Err(unsent) = asker.send(waiting) {
                self.queue.give_back(unsent.into_inner().name);
            }
        }
    }

    /// The first record. In a shortage a file keeps its place; one that cannot
    /// be read for another reason is set aside.
    fn take_first(&mut self) -> Option<Waiting> {
        loop {
            if self.queue.must_search() {
                if let Err(error) = self.search() {
                    log::error(format_args!("spool_dir {}: {error}", self.directory.display()));
                    self.in_shortage = true;
                    return None;
                }
            }
            let name = self.queue.first()?.clone();
            let read = self.read(&name);
            self.in_shortage = read.as_ref().is_err_and(files::is_shortage);
            match read {
                Ok(content) => {
                    self.queue.take(&name);
                    return Some(Waiting { name, content });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.queue.forget(&name);
                    self.gone();
                }
                Err(error) if self.in_shortage => {
                    log::warning(format_args!("spool file {}: {error}", name.file.display()));
                    return None;
                }
                Err(error) => {
                    self.bad.log(format_args!("spool file {}: {error}; it is left there", name.file.display()));
                    self.queue.set_aside(name, Instant::now());
                }
            }
        }
    }

    fn read(&mut self, name: &Name) -> io::Result<Vec<u8>> {
        let path = self.directory.join(&name.file);
        match self.fresh.take(name) {
            // Unless somebody deleted it: then it must not be sent.
            Some(content) => path.symlink_metadata().map(|_| content),
            None => files::read_regular(&path, spool_file::MAX),
        }
    }

    fn reject(&mut self, waiting: Waiting, reason: &str) {
        let Waiting { name, content } = waiting;
        let file = name.file.display();
        match self.rejected.take(&self.directory.join(&name.file)) {
            Ok(()) => {
                let target = self.rejected.directory().display();
                self.bad.log(format_args!("spool file {file}: {reason}; it was moved to {target}"));
                self.queue.finish(&name);
                self.usage.subtract(content.len(), name.uid);
                self.gone();
                self.counters.rejected();
            }
            Err(error) => {
                self.bad.log(format_args!(
                    "spool file {file}: {reason}; it cannot be moved to {}: {error}; make that directory for the daemon's user",
                    self.rejected.directory().display()
                ));
                self.queue.set_aside(name, Instant::now());
            }
        }
    }

    fn remove(&mut self, waiting: Waiting) {
        self.usage.subtract(waiting.content.len(), waiting.name.uid);
        self.gone();
        self.delete(waiting.name);
    }

    /// Deletes a file that is done with; until that works, it is not delivered
    /// again by this process.
    fn delete(&mut self, name: Name) {
        match fs::remove_file(self.directory.join(&name.file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let file = name.file.display();
                self.undeleted.log(format_args!(
                    "spool file {file}: it is delivered and cannot be deleted: {error}; after a restart it is sent again"
                ));
                self.usage.forget();
                self.queue.remember_done(name);
            }
            _ => {}
        }
    }

    /// A record is in the directory no more.
    fn gone(&mut self) {
        self.count = self.count.saturating_sub(1);
        self.counters.spooled(self.count);
    }

    fn clear(&mut self) -> io::Result<u64> {
        let mut count = 0;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if name_of(&entry)?.is_some() {
                fs::remove_file(entry.path())?;
                count += 1;
            }
        }
        count += self.rejected.clear()?;
        self.fresh.clear();
        self.usage.forget();
        self.queue.suspect_more();
        self.search()?;
        Ok(count)
    }

    fn store(&mut self, record: Vec<u8>, urgency: Urgency, uid: u32) -> Result<(), StoreError> {
        self.usage.check(&self.directory, record.len(), uid)?;
        let name = self.new_name(urgency, uid);
        let target = self.directory.join(&name.file);
        let temporary = self.directory.join(format!("{TEMPORARY_PREFIX}{}", name.file.display()));
        let is_synced = self.unsynced.is_immediate() || urgency == Urgency::Critical;
        let written = self.write(&temporary, &target, &record, is_synced);
        if written.is_err() {
            // Whatever of it is there: it is not acknowledged, and must not be
            // delivered.
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&target);
        }
        written?;
        self.usage.add(record.len(), uid);
        if !is_synced {
            self.unsynced.add(&name.file, Instant::now());
        }
        self.fresh.keep(&name, record);
        self.queue.insert(name);
        self.count += 1;
        self.counters.spooled(self.count);
        Ok(())
    }

    fn write(&self, temporary: &Path, target: &Path, record: &[u8], is_synced: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        file.write_all(record)?;
        if is_synced {
            file.sync_all()?;
        }
        fs::rename(temporary, target)?;
        if is_synced {
            self.directory_file.sync_all()?;
        }
        Ok(())
    }

    /// A name behind all others, whatever the clock does.
    fn new_name(&mut self, urgency: Urgency, uid: u32) -> Name {
        let arrival = nanoseconds(SystemTime::now()).max(self.last_arrival.saturating_add(1));
        self.last_arrival = arrival;
        self.name_salt = self.name_salt.wrapping_add(1);
        Name::new(urgency, arrival, uid, self.name_salt)
    }
}

fn salt() -> io::Result<u32> {
    let mut random = [0; 4];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(u32::from_ne_bytes(random))
}

/// The name of a record; `None` for an entry that is none.
pub fn name_of(entry: &fs::DirEntry) -> io::Result<Option<Name>> {
    let is_hidden = entry.file_name().as_bytes().starts_with(b".");
    if is_hidden || !entry.file_type()?.is_file() {
        return Ok(None);
    }
    match Name::of(entry) {
        Ok(name) => Ok(Some(name)),
        Err(error) => {
            // One bad inode is no reason to deliver nothing.
            if error.kind() != io::ErrorKind::NotFound {
                log::warning(format_args!("spool file {}: {error}; it is left there", entry.path().display()));
            }
            Ok(None)
        }
    }
}

/// Two daemons on one spool would deliver everything twice, and sweep away what
/// the other is writing.
fn lock(directory: File) -> io::Result<Flock<File>> {
    Flock::lock(directory, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => io::Error::other("another telemd uses it"),
        errno => errno.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::{files, rules};
    use crate::usage::{PAGE, Quota};

    fn open(directory: &Path, quota: Option<u64>) -> Spooler {
        Spooler::open(rules(directory, quota), Arc::default()).unwrap()
    }

    fn store(spooler: &mut Spooler, record: &[u8]) -> Result<(), StoreError> {
        spooler.store(record.to_vec(), Urgency::Ordinary, 0)
    }

    #[test]
    fn d7_a_file_that_cannot_be_read_does_not_hold_up_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = open(directory.path(), None);
        store(&mut spooler, b"one").unwrap();
        store(&mut spooler, b"two").unwrap();
        spooler.fresh.clear();
        let first = directory.path().join(&spooler.queue.first().unwrap().file);
        // Reading a directory fails for every user, as a bad sector would.
        fs::rename(&first, directory.path().join("aside")).unwrap();
        fs::create_dir(&first).unwrap();
        assert_eq!(spooler.take_first().unwrap().content, b"two");
        fs::remove_dir(&first).unwrap();
        fs::rename(directory.path().join("aside"), &first).unwrap();
        assert!(spooler.take_first().is_none(), "not before its time");
        spooler.queue.take_up(Duration::ZERO, Instant::now());
        assert_eq!(spooler.take_first().unwrap().content, b"one");
    }

    #[test]
    fn a_search_that_fails_forgets_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = open(directory.path(), None);
        store(&mut spooler, b"one").unwrap();
        let away = directory.path().with_extension("away");
        fs::rename(directory.path(), &away).unwrap();
        assert!(spooler.search().is_err());
        fs::rename(&away, directory.path()).unwrap();
        assert_eq!(spooler.take_first().unwrap().content, b"one");
    }

    #[test]
    fn d18_a_full_quota_refuses_with_an_errno_and_room_is_seen_when_others_make_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = open(directory.path(), Some(3 * PAGE));
        for _ in 0..3 {
            store(&mut spooler, &[b'x'; 100]).unwrap();
        }
        let error = store(&mut spooler, b"one too many").unwrap_err();
        assert_eq!(error.errno(), Errno::EDQUOT);
        assert_eq!(files(directory.path()).len(), 3, "nothing is left of it");
        fs::remove_file(directory.path().join(&files(directory.path())[0])).unwrap();
        spooler.usage.let_time_pass();
        store(&mut spooler, b"fits again").unwrap();
    }

    #[test]
    fn one_user_has_a_share_of_the_spool_and_leaves_the_rest_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = open(directory.path(), None);
        spooler.usage.quota = Quota { all: Some(4 * PAGE), user: Some(2 * PAGE) };
        for _ in 0..2 {
            spooler.store(b"of a greedy user".to_vec(), Urgency::Ordinary, 7).unwrap();
        }
        assert!(matches!(spooler.store(b"more".to_vec(), Urgency::Ordinary, 7), Err(StoreError::ShareUsed)));
        let mut spooler = {
            drop(spooler);
            let mut spooler = open(directory.path(), None);
            spooler.usage.quota = Quota { all: Some(4 * PAGE), user: Some(2 * PAGE) };
            spooler
        };
        assert!(
            matches!(spooler.store(b"more".to_vec(), Urgency::Ordinary, 7), Err(StoreError::ShareUsed)),
            "after a restart"
        );
        for _ in 0..2 {
            spooler.store(b"of another user".to_vec(), Urgency::Ordinary, 8).unwrap();
        }
        assert!(matches!(spooler.store(b"more".to_vec(), Urgency::Ordinary, 9), Err(StoreError::Full)));
        let delivered = spooler.take_first().unwrap();
        assert_eq!(delivered.name.uid, Some(7));
        spooler.remove(delivered);
        spooler.store(b"fits again".to_vec(), Urgency::Ordinary, 7).unwrap();
    }

    #[test]
    fn a_quota_of_0_is_always_full() {
        let directory = tempfile::tempdir().unwrap();
        assert!(store(&mut open(directory.path(), Some(0)), b"x").is_err());
    }

    #[test]
    fn d9_what_comes_and_goes_leaves_the_size_right() {
        let directory = tempfile::tempdir().unwrap();
        let mut spooler = open(directory.path(), Some(100 * PAGE));
        for _ in 0..300 {
            store(&mut spooler, &[b'x'; 5000]).unwrap();
            let waiting = spooler.take_first().unwrap();
            spooler.remove(waiting);
        }
        assert!(spooler.usage.is_right(directory.path()));
        assert_eq!(spooler.count, 0);
    }
}
