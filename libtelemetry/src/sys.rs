//! System calls and memory, behind a safe face.
//!
//! Everything goes through libc, so that sanitizers and fault injection see
//! it. Descriptors are close-on-exec from their creation; nothing here raises
//! SIGPIPE or sleeps without a bound.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::NonNull;
use core::{hint, mem, ptr, slice};

/// A positive errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

impl Errno {
    fn last() -> Self {
        // SAFETY: libc gives each thread an errno that lives as long as it.
        Self(unsafe { *libc::__errno_location() })
    }

    /// Makes this the errno of the thread, for `%m`.
    pub(crate) fn store(self) {
        // SAFETY: as in `last`.
        unsafe { *libc::__errno_location() = self.0 }
    }

    /// Whether the same call may succeed when others gave resources back.
    pub(crate) fn is_shortage(self) -> bool {
        matches!(self.0, libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN)
    }
}

impl From<record::cursor::Full> for Errno {
    /// A buffer whose length was computed for what it must hold was too small:
    /// that is memory, too.
    fn from(_: record::cursor::Full) -> Self {
        Self(libc::ENOMEM)
    }
}

fn checked(result: c_int) -> Result<c_int, Errno> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

fn transferred(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}

/// Bytes on the C heap.
#[derive(Debug)]
pub(crate) struct Heap {
    start: NonNull<u8>,
    len: usize,
}

impl Heap {
    /// `len` zero bytes, aligned for every C type.
    // Not calloc, and hidden from the compiler, which would make it one: glibc
    // before 2.41 takes no blocks from its per-thread cache for calloc.
    #[inline(never)]
    pub(crate) fn zeroed(len: usize) -> Result<Self, Errno> {
        // SAFETY: malloc may be called with any size.
        let start: *mut u8 = hint::black_box(unsafe { libc::malloc(len.max(1)) }).cast();
        let start = NonNull::new(start).ok_or(Errno(libc::ENOMEM))?;
        // SAFETY: the block is `len` bytes long.
        unsafe { ptr::write_bytes(start.as_ptr(), 0, len) };
        Ok(Self { start, len })
    }

    /// Grows to `len` bytes; the new ones are zero.
    fn grow(&mut self, len: usize) -> Result<(), Errno> {
        let more = len.saturating_sub(self.len);
        // SAFETY: the block came from malloc or realloc and is owned by `self`.
        let start = unsafe { libc::realloc(self.start.as_ptr().cast(), self.len.saturating_add(more)) };
        self.start = NonNull::new(start.cast()).ok_or(Errno(libc::ENOMEM))?;
        // SAFETY: the block has `more` bytes after the first `self.len`.
        unsafe { ptr::write_bytes(self.start.as_ptr().add(self.len), 0, more) };
        self.len = self.len.saturating_add(more);
        Ok(())
    }

    /// Forgets what is behind the first `len` bytes.
    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the block is initialized, `len` bytes long and owned.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// The block as words, as far as they fit in.
    pub(crate) fn words_mut(&mut self) -> &mut [usize] {
        // SAFETY: the block is initialized, owned, and aligned for every C
        // type; any bytes make a word.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.len / size_of::<usize>()) }
    }

    /// Gives the block up; it must be freed by [`free`].
    pub(crate) fn into_raw<T>(self) -> *mut T {
        let start = self.start.as_ptr();
        mem::forget(self);
        start.cast()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: the block is owned by `self` and not used any more.
        unsafe { free(self.start.as_ptr()) }
    }
}

/// Frees a block of the C heap; NULL is allowed.
///
/// # Safety
///
/// `block` must come from [`Heap::into_raw`] or malloc(3), and must not be
/// used any more.
pub(crate) unsafe fn free<T>(block: *mut T) {
    // SAFETY: the caller's promise is that of free(3).
    unsafe { libc::free(block.cast()) }
}

/// Does `work` in a thread that pthread_cancel(3) cannot end meanwhile, which
/// would leave what is open and allocated behind. No wait here is long.
pub(crate) fn not_cancelled(work: impl FnOnce() -> c_int) -> c_int {
    let mut before = PTHREAD_CANCEL_ENABLE;
    // SAFETY: `before` is writable.
    unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before) };
    let result = work();
    // SAFETY: the old state may be NULL.
    unsafe { pthread_setcancelstate(before, ptr::null_mut()) };
    result
}

// Not in every release of the libc crate. The numbers are those of glibc and
// of musl.
const PTHREAD_CANCEL_ENABLE: c_int = 0;
const PTHREAD_CANCEL_DISABLE: c_int = 1;
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old_state: *mut c_int) -> c_int;
}

/// A descriptor, closed at the end of its life.
pub(crate) struct Descriptor(c_int);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is open and owned by `self`. On Linux it is
        // closed even where close(2) reports EINTR.
        unsafe { libc::close(self.0) };
    }
}

/// The start of a file, at most `limit` bytes of it.
pub(crate) fn read_start(path: &CStr, limit: usize) -> Result<Heap, Errno> {
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
    // SAFETY: `path` is a C string.
    let file = Descriptor(retried(|| checked(unsafe { libc::open(path.as_ptr(), flags) }))?);
    let mut content = Heap::zeroed(limit.min(4096))?;
    let mut len = 0;
    loop {
        let free = content.bytes_mut().get_mut(len..).unwrap_or_default();
        // SAFETY: `free` is writable for its whole length.
        let count = retried(|| transferred(unsafe { libc::read(file.0, free.as_mut_ptr().cast(), free.len()) }))?;
        len = len.saturating_add(count);
        if count == 0 || len >= limit {
            content.truncate(len);
            return Ok(content);
        }
        if len == content.bytes().len() {
            content.grow(len.saturating_mul(2).min(limit))?;
        }
    }
}

fn retried<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno(libc::EINTR)) => {}
            result => return result,
        }
    }
}

/// What `stat(2)` tells about a file, symbolic links followed.
pub(crate) fn status(path: &CStr) -> Result<libc::stat, Errno> {
    // SAFETY: all zeros is a valid `stat`.
    let mut status: libc::stat = unsafe { mem::zeroed() };
    // SAFETY: `path` is a C string, `status` is writable.
    checked(unsafe { libc::stat(path.as_ptr(), &mut status) })?;
    Ok(status)
}

/// The strings of `uname(2)`.
pub(crate) struct SystemNames(libc::utsname);

impl SystemNames {
    pub(crate) fn read() -> Self {
        // SAFETY: all zeros is a valid `utsname`: empty strings.
        let mut names: libc::utsname = unsafe { mem::zeroed() };
        // SAFETY: `names` is writable. A failure leaves the empty strings.
        unsafe { libc::uname(&mut names) };
        Self(names)
    }

    pub(crate) fn machine(&self) -> &[u8] {
        until_nul(&self.0.machine)
    }

    pub(crate) fn release(&self) -> &[u8] {
        until_nul(&self.0.release)
    }
}

fn until_nul(text: &[c_char]) -> &[u8] {
    // SAFETY: strnlen reads no more than the length that it is given, and what
    // it gives is initialized.
    unsafe { slice::from_raw_parts(text.as_ptr().cast(), libc::strnlen(text.as_ptr(), text.len())) }
}

/// The C string at the start of `bytes`. `None` if no NUL ends it.
pub(crate) fn c_string(bytes: &[u8]) -> Option<&CStr> {
    // SAFETY: strnlen reads no more than the length that it is given.
    let len = unsafe { libc::strnlen(bytes.as_ptr().cast(), bytes.len()) };
    let with_nul = bytes.get(..=len)?;
    // SAFETY: the NUL that strnlen found is the last of these bytes, and the
    // only one.
    Some(unsafe { CStr::from_bytes_with_nul_unchecked(with_nul) })
}

/// Milliseconds of a clock.
#[allow(clippy::unnecessary_cast, reason = "time_t and long have 32 bits on some platforms")]
#[inline(never)]
fn milliseconds(clock: libc::clockid_t) -> u64 {
    // SAFETY: all zeros is a valid `timespec`.
    let mut now: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: `now` is writable. The clocks used here always exist.
    unsafe { libc::clock_gettime(clock, &mut now) };
    (now.tv_sec as u64).wrapping_mul(1000).wrapping_add(now.tv_nsec as u64 / 1_000_000)
}

/// Seconds since the epoch.
pub(crate) fn wall_seconds() -> u64 {
    milliseconds(libc::CLOCK_REALTIME) / 1000
}

/// Milliseconds of a clock that never jumps, a few milliseconds coarse.
pub(crate) fn coarse_milliseconds() -> u64 {
    milliseconds(libc::CLOCK_MONOTONIC_COARSE)
}

/// A moment to wait for.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(u64);

impl Deadline {
    pub(crate) fn after(timeout_milliseconds: u16) -> Self {
        Self(milliseconds(libc::CLOCK_MONOTONIC).wrapping_add(u64::from(timeout_milliseconds)))
    }

    /// Milliseconds that are left, 0 when the moment has passed.
    pub(crate) fn remaining(self) -> c_int {
        let left = self.0.saturating_sub(milliseconds(libc::CLOCK_MONOTONIC));
        c_int::try_from(left).unwrap_or(c_int::MAX)
    }
}

/// Waits a millisecond.
pub(crate) fn pause() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    // SAFETY: `time` is a valid duration; the remaining time may be NULL.
    unsafe { libc::nanosleep(&time, ptr::null_mut()) };
}

/// The process id.
pub(crate) fn process_id() -> i32 {
    // SAFETY: getpid has no preconditions.
    unsafe { libc::getpid() }
}

/// 16 bytes of the kernel's random numbers.
pub(crate) fn random() -> Result<[u8; 16], Errno> {
    let mut bytes = [0u8; 16];
    let count = retried(|| {
        // SAFETY: `bytes` is writable for its whole length.
        transferred(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) })
    });
    if count == Ok(bytes.len()) {
        return Ok(bytes);
    }
    // An old kernel, a filter of system calls, or the first seconds of a boot.
    let content = read_start(c"/dev/urandom", bytes.len())?;
    content.bytes().first_chunk().copied().ok_or(Errno(libc::EIO))
}

/// A Unix stream socket that is not connected yet.
pub(crate) struct Socket(Descriptor);

impl Socket {
    pub(crate) fn new() -> Result<Self, Errno> {
        // SAFETY: socket has no preconditions.
        let result = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
        Ok(Self(Descriptor(checked(result)?)))
    }

    /// Bounds the time that `connect` waits for a place in the backlog: on
    /// Linux that is the time-out for sending.
    fn limit_connect(&self, milliseconds: c_int) -> Result<(), Errno> {
        // SAFETY: all zeros is a valid `timeval`.
        let mut time: libc::timeval = unsafe { mem::zeroed() };
        time.tv_sec = (milliseconds / 1000).into();
        time.tv_usec = (milliseconds % 1000 * 1000).into();
        let len = mem::size_of_val(&time) as libc::socklen_t;
        // SAFETY: `time` is readable for `len` bytes.
        let result = unsafe {
            libc::setsockopt(self.0.0, libc::SOL_SOCKET, libc::SO_SNDTIMEO, (&raw const time).cast::<c_void>(), len)
        };
        checked(result).map(|_| ())
    }

    /// Connects to the socket at `path`, which is cut to 107 bytes.
    pub(crate) fn connect(&self, path: &[u8], timeout_milliseconds: u16) -> Result<(), Errno> {
        // SAFETY: all zeros is a valid `sockaddr_un`.
        let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let longest = address.sun_path.len().saturating_sub(1);
        for (target, &byte) in address.sun_path.iter_mut().take(longest).zip(path) {
            *target = byte as _;
        }
        let len = mem::size_of_val(&address) as libc::socklen_t;
        let deadline = Deadline::after(timeout_milliseconds);
        loop {
            // 0 would mean to wait without end.
            self.limit_connect(deadline.remaining().max(1))?;
            // SAFETY: `address` is a valid address of `len` bytes.
            let result = unsafe { libc::connect(self.0.0, (&raw const address).cast(), len) };
            match checked(result) {
                Ok(_) => return Ok(()),
                Err(Errno(libc::EAGAIN)) => return Err(Errno(libc::ETIMEDOUT)),
                Err(Errno(libc::EINTR)) if deadline.remaining() > 0 => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Sends what fits at once.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: `bytes` is readable for its whole length.
        retried(|| transferred(unsafe { libc::send(self.0.0, bytes.as_ptr().cast(), bytes.len(), flags) }))
    }

    /// Receives what is there; 0 bytes at the end of the connection.
    pub(crate) fn receive(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        retried(|| {
            // SAFETY: `bytes` is writable for its whole length.
            transferred(unsafe { libc::recv(self.0.0, bytes.as_mut_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) })
        })
    }

    /// Waits until the socket can be written; false if the time ran out.
    pub(crate) fn wait_writable(&self, deadline: Deadline) -> Result<bool, Errno> {
        self.wait(libc::POLLOUT, deadline)
    }

    /// Waits until the socket can be read; false if the time ran out.
    pub(crate) fn wait_readable(&self, deadline: Deadline) -> Result<bool, Errno> {
        self.wait(libc::POLLIN, deadline)
    }

    fn wait(&self, events: libc::c_short, deadline: Deadline) -> Result<bool, Errno> {
        let mut entry = libc::pollfd { fd: self.0.0, events, revents: 0 };
        // SAFETY: `entry` is one valid element.
        retried(|| checked(unsafe { libc::poll(&mut entry, 1, deadline.remaining()) })).map(|ready| ready > 0)
    }
}
