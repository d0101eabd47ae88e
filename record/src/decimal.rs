//! Decimal numbers in a buffer on the stack.

/// An unsigned number, printed.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; 20],
    first: usize,
}

impl Decimal {
    /// Prints `number` without leading zeros.
    #[inline(never)]
    pub fn new(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut first = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            first -= 1;
            if number == 0 {
                break;
            }
        }
        Self { digits, first }
    }

    /// The digits.
    #[inline(never)]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.first..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prints_like_the_standard_library(number: u64) {
            let (ours, expected) = (Decimal::new(number), number.to_string());
            prop_assert_eq!(ours.as_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn prints_the_ends_of_the_range() {
        assert_eq!(Decimal::new(0).as_bytes(), b"0");
        assert_eq!(Decimal::new(u64::MAX).as_bytes(), b"18446744073709551615");
    }
}
