//! What the library says to the person who debugs a probe: nothing, unless
//! `TELEMETRY_DEBUG` is set in a process that is not set-uid, and then to the
//! system log. Never to the standard streams, which belong to the host.

use core::ffi::{CStr, c_char};

use crate::sys::Errno;

unsafe extern "C" {
    /// secure_getenv(3): NULL in set-user-ID and set-group-ID programs.
    fn secure_getenv(name: *const c_char) -> *mut c_char;
}

/// Notes that a step failed; hands the error on.
pub(crate) fn failure(step: &'static CStr, errno: Errno) -> Errno {
    // SAFETY: the name is a C string; the result is only compared.
    if !unsafe { secure_getenv(c"TELEMETRY_DEBUG".as_ptr()) }.is_null() {
        errno.store();
        // SAFETY: the format takes one C string and errno.
        unsafe { libc::syslog(libc::LOG_USER | libc::LOG_DEBUG, c"libtelemetry: %s: %m".as_ptr(), step.as_ptr()) };
    }
    errno
}
