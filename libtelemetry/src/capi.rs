//! The seven functions of the C interface. Their comments become those of
//! `telemetry.h`; `make generate` writes it.
//!
//! Each takes pointers that may be NULL, hands borrowed bytes to the station
//! that does the work, and turns its result into the number that C programs
//! know.

use core::ffi::{CStr, c_char, c_int};
use core::{ptr, slice};

use record::{classification, event_id, payload};

use crate::sys::{self, Errno, Heap};
use crate::{client, layout, opt_in, settings, telem_record};

/// A handle of a record, made by tm_create_record().
#[allow(non_camel_case_types, reason = "a name of the C interface")]
#[repr(C)]
pub struct telem_ref {
    /// Belongs to the library.
    pub record: *mut telem_record,
}

fn status(result: Result<(), Errno>) -> c_int {
    result.map_or_else(|Errno(errno)| errno.saturating_neg(), |()| 0)
}

/// The bytes of a C string before its NUL, at most `limit` of them. `None` for
/// NULL.
///
/// # Safety
///
/// `text` must be NULL, or a C string or at least `limit` bytes that live and
/// stay unchanged for `'a`.
unsafe fn text_of<'a>(text: *const c_char, limit: usize) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; strnlen reads no more than `limit` bytes.
    Some(unsafe { slice::from_raw_parts(text.cast(), libc::strnlen(text, limit)) })
}

/// The record of a handle. `None` if either is NULL.
///
/// # Safety
///
/// `t_ref` must be NULL or a handle that no other thread uses during `'a`.
unsafe fn record_of<'a>(t_ref: *mut telem_ref) -> Option<&'a mut telem_record> {
    // SAFETY: the caller's promise.
    unsafe { t_ref.as_ref().and_then(|t_ref| t_ref.record.as_mut()) }
}

/// A handle of a record. On failure, the record is freed.
fn new_handle(record: *mut telem_record) -> Result<*mut telem_ref, Errno> {
    match Heap::zeroed(size_of::<telem_ref>()) {
        Ok(block) => {
            let handle: *mut telem_ref = block.into_raw();
            // SAFETY: the block is as large as a handle and aligned for it.
            unsafe { (*handle).record = record };
            Ok(handle)
        }
        Err(errno) => {
            // SAFETY: the record was made for this handle, and nobody knows it.
            unsafe { layout::destroy(record) };
            Err(errno)
        }
    }
}

/// Choose the configuration file for the records of this process.
///
/// Without a call, /etc/telemetrics/telemetrics.conf counts, or the
/// distribution's default. The file tells the library where the daemon's
/// socket is, and its path goes to the daemon with every record that is sent
/// afterwards: the daemon sends those records with the settings of that file.
///
/// The file is not opened or parsed here; tm_send_record() does that.
///
/// @param c_file  Absolute path of an existing regular file, or of a symbolic
///                link to one. Copied.
///
/// @return 0 on success; the choice holds for the whole process, and the last
///         one wins. On failure the previous choice stays, and the result is
///         -EINVAL if c_file is NULL, is not absolute or is no regular file;
///         or the negated errno of stat(2), such as -ENOENT, -EACCES,
///         -ENOTDIR, -ENAMETOOLONG or -ELOOP.
///
/// Any thread may call this at any time.
///
/// Symbol version: TM_1_0_0.
///
/// # Safety
///
/// `c_file` must be NULL or a C string.
#[cfg_attr(cbindgen, unsafe(no_mangle))]
pub unsafe extern "C" fn tm_set_config_file(c_file: *const c_char) -> c_int {
    if c_file.is_null() {
        return status(Err(Errno(libc::EINVAL)));
    }
    // SAFETY: the caller's promise.
    let c_file = unsafe { CStr::from_ptr(c_file) };
    sys::not_cancelled(|| status(settings::choose_file(c_file)))
}

/// Create a record.
///
/// The record gets all headers: those given here, the time, a random event
/// id, and the facts about the host. It has no payload yet; set one with
/// tm_set_payload(). Free the record with tm_free_record().
///
/// Consent is not looked at here, and nothing leaves the process.
///
/// @param t_ref            Where the new record is stored. What is there
///                         before is not looked at. NULL is stored on failure.
/// @param severity         1 (low), 2 (medium), 3 (high) or 4 (critical).
///                         0 counts as 1, a number above 4 as 4.
/// @param classification   Three parts, separated by slashes, as in
///                         "org.example/disk/full". At most 122 bytes in all,
///                         41 in the first part, 40 in each of the others,
///                         and no control characters. Copied.
/// @param payload_version  Version of the payload's format, for those who will
///                         read it. Any number.
///
/// @return 0 on success; -EINVAL if t_ref is NULL, or if classification is
///         NULL or not of this form; -ENOMEM if memory is short; -1 if the
///         system has no random numbers.
///
/// Any thread may call this at any time.
///
/// Symbol version: TM_3_0_0.
///
/// # Safety
///
/// `t_ref` must be NULL or writable, `classification` NULL or a C string.
#[cfg_attr(cbindgen, unsafe(no_mangle))]
pub unsafe extern "C" fn tm_create_record(
    t_ref: *mut *mut telem_ref,
    severity: u32,
    classification: *mut c_char,
    payload_version: u32,
) -> c_int {
    if t_ref.is_null() {
        return status(Err(Errno(libc::EINVAL)));
    }
    // One byte more than is allowed tells that there are too many.
    // SAFETY: the caller's promise.
    let class = unsafe { text_of(classification, classification::MAX + 1) }.unwrap_or_default();
    sys::not_cancelled(|| {
        let created = layout::create(severity, class, payload_version).and_then(new_handle);
        // SAFETY: the caller's promise. What is there may not be initialized.
        unsafe { t_ref.write(created.unwrap_or(ptr::null_mut())) };
        status(created.map(|_| ()))
    })
}

/// Set the payload of a record.
///
/// A later call replaces the payload of an earlier one.
///
/// @param t_ref    The record.
/// @param payload  Printable ASCII characters and white space (0x20 to 0x7E,
///                 0x09 to 0x0D), whatever the locale. May be empty. What is
///                 longer than 8192 bytes is cut after the first 8192. Copied.
///
/// @return 0 on success. On failure the previous payload stays, and the result
///         is -EINVAL if t_ref or payload is NULL, or if another byte is among
///         the first 8192; -ENOMEM if memory is short.
///
/// Different threads may use different records at the same time.
///
/// Symbol version: TM_3_0_0.
///
/// # Safety
///
/// `t_ref` must be NULL or a record that no other thread uses, `payload` NULL
/// or a C string.
#[cfg_attr(cbindgen, unsafe(no_mangle))]
pub unsafe extern "C" fn tm_set_payload(t_ref: *mut telem_ref, payload: *mut c_char) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { (record_of(t_ref), text_of(payload, payload::MAX)) } {
        (Some(record), Some(payload)) => status(record.set_payload(payload)),
        _ => status(Err(Errno(libc::EINVAL))),
    }
}

/// Set the event id of a record.
///
/// Records that belong to one event carry the same id. Each record gets a
/// random one when it is created.
///
/// @param t_ref     The record.
/// @param event_id  Exactly 32 characters of 0123456789abcdef. Copied.
///
/// @return 0 on success. -1 if t_ref or event_id is NULL or event_id is not of
///         this form; the previous id stays.
///
/// Different threads may use different records at the same time.
///
/// Symbol version: TM_4_0_0.
///
/// # Safety
///
/// `t_ref` must be NULL or a record that no other thread uses, `event_id` NULL
/// or a C string.
#[cfg_attr(cbindgen, unsafe(no_mangle))]
pub unsafe extern "C" fn tm_set_event_id(t_ref: *mut telem_ref, event_id: *mut c_char) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { (record_of(t_ref), text_of(event_id, event_id::LEN + 1)) } {
        (Some(record), Some(id)) => status(record.set_event_id(id)),
        _ => status(Err(Errno(libc::EPERM))),
    }
}

/// Hand a record to the telemetry daemon.
///
/// Waits until the daemon has the record on disk: at most 1 second for a
/// connection, and 5 seconds for the answer. The record stays as it is: it may
/// be sent again, and must be freed. Never raises SIGPIPE.
///
/// @param t_ref  The record. Without a payload, an empty one is sent.
///
/// @return 0 on success. Otherwise a negated errno:
///         -ECONNREFUSED  the administrator has not opted in, or no daemon
///                        listens (tm_is_opted_in() tells which),
///         -EINVAL        t_ref is NULL, the configuration file cannot be
///                        understood, or the daemon refused the record,
///         -ENOENT        there is no socket: no daemon is installed or
///                        started; or the chosen configuration file is gone,
///         -EACCES        the socket or the configuration file is not for this
///                        user,
///         -EPERM         the daemon must not use the configuration file that
///                        tm_set_config_file() named,
///         -EFBIG         the configuration file has more than 1 MiB,
///         -EMFILE        the process has no descriptor to spare,
///         -ENOMEM        memory is short,
///         -EAGAIN        the daemon does not read,
///         -EPIPE         the daemon went away before it had the record,
///         -ECONNRESET    the daemon went away before it answered,
///         -ETIMEDOUT     no connection or no answer in time,
///         -EPROTO        who listens is not a telemetry daemon,
///         -ENOSPC, -EDQUOT, -EIO or another errno of the daemon, if it could
///         not store the record; or one of socket(2), connect(2) or open(2).
///         After -ECONNRESET and -ETIMEDOUT the daemon may have the record all
///         the same; after every other failure it has not.
///
/// Different threads may use different records at the same time.
///
/// Symbol version: TM_3_0_0.
///
/// # Safety
///
/// `t_ref` must be NULL or a record that no other thread uses.
#[cfg_attr(cbindgen, unsafe(no_mangle))]
pub unsafe extern "C" fn tm_send_record(t_ref: *mut telem_ref) -> c_int {
    // SAFETY: the caller's promise.
    let Some(record) = (unsafe { record_of(t_ref) }) else {
        return status(Err(Errno(libc::EINVAL)));
    };
    if !opt_in::is_opted_in() {
        return status(Err(Errno(libc::ECONNREFUSED)));
    }
    sys::not_cancelled(|| status(client::send(&record.header_lines(), record.payload())))
}

/// Free a record, its headers and its payload.
///
/// @param t_ref  The record. NULL does nothing. It must not be used
///               afterwards.
///
/// Different threads may use different records at the same time.
///
/// Symbol version: TM_2_0_0.
///
/// # Safety
///
/// `t_ref` must be NULL or a record that nobody uses any more.
#[cfg_attr(cbindgen, unsafe(no_mangle))]
pub unsafe extern "C" fn tm_free_record(t_ref: *mut telem_ref) {
    // SAFETY: the caller's promise; a handle without a record is freed, too.
    unsafe {
        if let Some(handle) = t_ref.as_ref() {
            layout::destroy(handle.record);
        }
        sys::free(t_ref);
    }
}

/// Tell whether the administrator has opted in to telemetry.
///
/// That is so if the file /etc/telemetrics/opt-in exists.
///
/// @return 1 if so, otherwise 0.
///
/// Any thread may call this at any time.
///
/// Symbol version: TM_4_1_0.
#[cfg_attr(cbindgen, unsafe(no_mangle))]
pub extern "C" fn tm_is_opted_in() -> c_int {
    c_int::from(opt_in::is_opted_in())
}
