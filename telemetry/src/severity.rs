//! How bad it is.

/// The severity of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nobody needs to act.
    Low = 1,
    /// Something does not work as it should.
    Medium = 2,
    /// A program failed.
    High = 3,
    /// The system is at risk. The daemon syncs such records to disk before it
    /// acknowledges them, and delivers them first.
    Critical = 4,
}

/// A number that is no severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no severity: 1 (low) to 4 (critical)")]
pub struct UnknownSeverity(pub u32);

impl TryFrom<u32> for Severity {
    type Error = UnknownSeverity;

    fn try_from(number: u32) -> Result<Self, UnknownSeverity> {
        let all = [Self::Low, Self::Medium, Self::High, Self::Critical];
        all.into_iter().find(|&severity| severity as u32 == number).ok_or(UnknownSeverity(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_1_to_4_are_severities() {
        assert_eq!(
            [1, 2, 3, 4].map(|number| Severity::try_from(number).map(|severity| severity as u32)),
            [Ok(1), Ok(2), Ok(3), Ok(4)]
        );
        for number in [0, 5, u32::MAX] {
            assert_eq!(Severity::try_from(number), Err(UnknownSeverity(number)));
        }
    }
}
