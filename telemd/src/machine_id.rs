//! The pseudonym of this machine: the administrator's own, or one that is
//! replaced every three days.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use record::{event_id, paths};
use ring::rand::{SecureRandom, SystemRandom};

use crate::{files, log};

const LIFE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
const CHECK_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Length of an id: 32 hexadecimal digits, as an event id has.
const LEN: usize = event_id::LEN;
/// How far in the future a file may be by a small correction of the clock.
const CLOCK_STEP: Duration = Duration::from_secs(10 * 60);
/// The longest file that is read.
const FILE_MAX: usize = 4096;
/// Stands for an id that cannot be had.
const NONE: &[u8] = b"0";

/// Gives the id of the machine.
pub(crate) struct MachineId {
    static_file: PathBuf,
    rotating_file: PathBuf,
    current: Mutex<Option<(SystemTime, Vec<u8>)>>,
    failures: log::Throttle,
}

impl MachineId {
    pub(crate) fn of_this_machine() -> Self {
        Self::at(paths::STATIC_MACHINE_ID.into(), paths::MACHINE_ID.into())
    }

    fn at(static_file: PathBuf, rotating_file: PathBuf) -> Self {
        Self { static_file, rotating_file, current: Mutex::new(None), failures: log::Throttle::default() }
    }

    /// The files are looked at again for the next record.
    pub(crate) fn look_again(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The id at this time.
    pub(crate) fn get(&self, now: SystemTime) -> Vec<u8> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |since: SystemTime| now.duration_since(since).is_ok_and(|age| age < CHECK_INTERVAL);
        match &*current {
            Some((since, id)) if is_fresh(*since) => return id.clone(),
            _ => {}
        }
        match self.look(now) {
            Ok(id) => {
                *current = Some((now, id.clone()));
                id
            }
            // What was known is better than nothing, and is looked at again.
            Err(error) => {
                let known = current.as_ref().map(|(_, id)| id.clone());
                let used = known.unwrap_or_else(|| NONE.to_vec());
                self.failures.log(format_args!(
                    "machine id {}: {error}; records have the id {} meanwhile",
                    self.rotating_file.display(),
                    String::from_utf8_lossy(&used)
                ));
                used
            }
        }
    }

    fn look(&self, now: SystemTime) -> io::Result<Vec<u8>> {
        if let Some(id) = static_id(&self.static_file)? {
            return Ok(id);
        }
        match young_id(&self.rotating_file, now)? {
            Some(id) => Ok(id),
            None => write_new_id(&self.rotating_file),
        }
    }
}

/// The id that records of this machine have now; `None` if telemd makes a new
/// one for the next. Changes nothing.
pub fn current(now: SystemTime) -> io::Result<Option<Vec<u8>>> {
    match static_id(Path::new(paths::STATIC_MACHINE_ID))? {
        None => young_id(Path::new(paths::MACHINE_ID), now),
        id => Ok(id),
    }
}

fn read_if_there(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match files::read_regular(file, FILE_MAX) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first line of the administrator's file, if that says anything.
fn static_id(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let content = read_if_there(file)?.unwrap_or_default();
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let id: Vec<u8> = line.iter().take(LEN).copied().map(record::text::header_byte).collect();
    Ok((!id.trim_ascii().is_empty()).then_some(id))
}

/// The id in the file, if it is one and not older than it may get. One from
/// the future was written by a clock that was wrong.
fn young_id(file: &Path, now: SystemTime) -> io::Result<Option<Vec<u8>>> {
    let Some(id) = read_if_there(file)?.filter(|id| event_id::is_valid(id)) else { return Ok(None) };
    let written = fs::metadata(file)?.modified()?;
    let is_young = now.duration_since(written).map_or_else(|ahead| ahead.duration() < CLOCK_STEP, |age| age <= LIFE);
    Ok(is_young.then_some(id))
}

fn write_new_id(file: &Path) -> io::Result<Vec<u8>> {
    let mut random = [0; LEN / 2];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
    let id = event_id::from_random(random).to_vec();
    files::replace(file, &id, 0o644)?;
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
    fn an_id_from_the_future_is_replaced() {
        let machine = Machine::new();
        let now = SystemTime::now();
        let first = machine.id(now);
        assert_ne!(machine.id(now - Duration::from_secs(24 * 60 * 60)), first);
    }

    #[test]
    fn an_error_keeps_the_id_that_is_known_and_is_not_remembered() {
        let machine = Machine::new();
        let now = SystemTime::now();
        let id = MachineId::at(machine.static_file(), machine.rotating_file());
        let known = id.get(now);
        // Reading a directory fails for every user.
        fs::create_dir(machine.static_file()).unwrap();
        assert_eq!(id.get(now + CHECK_INTERVAL), known);
        fs::remove_dir(machine.static_file()).unwrap();
        fs::write(machine.static_file(), "mine").unwrap();
        assert_eq!(id.get(now + CHECK_INTERVAL), b"mine");
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
