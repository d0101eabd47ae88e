//! Rate limits: how many records, and how many bytes, may be sent in a window
//! of minutes.
//!
//! Minutes are those of a clock that never jumps, so that a change of the wall
//! clock neither opens nor shuts a window. What was sent is forgotten with the
//! process, as it always was.

use record::config::{Key, Settings};

/// The longest window, and one minute for each slot of it.
const SLOTS: usize = 60;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    minute: u64,
    amount: u64,
}

/// One limit: at most `burst` in each `window`.
#[derive(Clone, Debug)]
struct Limit {
    /// `None`: no limit.
    burst: Option<u64>,
    /// Minutes. 0: each record is judged alone.
    window: u64,
    slots: [Slot; SLOTS],
}

impl Limit {
    fn new(burst: i64, window: i64) -> Self {
        let window = u64::try_from(window).unwrap_or(0).min(SLOTS as u64 - 1);
        Self { burst: u64::try_from(burst).ok(), window, slots: [Slot::default(); SLOTS] }
    }

    /// What was sent in the window that ends with `minute`.
    fn sent(&self, minute: u64) -> u64 {
        let in_window = |slot: &&Slot| slot.minute <= minute && minute - slot.minute < self.window;
        self.slots.iter().filter(in_window).map(|slot| slot.amount).sum()
    }

    fn allows(&self, minute: u64, weight: u64) -> bool {
        self.burst.is_none_or(|burst| self.sent(minute).saturating_add(weight) <= burst)
    }

    fn count(&mut self, minute: u64, weight: u64) {
        let position = usize::try_from(minute % SLOTS as u64).unwrap_or(0);
        let Some(slot) = self.slots.get_mut(position) else { return };
        if slot.minute != minute {
            *slot = Slot { minute, amount: 0 };
        }
        slot.amount = slot.amount.saturating_add(weight);
    }
}

/// Both limits of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct RateLimits {
    enabled: bool,
    records: Limit,
    bytes: Limit,
}

impl RateLimits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let limit = |burst, window| Limit::new(settings.integer(burst), settings.integer(window));
        Self {
            enabled: settings.boolean(Key::RateLimitEnabled),
            records: limit(Key::RecordBurstLimit, Key::RecordWindowLength),
            bytes: limit(Key::ByteBurstLimit, Key::ByteWindowLength),
        }
    }

    /// Whether a record of so many bytes may be sent in this minute.
    pub(crate) fn allow(&self, minute: u64, bytes: u64) -> bool {
        !self.enabled || (self.records.allows(minute, 1) && self.bytes.allows(minute, bytes))
    }

    /// Notes a record that was sent.
    pub(crate) fn count(&mut self, minute: u64, bytes: u64) {
        self.records.count(minute, 1);
        self.bytes.count(minute, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit as of minute `now` of the hour 100, with what was counted in
    /// minutes of the hour, the last of that name before `now`.
    fn limit(burst: i64, window: i64, now: u64, counted: &[(u64, u64)]) -> (Limit, u64) {
        let mut limit = Limit::new(burst, window);
        for &(minute, amount) in counted {
            let hour = if minute <= now { 100 } else { 99 };
            limit.count(hour * 60 + minute, amount);
        }
        (limit, 100 * 60 + now)
    }

    #[test]
    fn the_values_that_the_c_project_tests() {
        let (records, minute) = limit(30, 15, 3, &[(1, 10), (7, 10), (10, 20), (55, 10)]);
        assert!(records.allows(minute, 1), "21");
        let (records, minute) = limit(30, 30, 24, &[(3, 10), (4, 10), (6, 10), (27, 10)]);
        assert!(!records.allows(minute, 1), "31");
        let (bytes, minute) = limit(64_000, 15, 3, &[(1, 32_000), (7, 10_000), (10, 45_000), (55, 11_000)]);
        assert!(bytes.allows(minute, 20_000), "63000");
        let (bytes, minute) = limit(100_000, 15, 15, &[(1, 32_000), (7, 10_000), (10, 32_300), (55, 31_000)]);
        assert!(!bytes.allows(minute, 80_000), "154300");
    }

    #[test]
    fn the_example_of_the_contract() {
        let (mut records, _) = limit(3, 5, 1, &[(58, 1), (0, 1), (1, 1)]);
        let minute = |minute: u64| 100 * 60 + minute;
        assert!(!records.allows(minute(2), 1));
        assert!(records.allows(minute(3), 1));
        records.count(minute(3), 1);
        assert!(!records.allows(minute(4), 1));
    }

    #[test]
    fn a_window_of_0_judges_each_record_alone_and_a_negative_burst_allows_all() {
        let (limit_of_one, minute) = limit(1, 0, 5, &[(5, 1000)]);
        assert!(limit_of_one.allows(minute, 1));
        assert!(!limit_of_one.allows(minute, 2));
        let (none, minute) = limit(-1, 15, 5, &[(5, u64::MAX)]);
        assert!(none.allows(minute, u64::MAX));
    }

    #[test]
    fn d15_what_was_sent_an_hour_ago_is_not_taken_for_recent() {
        let (records, minute) = limit(3, 15, 10, &[(10, 3)]);
        assert!(!records.allows(minute, 1));
        assert!(records.allows(minute + 60, 1));
        assert!(records.allows(minute + 120, 1));
    }

    #[test]
    fn d4_bytes_are_the_bytes_of_the_record() {
        let (settings, _) = Settings::read(b"[settings]\nbyte_burst_limit=1000\nrecord_burst_limit=-1\n").unwrap();
        let mut limits = RateLimits::new(&settings);
        assert!(limits.allow(0, 600));
        limits.count(0, 600);
        assert!(!limits.allow(0, 600));
        assert!(limits.allow(0, 400));
        assert!(limits.allow(20, 600), "20 minutes later");
    }

    #[test]
    fn both_limits_must_allow_and_the_switch_turns_both_off() {
        let after_one_record = |text: &str| {
            let (settings, _) = Settings::read(text.as_bytes()).unwrap();
            let mut limits = RateLimits::new(&settings);
            limits.count(0, 10);
            limits.allow(0, 10)
        };
        assert!(after_one_record("[settings]\nrecord_burst_limit=2\nbyte_burst_limit=20\n"));
        assert!(!after_one_record("[settings]\nrecord_burst_limit=1\nbyte_burst_limit=20\n"));
        assert!(!after_one_record("[settings]\nrecord_burst_limit=2\nbyte_burst_limit=19\n"));
        let off = "[settings]\nrecord_burst_limit=0\nbyte_burst_limit=0\nrate_limit_enabled=false\n";
        assert!(after_one_record(off));
    }
}
