//! From the text of a value to a value of its key's type.

use core::fmt;

use super::key::{Key, Kind, OutOfRange, Range};
use super::syntax::RawValue;

/// Why a value is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// Neither `true` nor `false` nor `1` nor `0`.
    NotBoolean,
    /// Not a decimal number.
    NotInteger {
        /// What the number counts.
        unit: &'static str,
    },
    /// A number outside of what 64 bits hold.
    TooLarge,
    /// A number outside the range of a key that has no remedy for it.
    OutOfRange {
        /// What is accepted.
        range: Range,
    },
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBoolean => f.write_str("expected true or false"),
            Self::NotInteger { unit } => write!(f, "expected {unit} as an integer"),
            Self::TooLarge => write!(f, "expected an integer of at most {}", i64::MAX),
            Self::OutOfRange { range } => write!(f, "expected an integer from {} to {}", range.min, range.max),
        }
    }
}

/// What an assignment gives to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// For [`Kind::Text`].
    Text(RawValue<'a>),
    /// For [`Kind::Choice`]: one of its words, or `None` if there is no such
    /// word.
    Choice(Option<&'static str>),
    /// For [`Kind::Boolean`].
    Boolean(bool),
    /// For [`Kind::Integer`]: the number in effect, and whether that is
    /// another than the one in the file.
    Integer {
        /// The number in effect.
        effective: i64,
        /// Whether the file has another number, outside the range.
        adjusted: bool,
    },
}

impl Key {
    /// Reads a value of this key.
    pub fn read(self, raw: RawValue<'_>) -> Result<Value<'_>, ValueError> {
        match self.kind() {
            Kind::Text { .. } => Ok(Value::Text(raw)),
            Kind::Choice { words, .. } => Ok(Value::Choice(words.iter().copied().find(|word| is_word(raw, word)))),
            Kind::Boolean { .. } => {
                if is_word(raw, "true") || is_word(raw, "1") {
                    Ok(Value::Boolean(true))
                } else if is_word(raw, "false") || is_word(raw, "0") {
                    Ok(Value::Boolean(false))
                } else {
                    Err(ValueError::NotBoolean)
                }
            }
            Kind::Integer { default, unit, range } => {
                let number = integer(raw, unit)?;
                let effective = bring_into_range(number, default, range)?;
                Ok(Value::Integer { effective, adjusted: effective != number })
            }
        }
    }
}

fn is_word(raw: RawValue<'_>, word: &str) -> bool {
    raw.bytes().map(|byte| byte.to_ascii_lowercase()).eq(word.bytes())
}

/// An optional sign and digits. The C parser took `5M` for 5 and `abc` for 0.
fn integer(raw: RawValue<'_>, unit: &'static str) -> Result<i64, ValueError> {
    let mut bytes = raw.bytes().peekable();
    let negative = bytes.next_if(|byte| matches!(byte, b'+' | b'-')) == Some(b'-');
    let mut number = None;
    let mut fits = true;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(ValueError::NotInteger { unit });
        }
        let digit = if negative { -i64::from(digit) } else { i64::from(digit) };
        let next = number.unwrap_or(0i64).checked_mul(10).and_then(|tens| tens.checked_add(digit));
        fits &= next.is_some();
        number = Some(next.unwrap_or(0));
    }
    match number {
        None => Err(ValueError::NotInteger { unit }),
        Some(_) if !fits => Err(ValueError::TooLarge),
        Some(number) => Ok(number),
    }
}

fn bring_into_range(number: i64, default: i64, range: Range) -> Result<i64, ValueError> {
    let (nearest, remedy) = if number < range.min {
        (range.min, range.below)
    } else if number > range.max {
        (range.max, range.above)
    } else {
        return Ok(number);
    };
    match remedy {
        OutOfRange::Clamp => Ok(nearest),
        OutOfRange::Default => Ok(default),
        OutOfRange::Refuse => Err(ValueError::OutOfRange { range }),
    }
}
