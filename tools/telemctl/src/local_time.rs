//! Times as people read and write them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// As strftime(3) has it, in the C locale: `Mon 2018-04-02 17:48:01 UTC`.
const FORMAT: &str = "%a %Y-%m-%d %H:%M:%S %Z";

/// A time in the local zone. What is no time is the start of the epoch.
pub(crate) fn shown(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    time.to_zoned(zone).strftime(FORMAT).to_string()
}

/// The same for what counts in unsigned numbers.
pub(crate) fn shown_unsigned(seconds: u64) -> String {
    shown(i64::try_from(seconds).unwrap_or_default())
}

/// A time in RFC 3339, in UTC.
pub(crate) fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads a time: RFC 3339, or a span before now such as `-2h` or `-1d12h`.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is neither a time as in 2026-01-31T12:00:00Z nor a span before now as in -2h");
    match text.strip_prefix('-') {
        Some(span) => {
            let span: Span = span.parse().ok().filter(|span: &Span| span.is_positive()).ok_or_else(wrong)?;
            Zoned::now().checked_sub(span).map(|time| time.timestamp()).map_err(|_| wrong())
        }
        None => text.parse().map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let time = parse("2018-04-02T17:48:01Z").unwrap();
        assert_eq!((time.as_second(), parse("2018-04-02T19:48:01+02:00").unwrap()), (1_522_691_281, time));
        for (text, seconds) in [("-2h", 7200), ("-90s", 90), ("-1d", 86400), ("-1h30m", 5400)] {
            let ago = Timestamp::now().as_second() - parse(text).unwrap().as_second();
            assert!((ago - seconds).abs() <= 3601, "{text}: {ago}");
            assert!(text == "-1d" || (ago - seconds).abs() <= 1, "{text}: {ago}");
        }
        for wrong in ["", "yesterday", "2h", "-2", "--2h", "2018-04-02", "-"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
