//! The pseudonym of this machine: the administrator's own, or one that is
//! replaced every three days.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use record::{event_id, paths};
use ring::rand::{SecureRandom, SystemRandom};

use crate::log;

const LIFE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
const CHECK_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Length of an id: 32 hexadecimal digits, as an event id has.
const LEN: usize = event_id::LEN;
/// Stands for an id that cannot be had.
const NONE: &[u8] = b"0";

/// Gives the id of the machine.
pub(crate) struct MachineId {
    static_file: PathBuf,
    rotating_file: PathBuf,
    current: Mutex<Option<(SystemTime, Vec<u8>)>>,
}

impl MachineId {
    pub(crate) fn of_this_machine() -> Self {
        Self::at(paths::STATIC_MACHINE_ID.into(), paths::MACHINE_ID.into())
    }

    fn at(static_file: PathBuf, rotating_file: PathBuf) -> Self {
        Self { static_file, rotating_file, current: Mutex::new(None) }
    }

    /// The id at this time.
    pub(crate) fn get(&self, now: SystemTime) -> Vec<u8> {
        let mut current = self.current.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let is_fresh = |since: SystemTime| now.duration_since(since).is_ok_and(|age| age < CHECK_INTERVAL);
        match &*current {
            Some((since, id)) if is_fresh(*since) => return id.clone(),
            _ => {}
        }
        let id = static_id(&self.static_file).unwrap_or_else(|| self.rotate(now));
        *current = Some((now, id.clone()));
        id
    }

    fn rotate(&self, now: SystemTime) -> Vec<u8> {
        if let Some(id) = young_id(&self.rotating_file, now) {
            return id;
        }
        match write_new_id(&self.rotating_file) {
            Ok(id) => id,
            Err(error) => {
                log::error(format_args!(
                    "{}: {error}; records have the machine id 0 until it can be written",
                    self.rotating_file.display()
                ));
                NONE.to_vec()
            }
        }
    }
}

/// The first line of the administrator's file, if that says anything.
fn static_id(file: &Path) -> Option<Vec<u8>> {
    let content = fs::read(file).ok()?;
    let line = content.split(|&byte| byte == b'\n').next()?;
    let id: Vec<u8> = line.iter().take(LEN).copied().map(record::text::header_byte).collect();
    (!id.trim_ascii().is_empty()).then_some(id)
}

/// The id in the file, if it is one and not older than it may get.
fn young_id(file: &Path, now: SystemTime) -> Option<Vec<u8>> {
    let written = fs::metadata(file).ok()?.modified().ok()?;
    let is_old = now.duration_since(written).is_ok_and(|age| age > LIFE);
    let id = fs::read(file).ok()?;
    (!is_old && event_id::is_valid(&id)).then_some(id)
}

fn write_new_id(file: &Path) -> io::Result<Vec<u8>> {
    let mut random = [0; LEN / 2];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
    let id = event_id::from_random(random).to_vec();
    let temporary = file.with_extension("new");
    let mut target = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
    target.write_all(&id)?;
    target.sync_all()?;
    fs::rename(temporary, file)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine {
        directory: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap() }
        }
        fn static_file(&self) -> PathBuf {
            self.directory.path().join("static")
        }
        fn rotating_file(&self) -> PathBuf {
            self.directory.path().join("machine_id")
        }
        fn id(&self, now: SystemTime) -> Vec<u8> {
            MachineId::at(self.static_file(), self.rotating_file()).get(now)
        }
    }

    #[test]
    fn the_id_is_kept_for_three_days_and_then_replaced() {
        let machine = Machine::new();
        let now = SystemTime::now();
        let first = machine.id(now);
        assert!(event_id::is_valid(&first));
        assert_eq!(fs::read(machine.rotating_file()).unwrap(), first, "no newline");
        assert_eq!(machine.id(now + LIFE - Duration::from_secs(60)), first);
        assert_ne!(machine.id(now + LIFE + Duration::from_secs(60)), first);
    }

    #[test]
    fn a_running_daemon_looks_again_after_an_hour() {
        let machine = Machine::new();
        let now = SystemTime::now();
        let id = MachineId::at(machine.static_file(), machine.rotating_file());
        let rotating = id.get(now);
        fs::write(machine.static_file(), "mine\n").unwrap();
        assert_eq!(id.get(now + CHECK_INTERVAL / 2), rotating);
        assert_eq!(id.get(now + CHECK_INTERVAL), b"mine");
    }

    #[test]
    fn d16_a_damaged_file_is_replaced_at_once() {
        let machine = Machine::new();
        for damaged in ["", "0", "0123456789abcdef", "0123456789ABCDEF0123456789abcdef"] {
            fs::write(machine.rotating_file(), damaged).unwrap();
            assert!(event_id::is_valid(&machine.id(SystemTime::now())), "{damaged:?}");
        }
    }

    #[test]
    fn d16_an_empty_static_id_is_ignored() {
        let machine = Machine::new();
        for empty in ["", "\n", "\nid\n", "  \n"] {
            fs::write(machine.static_file(), empty).unwrap();
            assert!(event_id::is_valid(&machine.id(SystemTime::now())), "{empty:?}");
        }
        fs::write(machine.static_file(), "my host\nother").unwrap();
        assert_eq!(machine.id(SystemTime::now()), b"my host");
        fs::write(machine.static_file(), "x".repeat(40)).unwrap();
        assert_eq!(machine.id(SystemTime::now()), "x".repeat(32).as_bytes());
    }

    #[test]
    fn an_id_that_cannot_be_written_is_0() {
        let id = MachineId::at("/nonexistent/static".into(), "/nonexistent/id".into());
        assert_eq!(id.get(SystemTime::now()), NONE);
    }
}
