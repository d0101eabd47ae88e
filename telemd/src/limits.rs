//! Rate limits: how many records, and how many bytes, may be sent in a window
//! of minutes.
//!
//! Minutes are those of a clock that never jumps, so that a change of the wall
//! clock neither opens nor shuts a window. What was sent is forgotten with the
//! process, as it always was.

use std::collections::BTreeMap;

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

    fn change(&mut self, burst: i64, window: i64) {
        *self = Self { slots: self.slots, ..Self::new(burst, window) };
    }

    /// Whether what was sent in minute `sent` counts in `minute`.
    fn is_in_window(&self, minute: u64, sent: u64) -> bool {
        sent <= minute && minute - sent < self.window
    }

    /// What was sent in the window that ends with `minute`.
    fn sent(&self, minute: u64) -> u64 {
        self.slots.iter().filter(|slot| self.is_in_window(minute, slot.minute)).map(|slot| slot.amount).sum()
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

    fn uncount(&mut self, minute: u64, weight: u64) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.minute == minute) {
            slot.amount = slot.amount.saturating_sub(weight);
        }
    }
}

/// Why a record must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// A limit is reached.
    Limit,
    /// Its user has sent as much as one user may.
    Share(u32),
    /// It alone is over a limit: no window takes it.
    Always,
}

/// Both limits of the configuration, and what one user may have of them.
#[derive(Clone, Debug)]
pub(crate) struct RateLimits {
    enabled: bool,
    records: Limit,
    bytes: Limit,
    /// Percent; `None`: all.
    share: Option<u64>,
    /// Of each user: the minutes in which records were sent, their number and
    /// their bytes.
    users: BTreeMap<u32, Vec<(u64, u64, u64)>>,
}

impl RateLimits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut limits = Self {
            enabled: false,
            records: Limit::new(-1, 0),
            bytes: Limit::new(-1, 0),
            share: None,
            users: BTreeMap::new(),
        };
        limits.change(settings);
        limits
    }

    /// Other limits for what comes; what was sent is not forgotten.
    pub(crate) fn change(&mut self, settings: &Settings) {
        self.enabled = settings.boolean(Key::RateLimitEnabled);
        self.records.change(settings.integer(Key::RecordBurstLimit), settings.integer(Key::RecordWindowLength));
        self.bytes.change(settings.integer(Key::ByteBurstLimit), settings.integer(Key::ByteWindowLength));
        self.share = u64::try_from(settings.integer(Key::RateUserShare)).ok().filter(|percent| *percent < 100);
    }

    /// Notes that a record of so many bytes is sent in this minute, if it may
    /// be. `uid` is that of a user who has only a share.
    pub(crate) fn reserve(&mut self, minute: u64, bytes: u64, uid: Option<u32>) -> Result<(), Over> {
        if self.enabled {
            if self.bytes.burst.is_some_and(|burst| burst > 0 && bytes > burst) {
                return Err(Over::Always);
            }
            if !self.records.allows(minute, 1) || !self.bytes.allows(minute, bytes) {
                return Err(Over::Limit);
            }
            if let Some((uid, percent)) = uid.zip(self.share) {
                self.check_share(minute, bytes, uid, percent)?;
                note(self.users.entry(uid).or_default(), minute, bytes);
            }
        }
        self.records.count(minute, 1);
        self.bytes.count(minute, bytes);
        Ok(())
    }

    fn check_share(&mut self, minute: u64, bytes: u64, uid: u32, percent: u64) -> Result<(), Over> {
        self.users.retain(|_, sent| {
            sent.retain(|(sent, _, _)| minute.saturating_sub(*sent) < SLOTS as u64);
            !sent.is_empty()
        });
        let sent = self.users.get(&uid).map(Vec::as_slice).unwrap_or_default();
        let sum = |limit: &Limit, amount: fn(&(u64, u64, u64)) -> u64| -> u64 {
            sent.iter().filter(|sent| limit.is_in_window(minute, sent.0)).map(amount).sum()
        };
        let fits = |limit: &Limit, sum: u64, weight: u64| {
            // The first is always within a share, however large it is.
            let fits = |burst: u64| sum == 0 || sum.saturating_add(weight) <= burst.saturating_mul(percent) / 100;
            limit.burst.is_none_or(fits)
        };
        let records = fits(&self.records, sum(&self.records, |sent| sent.1), 1);
        match records && fits(&self.bytes, sum(&self.bytes, |sent| sent.2), bytes) {
            true => Ok(()),
            false => Err(Over::Share(uid)),
        }
    }

    /// The record was not sent after all.
    pub(crate) fn give_back(&mut self, minute: u64, bytes: u64, uid: Option<u32>) {
        self.records.uncount(minute, 1);
        self.bytes.uncount(minute, bytes);
        let of_user = uid.and_then(|uid| self.users.get_mut(&uid));
        if let Some(entry) = of_user.and_then(|sent| sent.iter_mut().find(|sent| sent.0 == minute)) {
            *entry = (minute, entry.1.saturating_sub(1), entry.2.saturating_sub(bytes));
        }
    }
}

fn note(sent: &mut Vec<(u64, u64, u64)>, minute: u64, bytes: u64) {
    match sent.last_mut() {
        Some(last) if last.0 == minute => *last = (minute, last.1 + 1, last.2.saturating_add(bytes)),
        _ => sent.push((minute, 1, bytes)),
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

    fn limits(assignments: &str) -> RateLimits {
        RateLimits::new(&Settings::read(format!("[settings]\n{assignments}\n").as_bytes()).unwrap().0)
    }

    #[test]
    fn d4_bytes_are_the_bytes_of_the_record() {
        let mut limits = limits("byte_burst_limit=1000\nrecord_burst_limit=-1");
        assert_eq!(limits.reserve(0, 600, None), Ok(()));
        assert_eq!(limits.reserve(0, 600, None), Err(Over::Limit));
        assert_eq!(limits.reserve(0, 400, None), Ok(()));
        assert_eq!(limits.reserve(20, 600, None), Ok(()), "20 minutes later");
        assert_eq!(limits.reserve(50, 1001, None), Err(Over::Always), "it would block all others");
    }

    #[test]
    fn both_limits_must_allow_and_the_switch_turns_both_off() {
        let after_one_record = |assignments: &str| {
            let mut limits = limits(assignments);
            let _ = limits.reserve(0, 10, None);
            limits.reserve(0, 10, None).is_ok()
        };
        assert!(after_one_record("record_burst_limit=2\nbyte_burst_limit=20"));
        assert!(!after_one_record("record_burst_limit=1\nbyte_burst_limit=20"));
        assert!(!after_one_record("record_burst_limit=2\nbyte_burst_limit=19"));
        assert!(after_one_record("record_burst_limit=0\nbyte_burst_limit=0\nrate_limit_enabled=false"));
    }

    #[test]
    fn a_record_that_was_not_sent_does_not_count() {
        let mut limits = limits("record_burst_limit=2\nrate_user_share=50");
        assert_eq!(limits.reserve(3, 10, Some(7)), Ok(()));
        limits.give_back(3, 10, Some(7));
        assert_eq!(limits.reserve(3, 10, Some(7)), Ok(()));
        assert_eq!(limits.reserve(3, 10, Some(7)), Err(Over::Share(7)));
    }

    #[test]
    fn one_user_has_a_share_of_the_window_and_leaves_the_rest_to_others() {
        let mut limits = limits("record_burst_limit=10\nrecord_window_length=15\nrate_user_share=50");
        let sent =
            |limits: &mut RateLimits, minute, uid| (0..20).filter(|_| limits.reserve(minute, 10, uid).is_ok()).count();
        assert_eq!(sent(&mut limits, 1, Some(7)), 5);
        assert_eq!(sent(&mut limits, 2, Some(8)), 5);
        assert_eq!(limits.reserve(2, 10, Some(9)), Err(Over::Limit));
        assert_eq!(sent(&mut limits, 16, Some(7)), 5, "its own window opens again");
        let mut limits = self::limits("record_burst_limit=10\nrate_user_share=100");
        assert_eq!(sent(&mut limits, 1, Some(7)), 10, "off, as the C daemons have it");
        let mut limits = self::limits("record_burst_limit=10\nrate_user_share=50");
        assert_eq!(sent(&mut limits, 1, None), 10, "whoever has no share to keep to");
    }

    #[test]
    fn other_limits_do_not_forget_what_was_sent() {
        let mut limits = limits("record_burst_limit=2");
        limits.reserve(0, 1, None).unwrap();
        limits.reserve(0, 1, None).unwrap();
        limits.change(&Settings::read(b"[settings]\nrecord_burst_limit=3\n").unwrap().0);
        assert_eq!(limits.reserve(0, 1, None), Ok(()));
        assert_eq!(limits.reserve(0, 1, None), Err(Over::Limit));
    }
}
