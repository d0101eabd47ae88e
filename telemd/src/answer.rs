//! What a collector's answer means for a record and for the queue behind it.

use std::time::{Duration, SystemTime};

use ureq::http::StatusCode;

/// The longest pause that a server can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// What becomes of a record after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The collector has it.
    Delivered,
    /// The collector will never take it; it could take the next.
    Rejected(StatusCode),
    /// The collector asks for a pause.
    Wait(Duration),
    /// The collector is not well, or not the one that was meant.
    Failed(StatusCode),
}

impl Verdict {
    /// Judges a status and the value of `Retry-After`, if there is one.
    pub(crate) fn of(status: StatusCode, retry_after: Option<&str>, now: SystemTime) -> Self {
        match status.as_u16() {
            200..=299 => Self::Delivered,
            400 | 413 | 415 | 422 | 431 => Self::Rejected(status),
            429 | 503 => match retry_after.and_then(|value| pause(value, now)) {
                Some(pause) => Self::Wait(pause.min(RETRY_AFTER_MAX)),
                None => Self::Failed(status),
            },
            _ => Self::Failed(status),
        }
    }
}

/// Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
fn pause(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, retry_after: Option<&str>) -> Verdict {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        Verdict::of(StatusCode::from_u16(status).unwrap(), retry_after, now)
    }

    #[test]
    fn w13_a_status_says_whether_the_record_or_the_server_is_at_fault() {
        for status in [200, 201, 202, 204] {
            assert_eq!(verdict(status, None), Verdict::Delivered, "{status}");
        }
        for status in [400, 413, 415, 422, 431] {
            assert!(matches!(verdict(status, None), Verdict::Rejected(_)), "{status}");
        }
        for status in [301, 302, 401, 403, 404, 408, 429, 500, 502, 503, 504] {
            assert!(matches!(verdict(status, None), Verdict::Failed(_)), "{status}");
        }
    }

    #[test]
    fn both_forms_of_retry_after_are_read_and_capped() {
        let wait = |value: &str| verdict(503, Some(value));
        assert_eq!(wait("120"), Verdict::Wait(Duration::from_secs(120)));
        assert_eq!(wait(" 0 "), Verdict::Wait(Duration::ZERO));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:37 GMT"), Verdict::Wait(Duration::from_secs(60)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Verdict::Wait(Duration::ZERO), "past");
        for long in ["7200", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(wait(long), Verdict::Wait(RETRY_AFTER_MAX), "{long}");
        }
        for wrong in ["", "soon", "-1", "1.5"] {
            assert!(matches!(wait(wrong), Verdict::Failed(_)), "{wrong:?}");
        }
        assert_eq!(verdict(429, Some("3")), Verdict::Wait(Duration::from_secs(3)));
        assert!(matches!(verdict(500, Some("3")), Verdict::Failed(_)), "only 429 and 503 ask");
    }
}
