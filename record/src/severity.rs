//! The severity of a record: 1 (low) to 4 (critical).

/// The lowest severity.
pub const LOW: u32 = 1;
/// The highest severity. Such records are synced to disk before they are
/// acknowledged, and delivered first.
pub const CRITICAL: u32 = 4;

/// Brings any number into 1..=4, as `tm_create_record(3)` does.
pub const fn clamp(severity: u32) -> u32 {
    if severity < LOW {
        LOW
    } else if severity > CRITICAL {
        CRITICAL
    } else {
        severity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_becomes_low_and_five_becomes_critical() {
        assert_eq!([0, 1, 2, 3, 4, 5, u32::MAX].map(clamp), [1, 1, 2, 3, 4, 4, 4]);
    }
}
