//! The pause after a failure: random, up to a bound that doubles with every
//! failure that follows, so that a fleet does not come back all at once.

use std::time::Duration;

/// The bound after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The greatest bound.
const LAST: Duration = Duration::from_secs(300);

/// How often in a row it has failed.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// The pause after one more failure. `random` is any number.
    pub(crate) fn after_failure(&mut self, random: u64) -> Duration {
        let bound = FIRST.saturating_mul(2u32.saturating_pow(self.failures)).min(LAST);
        self.failures = self.failures.saturating_add(1);
        let milliseconds = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(random % milliseconds + 1)
    }

    /// Notes a success; tells whether there had been failures.
    pub(crate) fn reset(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_from_1_s_to_5_min_and_starts_again_after_a_success() {
        let mut back_off = BackOff::default();
        let mut bounds = |count: usize| -> Vec<u128> {
            // The longest pause of all: one millisecond below a common multiple.
            (0..count).map(|_| back_off.after_failure(300_000 * 1024 - 1).as_millis()).collect()
        };
        assert_eq!(bounds(10), [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000]);
        assert_eq!(bounds(40).last(), Some(&300_000));
        assert!(back_off.reset());
        assert!(!back_off.reset());
        assert_eq!(back_off.after_failure(999), Duration::from_secs(1));
    }

    #[test]
    fn the_pause_is_anywhere_below_the_bound() {
        let pause = |random| BackOff { failures: 3 }.after_failure(random);
        assert_eq!(pause(0), Duration::from_millis(1));
        assert_eq!(pause(8000 + 4000), Duration::from_millis(4001));
    }
}
