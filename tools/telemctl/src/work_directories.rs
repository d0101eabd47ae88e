//! The daemon's directories: made before services start, and deleted when the
//! machine opts out.
//!
//! They are those of the list that is installed for systemd-tmpfiles(8), as far
//! as they belong to user and group `telemetry`.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Group, Uid, User};
use record::paths;

use crate::deletion::Doomed;
use crate::failure::Failure;
use crate::output::one_line;
use crate::trusted_path::LastLink;

/// User and group that telemd runs as.
pub(crate) const OWNER: &str = "telemetry";

/// A directory of the list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WorkDirectory {
    pub(crate) path: PathBuf,
    mode: u32,
}

/// Reads the list.
pub(crate) fn listed() -> Result<Vec<WorkDirectory>, Failure> {
    let list = paths::WORK_DIRECTORIES;
    let content = fs::read_to_string(list).map_err(|_| Failure::new(format_args!("Could not open file {list}")))?;
    Ok(parse(&content))
}

/// The `d` lines of user and group telemetry, see tmpfiles.d(5).
fn parse(list: &str) -> Vec<WorkDirectory> {
    let directory = |line: &str| {
        let mut fields = line.split_whitespace();
        let mut field = || fields.next();
        let (kind, path, mode, user, group) = (field()?, field()?, field()?, field()?, field()?);
        let is_ours = kind == "d" && path.starts_with('/') && (user, group) == (OWNER, OWNER);
        let mode = u32::from_str_radix(mode, 8).ok()?;
        is_ours.then(|| WorkDirectory { path: path.into(), mode })
    };
    list.lines().filter_map(directory).collect()
}

/// The ids of the user and the group of telemd.
pub(crate) fn owner() -> Result<(Uid, Gid), Failure> {
    let user = User::from_name(OWNER).ok().flatten();
    let group = Group::from_name(OWNER).ok().flatten();
    match (user, group) {
        (Some(user), Some(group)) => Ok((user.uid, group.gid)),
        _ => Err(Failure::new(format_args!(
            "There is no user or no group {OWNER}. Make them by systemd-sysusers, or by: \
             useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {OWNER}"
        ))),
    }
}

/// The name of a user; the number of one that has none.
pub(crate) fn user_name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or(uid.to_string(), |user| user.name)
}

/// Makes what is missing, as systemd-tmpfiles(8) does.
pub(crate) fn create() -> Result<(), Failure> {
    let owner = owner()?;
    for WorkDirectory { path, mode } in listed()? {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| Failure::at(parent, &error))?;
        }
        make(&path, mode, owner).map_err(|error| Failure::at(&path, &error))?;
    }
    Ok(())
}

/// Makes one directory, or gives one that is there to its owner. A symbolic
/// link in its place is an error.
pub(crate) fn make(path: &Path, mode: u32, (uid, gid): (Uid, Gid)) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let directory: File = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let metadata = directory.metadata()?;
    if (metadata.uid(), metadata.gid()) != (uid.as_raw(), gid.as_raw()) {
        fchown(&directory, Some(uid.as_raw()), Some(gid.as_raw()))?;
    }
    directory.set_permissions(Permissions::from_mode(mode))
}

/// Makes a directory that is in no list. One that is there must be telemd's
/// already: with this name, it could be anybody's.
pub(crate) fn make_or_find(path: &Path, mode: u32, owner: (Uid, Gid)) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return make(path, mode, owner),
        found => found?,
    };
    if found.is_dir() && found.uid() == owner.0.as_raw() {
        return Ok(());
    }
    let user = user_name(Uid::from_raw(found.uid()));
    Err(io::Error::other(format!(
        "telemd needs a directory of this name beside spool_dir, and what is there belongs to user {user}; \
         set another spool_dir, or: chown {OWNER}:{OWNER} {}",
        path.display()
    )))
}

/// Deletes all directories of the list with all that is in them; says what is
/// left, and tells whether nothing is.
pub(crate) fn remove() -> Result<bool, Failure> {
    let mut all_are_gone = true;
    for directory in listed()? {
        for message in remove_one(&directory.path) {
            eprintln!("{message}");
            all_are_gone = false;
        }
    }
    Ok(all_are_gone)
}

/// Whether something is in them, other than directories.
pub(crate) fn have_files() -> bool {
    let has_files = |directory: WorkDirectory| {
        Doomed::open(&directory.path, LastLink::Refused).is_ok_and(|mut directory| directory.has_files())
    };
    listed().is_ok_and(|directories| directories.into_iter().any(has_files))
}

/// Deletes a directory; gives what is to be said of what is left.
fn remove_one(path: &Path) -> Vec<String> {
    let shown = path.display();
    let mut doomed = match Doomed::open(path, LastLink::Refused) {
        Ok(doomed) => doomed,
        // It may have gone with its parent.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![format!("Not removing \"{shown}\": {error}")],
    };
    if let Some(wrong) = wrong_owner(&doomed) {
        return vec![format!("Not removing \"{shown}\": {wrong}")];
    }
    let mut left: Vec<String> = doomed
        .empty()
        .iter()
        .map(|left| format!("Not removed: {}: {}", one_line(left.path.as_os_str().as_bytes()), left.error))
        .collect();
    match fs::remove_dir(path) {
        // A volume of a container: it is empty, and stays.
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {}
        Err(error) if left.is_empty() => left.push(format!("Not removed: {shown}: {error}")),
        _ => {}
    }
    left
}

/// What is wrong with the owner of a directory.
fn wrong_owner(directory: &Doomed) -> Option<String> {
    let status = match directory.status() {
        Ok(status) => status,
        Err(error) => return Some(error.to_string()),
    };
    let (user, group) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    let wanted = owner().ok();
    if wanted.is_none_or(|(uid, _)| uid != user) {
        return Some(format!("Incorrect folder owner \"{}\"", user_name(user)));
    }
    if wanted.is_none_or(|(_, gid)| gid != group) {
        let name = Group::from_gid(group).ok().flatten().map_or(group.to_string(), |group| group.name);
        return Some(format!("Incorrect folder group \"{name}\""));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_only_directories_of_user_and_group_telemetry_count() {
        let list = "# a comment\n\
                    d /var/lib/telemetry 0755 telemetry telemetry -\n\
                    d  /var/log/telemetry\t0750 telemetry telemetry\n\
                    d /etc 0755 root root -\n\
                    d /srv 0755 telemetry root -\n\
                    D /tmp 0755 telemetry telemetry -\n\
                    d relative 0755 telemetry telemetry -\n\
                    d /short 0755\n";
        let expected = [("/var/lib/telemetry", 0o755), ("/var/log/telemetry", 0o750)];
        assert_eq!(parse(list), expected.map(|(path, mode)| WorkDirectory { path: path.into(), mode }));
    }
}
