//! The configuration file that a sender asked for: `CFG:`, an absolute path,
//! and a terminator, which is NUL in frames and a newline in spool files.

use crate::header::LINE_MAX;

/// What the field starts with.
pub(crate) const TAG: &[u8] = b"CFG:";

/// Why the field was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigFieldError {
    /// The terminator is missing.
    Unterminated,
    /// Not an absolute path without control characters that fits in a line.
    Path,
}

impl core::fmt::Display for ConfigFieldError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Unterminated => "the CFG: field does not end",
            Self::Path => "the CFG: field is not an absolute path without control characters",
        })
    }
}

impl core::error::Error for ConfigFieldError {}

/// Reads the field at the start of `input`, if there is one; returns the path
/// and what follows.
pub(crate) fn decode(input: &[u8], terminator: u8) -> Result<(Option<&[u8]>, &[u8]), ConfigFieldError> {
    let Some(field) = input.strip_prefix(TAG) else { return Ok((None, input)) };
    let mut parts = field.splitn(2, |&byte| byte == terminator);
    let (Some(path), Some(rest)) = (parts.next(), parts.next()) else { return Err(ConfigFieldError::Unterminated) };
    let fits = TAG.len() + path.len() <= LINE_MAX;
    if path.starts_with(b"/") && fits && !has_controls(path) {
        Ok((Some(path), rest))
    } else {
        Err(ConfigFieldError::Path)
    }
}

/// Whether there are control characters of ASCII, or those of 8 bits (U+0080 to
/// U+009F), which terminals obey, too.
fn has_controls(path: &[u8]) -> bool {
    path.iter().any(u8::is_ascii_control) || path.windows(2).any(|pair| matches!(pair, [0xc2, 0x80..=0x9f]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_path_with_control_characters_of_any_kind_is_refused() {
        let decoded = |path: &str| decode(format!("CFG:{path}\n").as_bytes(), b'\n').map(|(path, _)| path.is_some());
        for good in ["/a", "/gr\u{fc}n", "/\u{a0}", "/\u{5db}\u{4b8}"] {
            assert_eq!(decoded(good), Ok(true), "{good:?}");
        }
        for bad in ["/\u{1b}[2J", "/\u{7f}", "/\u{80}", "/a\u{9b}2J", "/\u{9f}"] {
            assert_eq!(decoded(bad), Err(ConfigFieldError::Path), "{bad:?}");
        }
    }
}
