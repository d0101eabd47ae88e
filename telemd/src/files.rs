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

/// Reads a file that is open, from where it is, if it is a regular one of at
/// most `max` bytes.
pub fn read_open(file: File, max: usize) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
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
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
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
        }
    }
}
