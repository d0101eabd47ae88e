//! From the text of a value to a value of its key's type.

use core::fmt;

use super::key::{Default, Key, Kind, OutOfRange, Range};
use super::syntax::RawValue;

/// Why a value is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// Neither `true` nor `false` nor `1` nor `0`.
    NotBoolean,
    /// Not an absolute path.
    NotPath,
    /// Not a decimal number.
    NotInteger,
    /// A number outside of what 64 bits hold.
    TooLarge,
    /// A number outside the range of a key that has no remedy for it.
    OutOfRange,
}

impl ValueError {
    /// Says what was expected of a value of `key`.
    pub(super) fn explain(self, key: Key, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, key.default(), key.kind()) {
            (Self::NotInteger, Default::Integer(_, unit), _) => write!(f, "expected {unit} as an integer"),
            (Self::OutOfRange, _, Kind::Integer(range)) => {
                write!(f, "expected an integer from {} to {}", range.min, range.max)
            }
            (Self::NotInteger | Self::OutOfRange, ..) => f.write_str("expected another integer"),
            (Self::TooLarge, ..) => write!(f, "expected an integer of at most {}", i64::MAX),
            (Self::NotPath, ..) => f.write_str("expected an absolute path"),
            (Self::NotBoolean, ..) => f.write_str("expected true or false"),
        }
    }
}

/// What an assignment gives to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// For [`Kind::Text`] and [`Kind::Path`].
    Text(RawValue<'a>),
    /// For [`Kind::Choice`]: one of its words, or `None` if there is no such
    /// word.
    Choice(Option<&'static str>),
    /// For [`Kind::Boolean`].
    Boolean(bool),
    /// For [`Kind::Integer`].
    Integer {
        /// The number in effect; `None` for the key's default.
        effective: Option<i64>,
        /// Whether the file has another number, outside the range.
        adjusted: bool,
    },
}

impl Key {
    /// Reads a value of this key.
    pub fn read(self, raw: RawValue<'_>) -> Result<Value<'_>, ValueError> {
        match self.kind() {
            Kind::Text => Ok(Value::Text(raw)),
            Kind::Path if raw.bytes().next() != Some(b'/') || raw.bytes().any(|byte| byte == 0) => {
                Err(ValueError::NotPath)
            }
            Kind::Path => Ok(Value::Text(raw)),
            Kind::Choice(words) => Ok(Value::Choice(words.iter().copied().find(|word| is_word(raw, word)))),
            Kind::Boolean => {
                if is_word(raw, "true") || is_word(raw, "1") {
                    Ok(Value::Boolean(true))
                } else if is_word(raw, "false") || is_word(raw, "0") {
                    Ok(Value::Boolean(false))
                } else {
                    Err(ValueError::NotBoolean)
                }
            }
            Kind::Integer(range) => {
                let number = integer(raw)?;
                let effective = bring_into_range(number, range)?;
                Ok(Value::Integer { effective, adjusted: effective != Some(number) })
            }
        }
    }
}

fn is_word(raw: RawValue<'_>, word: &str) -> bool {
    raw.bytes().map(|byte| byte.to_ascii_lowercase()).eq(word.bytes())
}

/// An optional sign and digits. The C parser took `5M` for 5 and `abc` for 0.
fn integer(raw: RawValue<'_>) -> Result<i64, ValueError> {
    let mut negative = false;
    let mut number = None;
    let mut fits = true;
    for (position, byte) in raw.bytes().enumerate() {
        let digit = match byte {
            b'+' | b'-' if position == 0 => {
                negative = byte == b'-';
                continue;
            }
            b'0'..=b'9' => i64::from(byte - b'0'),
            _ => return Err(ValueError::NotInteger),
        };
        let digit = if negative { -digit } else { digit };
        let next = number.unwrap_or(0i64).checked_mul(10).and_then(|tens| tens.checked_add(digit));
        fits &= next.is_some();
        number = Some(next.unwrap_or(0));
    }
    match number {
        None => Err(ValueError::NotInteger),
        Some(_) if !fits => Err(ValueError::TooLarge),
        Some(number) => Ok(number),
    }
}

fn bring_into_range(number: i64, range: &Range) -> Result<Option<i64>, ValueError> {
    let (nearest, remedy) = if number < range.min {
        (range.min, range.below)
    } else if number > range.max {
        (range.max, range.above)
    } else {
        return Ok(Some(number));
    };
    match remedy {
        OutOfRange::Clamp => Ok(Some(nearest)),
        OutOfRange::Default => Ok(None),
        OutOfRange::Refuse => Err(ValueError::OutOfRange),
    }
}
