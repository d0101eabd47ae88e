//! Which configuration file is in effect, and what it says of the socket.
//!
//! The file is read anew for every record that is sent: that costs a few
//! microseconds beside the way to the daemon and back, and a change counts at
//! once, in every thread and in children of fork(2).

use core::ffi::CStr;

use record::config::{self, FILE_MAX, Key, SOCKET_PATH_MAX, Value};
use record::cursor::{Cursor, Full};
use record::paths;
use record::text::Text;

use crate::debug_log::failure;
use crate::published::Published;
use crate::sys::{self, Errno, Heap};

/// The longest path that Linux opens, its NUL included.
const PATH_MAX: usize = libc::PATH_MAX as usize;
const PATH_WORDS: usize = PATH_MAX / size_of::<usize>();
const _: () = assert!(SOCKET_PATH_MAX <= Text::CAPACITY);

/// The file that the program chose, with its NUL.
static CHOSEN: Published<PATH_WORDS> = Published::new();

/// The file that the program chose, copied out of the process-wide place.
///
/// On the heap: a send can wait for seconds, and a signal handler needs room on
/// a small stack.
pub(crate) struct ChosenFile(Option<Heap>);

impl ChosenFile {
    pub(crate) fn current() -> Result<Self, Errno> {
        if !CHOSEN.is_published() {
            return Ok(Self(None));
        }
        let mut path = Heap::zeroed(PATH_MAX)?;
        CHOSEN.read(path.words_mut());
        Ok(Self(Some(path)))
    }

    pub(crate) fn path(&self) -> Option<&CStr> {
        self.0.as_ref().and_then(|path| sys::c_string(path.bytes()))
    }
}

/// Makes every later record of this process use the file at `path`.
pub(crate) fn choose_file(path: &CStr) -> Result<(), Errno> {
    if !path.to_bytes().starts_with(b"/") {
        return Err(Errno(libc::EINVAL));
    }
    if sys::status(path)?.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Errno(libc::EINVAL));
    }
    let mut copy = Heap::zeroed(PATH_MAX)?;
    let mut cursor = Cursor::new(copy.bytes_mut());
    cursor.put(path.to_bytes_with_nul());
    cursor.finish().map_err(|Full| Errno(libc::ENAMETOOLONG))?;
    CHOSEN.write(copy.words_mut());
    Ok(())
}

/// The socket of the daemon, as the file in effect has it.
pub(crate) fn socket_path(chosen: Option<&CStr>) -> Result<Text, Errno> {
    let file = match chosen {
        Some(path) => Some(sys::read_start(path, FILE_MAX + 1).map_err(unreadable)?),
        None => match existing(paths::c::CONFIG)? {
            Some(file) => Some(file),
            None => existing(paths::c::DEFAULT_CONFIG)?,
        },
    };
    let content = file.as_ref().map(Heap::bytes).unwrap_or_default();
    if content.len() > FILE_MAX {
        return Err(failure(c"configuration file of more than 1 MiB", Errno(libc::EFBIG)));
    }
    let mut socket_path = Text::with_limit(SOCKET_PATH_MAX);
    socket_path.extend(paths::SOCKET.as_bytes());
    config::check(content, |_, read| {
        if let Some((Key::SocketPath, Value::Text(raw))) = read {
            socket_path.clear();
            raw.bytes().for_each(|byte| socket_path.push(byte));
        }
    })
    .map_err(|_| failure(c"configuration file cannot be understood, telemd --check says why", Errno(libc::EINVAL)))?;
    Ok(socket_path)
}

/// The content of a file, or `None` if there is no such file.
fn existing(path: &CStr) -> Result<Option<Heap>, Errno> {
    match sys::read_start(path, FILE_MAX + 1) {
        Ok(file) => Ok(Some(file)),
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        Err(errno) => Err(unreadable(errno)),
    }
}

fn unreadable(errno: Errno) -> Errno {
    failure(c"configuration file cannot be read", errno)
}
