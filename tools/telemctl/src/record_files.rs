//! Records in files: those that wait, those that were rejected.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::OFlag;
use nix::unistd::Uid;
use record::config::Key;
use record::event_id;
use record::header::Header;
use record::spool_file::{self, SpoolFile};
use serde::Serialize;
use telemd::rejected::{Reason, Rejected, reason_file};
use telemd::spool::Waiting;
use telemd::spool_name::Name;
use telemd::{files, settings};

use crate::deletion::{Doomed, Left};
use crate::failure::Failure;
use crate::local_time;
use crate::output::{Output, one_line};
use crate::trusted_path::LastLink;
use crate::work_directories;

/// What stat(2) counts blocks in.
const BLOCK: u64 = 512;
const SECOND: u64 = 1_000_000_000;

/// A directory of records.
#[derive(Debug)]
pub(crate) struct RecordFiles {
    directory: PathBuf,
    /// Whether files beside the records say why they are here.
    has_reasons: bool,
    /// Which names are not those of others' files.
    is_name: fn(&[u8]) -> bool,
}

/// What a list tells of a record, for programs.
#[derive(Serialize)]
struct Object {
    id: String,
    arrival: String,
    uid: Option<u32>,
    size: u64,
    /// By which the server knows it.
    record_id: String,
    classification: Option<String>,
    severity: Option<u32>,
    event_id: Option<String>,
    /// Why it is no record.
    problem: Option<String>,
    /// Why it was rejected, and when.
    rejected_because: Option<String>,
    rejected_at: Option<String>,
}

impl RecordFiles {
    /// The records that wait, wherever the configuration says.
    pub(crate) fn spool() -> Result<Self, Failure> {
        let loaded = settings::read_settings(None).map_err(Failure::new)?;
        let directory = settings::path(&loaded.settings, Key::SpoolDir).to_owned();
        Ok(Self { directory, has_reasons: false, is_name: is_visible })
    }

    /// The records that were rejected.
    pub(crate) fn rejected() -> Result<Self, Failure> {
        let directory = Rejected::beside(&Self::spool()?.directory).directory().to_owned();
        Ok(Self { directory, has_reasons: true, is_name: is_visible })
    }

    /// Copies of payloads.
    pub(crate) fn retained(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), has_reasons: false, is_name: event_id::is_valid }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The names, in the order of delivery. A directory that is not there has
    /// none.
    pub(crate) fn names(&self) -> Result<Vec<Name>, Failure> {
        let failed = |error: io::Error| Failure::at(&self.directory, &error);
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let names: Result<Vec<_>, _> = entries.map(|entry| telemd::name_of(&entry?)).collect();
        let mut names: Vec<Name> = names.map_err(failed)?.into_iter().flatten().collect();
        names.sort();
        Ok(names)
    }

    /// Number of the records, and the bytes that they take on disk.
    pub(crate) fn size(&self) -> Result<(u64, u64), Failure> {
        let names = self.names()?;
        let size = |name: &Name| fs::symlink_metadata(self.path(name)).map_or(0, |metadata| metadata.blocks() * BLOCK);
        Ok((names.len() as u64, names.iter().map(size).sum()))
    }

    pub(crate) fn path(&self, name: &Name) -> PathBuf {
        self.directory.join(&name.file)
    }

    /// Reads a record. `None`: it is gone.
    pub(crate) fn read(&self, name: &Name) -> Result<Option<Waiting>, Failure> {
        match read_record(&self.path(name)) {
            Ok(content) => Ok(Some(Waiting { name: name.clone(), content })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::at(&self.path(name), &error)),
        }
    }

    /// The name that `id` is, or that alone has it as a part.
    pub(crate) fn find(&self, id: &str) -> Result<Name, Failure> {
        let names = self.names()?;
        let shown = |name: &Name| name.file.to_string_lossy().into_owned();
        if let Some(name) = names.iter().find(|name| shown(name) == id) {
            return Ok(name.clone());
        }
        let directory = self.directory.display();
        let mut found = names.into_iter().filter(|name| shown(name).contains(id));
        match (found.next(), found.next()) {
            (Some(name), None) => Ok(name),
            (None, _) => Err(Failure::new(format_args!("{id}: there is no such record in {directory}"))),
            _ => Err(Failure::new(format_args!("{id}: several records in {directory} have this in their ids"))),
        }
    }

    /// Prints a line for each record.
    pub(crate) fn list(&self, as_json: bool, out: &mut Output) -> Result<(), Failure> {
        let names = self.names()?;
        if !as_json {
            let (arrived, class) = ("Arrived", "Classification");
            let reason = if self.has_reasons { format!("{:33} Reason", "") } else { String::new() };
            writeln!(out, "{arrived:27} {:>8} {:>10} {:>6} {class:30} Id{reason}", "Severity", "User", "Bytes")?;
        }
        for name in &names {
            let object = match read_record(&self.path(name)) {
                Ok(content) => self.described(&Waiting { name: name.clone(), content }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                // One bad file hides none of the others.
                Err(error) => self.not_read(name, &error),
            };
            if as_json {
                out.json(&serde_json::to_string(&object).map_err(io::Error::from)?)?;
                continue;
            }
            let time = local_time::shown_unsigned(name.arrival / SECOND);
            let severity = object.severity.map_or("-".to_owned(), |severity| severity.to_string());
            let uid = object.uid.map_or("-".to_owned(), |uid| uid.to_string());
            let what = match (object.classification, object.problem) {
                (Some(class), _) => class,
                (None, problem) => format!("(no record: {})", problem.unwrap_or_default()),
            };
            let (size, what, id) = (object.size, one_line(what.as_bytes()), one_line(object.id.as_bytes()));
            write!(out, "{time:27} {severity:>8} {uid:>10} {size:>6} {what:30} {id}")?;
            match object.rejected_because {
                Some(reason) => {
                    writeln!(out, "{:1$} {2}", "", 35_usize.saturating_sub(id.len()), one_line(reason.as_bytes()))?
                }
                None => writeln!(out)?,
            }
        }
        if !as_json {
            writeln!(out, "Total records: {}", names.len())?;
        }
        Ok(())
    }

    /// What is known of a file that cannot be read.
    fn not_read(&self, name: &Name, error: &io::Error) -> Object {
        let waiting = Waiting { name: name.clone(), content: Vec::new() };
        let size = fs::symlink_metadata(self.path(name)).map_or(0, |metadata| metadata.len());
        Object { size, problem: Some(error.to_string()), ..self.described(&waiting) }
    }

    /// Prints a record as its file has it.
    pub(crate) fn show(&self, id: &str, out: &mut Output) -> Result<(), Failure> {
        let name = self.find(id)?;
        let gone = || Failure::new(format_args!("{id}: the record is gone; it was delivered or deleted meanwhile"));
        let waiting = self.read(&name)?.ok_or_else(gone)?;
        if let Some(reason) = self.reason(&name) {
            let time = local_time::shown_unsigned(reason.time);
            eprintln!("rejected at {time}: {}", one_line(reason.message.as_bytes()));
        }
        Ok(out.foreign(&waiting.content)?)
    }

    fn reason(&self, name: &Name) -> Option<Reason> {
        self.has_reasons.then(|| Reason::of(&self.directory, name.file.as_os_str())).flatten()
    }

    /// A record is gone, and with it goes what was noted of it.
    pub(crate) fn forget_reason(&self, name: &Name) {
        let _ = fs::remove_file(reason_file(&self.directory, name.file.as_os_str()));
    }

    fn described(&self, waiting: &Waiting) -> Object {
        let decoded = SpoolFile::decode(&waiting.content);
        let value = |header| {
            let record = decoded.as_ref().ok();
            record.map(|record| String::from_utf8_lossy(record.headers.get(header)).into_owned())
        };
        let time = |seconds: u64| local_time::rfc3339(i64::try_from(seconds).unwrap_or_default());
        let reason = self.reason(&waiting.name);
        Object {
            id: waiting.name.file.to_string_lossy().into_owned(),
            arrival: time(waiting.name.arrival / SECOND),
            uid: waiting.name.uid,
            size: waiting.content.len() as u64,
            record_id: waiting.record_id(),
            classification: value(Header::Classification),
            severity: value(Header::Severity).and_then(|value| value.parse().ok()),
            event_id: value(Header::EventId),
            problem: decoded.as_ref().err().map(ToString::to_string),
            rejected_at: reason.as_ref().map(|reason| time(reason.time)),
            rejected_because: reason.map(|reason| reason.message),
        }
    }

    /// Deletes all records; gives their number. Others may replace what the
    /// path leads to: the directory is opened once, and must be telemetry's or
    /// root's.
    pub(crate) fn purge(&self) -> Result<u64, Failure> {
        let failed = |error: io::Error| Failure::at(&self.directory, &error);
        let mut directory = match Doomed::open(&self.directory, LastLink::FollowedIfTrusted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            opened => opened.map_err(failed)?,
        };
        let owner = Uid::from_raw(directory.status().map_err(failed)?.st_uid);
        let is_telemetry = || work_directories::owner().is_ok_and(|(uid, _)| uid == owner);
        if !owner.is_root() && owner != Uid::effective() && !is_telemetry() {
            let name = work_directories::user_name(owner);
            return Err(failed(io::Error::other(format!(
                "it belongs to user {name}, not to telemetry; nothing in it was deleted"
            ))));
        }
        let (count, left) = directory.remove_files(self.is_name).map_err(failed)?;
        if self.has_reasons {
            directory.remove_files(is_reason).map_err(failed)?;
        }
        match left.first() {
            None => Ok(count),
            Some(Left { path, error }) => Err(Failure::at(path, error)),
        }
    }

    /// Moves a record of another directory here, under this name.
    pub(crate) fn take(&self, file: &Path, name: &Name) -> io::Result<()> {
        let target = self.path(name);
        match fs::rename(file, &target) {
            // Each can be a file system of its own.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.copy(file, &target)?;
                fs::remove_file(file)?;
            }
            moved => moved?,
        }
        if name.uid.is_none() {
            // It is as old as its file.
            let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
            let moved = OpenOptions::new().read(true).custom_flags(flags).open(&target)?;
            moved.set_modified(SystemTime::now())?;
        }
        Ok(())
    }

    /// Copies a file, for telemd to own it. Until it is complete, it has a name
    /// that telemd sweeps away when it starts; a file that is there already is not opened.
    fn copy(&self, file: &Path, target: &Path) -> io::Result<()> {
        let content = read_record(file)?;
        let temporary = self.directory.join(format!(".new-retried-{}", std::process::id()));
        let owner = fs::metadata(&self.directory)?;
        let written =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut copy| {
                copy.write_all(&content)?;
                fchown(&copy, Some(owner.uid()), Some(owner.gid()))?;
                fs::rename(&temporary, target)
            });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

/// Why a record beside it was rejected.
fn is_reason(name: &[u8]) -> bool {
    name.starts_with(b".") && name.ends_with(b".reason")
}

/// Hidden files are not records: they are being written.
fn is_visible(name: &[u8]) -> bool {
    !name.starts_with(b".")
}

fn read_record(path: &Path) -> io::Result<Vec<u8>> {
    files::read_regular_itself(path, spool_file::MAX)
}
