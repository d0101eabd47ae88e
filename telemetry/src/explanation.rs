//! What an errno of the library means, and what to do about it.

use std::io;

/// What happened, and what a person can do about it.
#[derive(Clone, Copy)]
pub(crate) struct Explanation {
    pub(crate) meaning: &'static str,
    pub(crate) remedy: &'static str,
}

const fn explained(meaning: &'static str, remedy: &'static str) -> Option<Explanation> {
    Some(Explanation { meaning, remedy })
}

pub(crate) const NOT_OPTED_IN: Option<Explanation> =
    explained("telemetry is switched off on this machine", "Switch it on by 'telemctl opt-in'.");

/// Why a record could not be made.
pub(crate) fn of_creating(errno: i32) -> Option<Explanation> {
    match errno {
        libc::ENOMEM => SHORT_OF_MEMORY,
        // What tm_create_record(3) gives for this one failure.
        libc::EPERM => {
            explained("the system has no random numbers", "Make getrandom(2) or /dev/urandom available to the process.")
        }
        _ => None,
    }
}

/// Why a record could not be sent.
pub(crate) fn of_sending(errno: i32) -> Option<Explanation> {
    match errno {
        libc::ECONNREFUSED => explained("no daemon listens on its socket", START),
        libc::ENOENT => explained("there is no socket of the daemon, or the chosen configuration file is gone", START),
        libc::EACCES => explained(
            "the daemon's socket or the configuration file is not for this user",
            "Look at the modes of both, and of their directories.",
        ),
        libc::EINVAL => explained(
            "the configuration file cannot be understood, or the daemon refused the record",
            "'telemd --check' says what is wrong in the file.",
        ),
        libc::EPERM => explained(
            "the daemon must not use the chosen configuration file",
            "It must belong to root or to the daemon's user, and nobody else may write to it.",
        ),
        libc::EFBIG => explained("the configuration file has more than 1 MiB", "Make it smaller."),
        libc::EMFILE | libc::ENFILE => {
            explained("no descriptor is left", "Close some, or raise the limit of the process.")
        }
        libc::ENOMEM => SHORT_OF_MEMORY,
        libc::EAGAIN => explained("the daemon does not read", LOG),
        libc::EPIPE => explained("the daemon went away before it had the record", LOG),
        libc::ECONNRESET => explained("the daemon went away before it answered; it may have the record", LOG),
        libc::ETIMEDOUT => explained("the daemon did not answer in time; it may have the record", LOG),
        libc::EPROTO => {
            explained("what listens on the socket is no telemetry daemon", "Look at socket_path in telemetrics.conf.")
        }
        libc::ENOSPC | libc::EDQUOT => explained(
            "the daemon has no room for the record",
            "Make room on its disk, or raise spool_max_size or spool_user_share in telemetrics.conf.",
        ),
        libc::EIO => explained("the daemon could not write the record", LOG),
        _ => None,
    }
}

const SHORT_OF_MEMORY: Option<Explanation> =
    explained("memory is short", "Give memory back, or raise the limit of the process.");
const START: &str = "Start the daemon by 'telemctl start'.";
const LOG: &str = "The log of telemd says why; if it hangs, restart it by 'telemctl restart'.";

/// The system's words for an error, as strerror(3) has them.
pub fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    let number = error.raw_os_error().map(|errno| format!(" (os error {errno})")).unwrap_or_default();
    text.strip_suffix(&number).unwrap_or(&text).to_owned()
}
