//! Reading small files, with a bound on type and size: what is not a regular
//! file, or is longer than it may be, is an error and no more.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

/// Reads a regular file of at most `max` bytes. Symbolic links are followed.
pub fn read_regular(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    // Opening must not wait (FIFOs) or change anything (terminals).
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    read_open(file, max)
}

/// The same for a file that is there itself: where others can put a link, it
/// could lead anywhere.
pub fn read_regular_itself(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    read_open(OpenOptions::new().read(true).custom_flags(flags).open(path)?, max)
}

/// Reads a file that is open, from where it is, if it is a regular one of at
/// most `max` bytes.
pub fn read_open(file: File, max: usize) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // One more, so that the end is seen by the first read.
    let capacity = usize::try_from(metadata.len()).unwrap_or(max).min(max) + 1;
    let mut content = Vec::with_capacity(capacity);
    file.take(max as u64 + 1).read_to_end(&mut content)?;
    if content.len() > max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

/// Replaces a file as a whole, also if the power fails meanwhile.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = create_anew(&temporary, mode)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes a file in place of one that was left behind. Root writes into
/// directories of others: what a link leads to is not touched.
pub(crate) fn create_anew(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Whether the same call may succeed when others gave resources back.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN | libc::EINTR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_the_allowed_size_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("four"), "1234").unwrap();
        assert_eq!(read_regular(&path("four"), 4).unwrap(), b"1234");
        assert_eq!(read_regular(&path("four"), 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for other in [path("fifo"), directory.path().to_owned(), "/dev/zero".into()] {
            assert!(read_regular(&other, 10).is_err(), "{}", other.display());
            assert!(read_regular_itself(&other, 10).is_err(), "{}", other.display());
        }
        std::os::unix::fs::symlink("four", path("link")).unwrap();
        assert_eq!(read_regular(&path("link"), 4).unwrap(), b"1234");
        assert!(read_regular_itself(&path("link"), 4).is_err());
        assert_eq!(read_regular_itself(&path("four"), 4).unwrap(), b"1234");
    }

    #[test]
    fn a_replacement_is_not_written_through_a_link_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("precious"), "data").unwrap();
        std::os::unix::fs::symlink(path("precious"), path("file.new")).unwrap();
        replace(&path("file"), b"content", 0o644).unwrap();
        assert_eq!(fs::read_to_string(path("precious")).unwrap(), "data");
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "content");
        assert!(path("file").symlink_metadata().unwrap().is_file());
    }
}
