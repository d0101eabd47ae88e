//! The locale that the environment asks for.

use std::ffi::CStr;
use std::ptr;

/// What setlocale(3) calls it: one name, or a list if the categories differ;
/// `C` if the one that is asked for is not installed.
pub(crate) fn name() -> Vec<u8> {
    // SAFETY: the arguments are C strings or NULL. No other thread runs that
    // could use the locale. The name is copied before the next call.
    unsafe {
        libc::setlocale(libc::LC_ALL, c"".as_ptr());
        let name = libc::setlocale(libc::LC_ALL, ptr::null());
        let name = if name.is_null() { c"C" } else { CStr::from_ptr(name) }.to_bytes().to_vec();
        // What this program says stays in English.
        libc::setlocale(libc::LC_ALL, c"C".as_ptr());
        name
    }
}
