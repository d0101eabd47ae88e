//! The administrator's consent.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::files;

/// More than a remembered consent has.
const MEMORY_MAX: usize = 64;
/// What is remembered of a consent that ended.
const WITHDRAWN: &[u8] = b"withdrawn";
/// What is remembered where the file system does not tell one consent from
/// another.
const GIVEN: &[u8] = b"given";

/// A consent, compared with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// It was never withdrawn.
    Same,
    /// None is remembered: the machine was upgraded, or never opted in before.
    First,
    /// It was withdrawn and given again: what is in the spool was made under
    /// another one.
    Another,
}

/// Looks at the opt-in file.
#[derive(Clone, Debug)]
pub struct OptIn {
    file: PathBuf,
    /// Which consent the records in the spool were taken under.
    memory: PathBuf,
}

impl OptIn {
    /// The opt-in file, and where it is remembered.
    pub fn at(file: &Path, memory: &Path) -> Self {
        Self { file: file.to_owned(), memory: memory.to_owned() }
    }

    /// Whether the file exists now, of whatever type.
    pub(crate) fn is_given(&self) -> bool {
        self.file.metadata().is_ok()
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Whether the consent is that which [`Self::remember`] was told of.
    pub(crate) fn compare(&self) -> io::Result<Consent> {
        let remembered = match files::read_regular(&self.memory, MEMORY_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Consent::First),
            read => read?,
        };
        let is_another = match self.identity()? {
            _ if remembered == WITHDRAWN => true,
            // Of a power failure: it tells nothing.
            _ if remembered.is_empty() => return Ok(Consent::First),
            // The file system tells now what it did not tell then.
            Some(_) if remembered == GIVEN => false,
            Some(identity) => identity.as_bytes() != remembered,
            None => false,
        };
        Ok(if is_another { Consent::Another } else { Consent::Same })
    }

    /// From now on, records are taken under this consent.
    pub(crate) fn remember(&self) -> io::Result<()> {
        let identity = self.identity()?.map_or_else(|| GIVEN.to_vec(), String::into_bytes);
        files::replace(&self.memory, &identity, 0o644)
    }

    /// Consent ended: whatever comes next is another one, and what is in the
    /// spool is never sent.
    pub fn forget(&self) -> io::Result<()> {
        // Not removed: without a memory, all consent is the same.
        files::replace(&self.memory, WITHDRAWN, 0o644)
    }

    /// The birth of the file, which `touch` does not change. `None` where the
    /// file system does not tell.
    fn identity(&self) -> io::Result<Option<String>> {
        let born = self.file.metadata()?.created().ok();
        Ok(born.map(|born| born.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn consent_that_was_given_again_is_another_and_a_touched_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let opt_in = OptIn::at(&directory.path().join("opt-in"), &directory.path().join("consent"));
        fs::write(opt_in.file(), "").unwrap();
        assert_eq!(opt_in.compare().unwrap(), Consent::First);
        opt_in.remember().unwrap();
        fs::write(opt_in.file(), "a comment").unwrap();
        assert_eq!(opt_in.compare().unwrap(), Consent::Same);
        fs::remove_file(opt_in.file()).unwrap();
        thread::sleep(Duration::from_millis(20));
        fs::write(opt_in.file(), "").unwrap();
        if fs::metadata(opt_in.file()).unwrap().created().is_ok() {
            assert_eq!(opt_in.compare().unwrap(), Consent::Another);
        }
        opt_in.remember().unwrap();
        assert_eq!(opt_in.compare().unwrap(), Consent::Same);
        opt_in.forget().unwrap();
        opt_in.remember().unwrap();
        assert_eq!(opt_in.compare().unwrap(), Consent::Same);
    }

    #[test]
    fn consent_that_ended_before_our_eyes_is_never_the_same_again() {
        let directory = tempfile::tempdir().unwrap();
        let opt_in = OptIn::at(&directory.path().join("opt-in"), &directory.path().join("consent"));
        fs::write(opt_in.file(), "").unwrap();
        opt_in.remember().unwrap();
        opt_in.forget().unwrap();
        assert_eq!(opt_in.compare().unwrap(), Consent::Another);
    }
}
