//! The administrator's consent.

use record::paths;

use crate::sys;

/// Whether the opt-in file exists, of whatever type. A dangling symbolic link
/// and an unreachable directory mean no.
pub(crate) fn is_opted_in() -> bool {
    sys::status(paths::c::OPT_IN).is_ok()
}
