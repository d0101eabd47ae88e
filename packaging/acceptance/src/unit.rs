//! Unit files of the service manager.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::succeed;

/// A unit file of the project.
pub struct Unit {
    /// Where it is.
    pub path: PathBuf,
    /// `key=value` lines, in their order.
    assignments: Vec<(String, String)>,
}

impl Unit {
    /// All units.
    pub fn all() -> Vec<Self> {
        let directory = sandbox::project().join("packaging/systemd");
        let entries = fs::read_dir(directory).expect("the units");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a unit").path()).collect();
        paths.sort();
        paths.into_iter().map(Self::at).collect()
    }

    /// One unit, by its file's name.
    pub fn named(name: &str) -> Self {
        Self::at(sandbox::project().join("packaging/systemd").join(name))
    }

    fn at(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
        let assignments = lines
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self { path, assignments }
    }

    /// The file's name.
    pub fn name(&self) -> String {
        self.path.file_name().expect("a unit has a name").to_string_lossy().into_owned()
    }

    /// The values of a key.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.assignments.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The system calls that SystemCallFilter= allows.
    pub fn allowed_system_calls(&self) -> BTreeSet<String> {
        let mut allowed = BTreeSet::new();
        for value in self.values("SystemCallFilter") {
            let (denies, groups) = match value.strip_prefix('~') {
                Some(groups) => (true, groups),
                None => (false, value),
            };
            for name in groups.split_whitespace().flat_map(system_calls) {
                if denies {
                    allowed.remove(&name);
                } else {
                    allowed.insert(name);
                }
            }
        }
        allowed
    }
}

/// The system calls of a group of the service manager, or one by its name.
fn system_calls(name: &str) -> BTreeSet<String> {
    if !name.starts_with('@') {
        return [name.to_owned()].into();
    }
    let listing = succeed(Command::new("systemd-analyze").args(["syscall-filter", "--no-pager", name]));
    let lines = listing.lines().skip(1).map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(system_calls).collect()
}
