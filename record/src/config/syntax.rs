//! The syntax: sections, assignments, comments and escapes.
//!
//! A line ends at LF, or CR LF. Blanks at both ends of a line, of a key and
//! of a value do not count. `#` and `;` start a comment at the start of a line
//! only; there are no quotes.

use core::fmt;

use crate::lines::Lines;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxProblem {
    /// The file starts with a byte-order mark.
    ByteOrderMark,
    /// A section line does not end with `]`.
    SectionNotClosed,
    /// Neither empty, nor a comment, a section or an assignment.
    NoEqualsSign,
    /// An assignment before any section.
    NoSection,
    /// Nothing stands before the `=`.
    NoKey,
}

/// A line that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: SyntaxProblem,
}

impl fmt::Display for SyntaxProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteOrderMark => "the file starts with a byte-order mark; save it as UTF-8 without one",
            Self::SectionNotClosed => "a section line must end with `]`, and nothing may follow it",
            Self::NoEqualsSign => "expected `key=value`, `[section]` or a comment that starts with `#`",
            Self::NoSection => "an assignment before any section; put `[settings]` above it",
            Self::NoKey => "nothing stands before the `=`",
        })
    }
}

/// A value as it stands in the file, with its escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawValue<'a>(&'a [u8]);

impl<'a> RawValue<'a> {
    /// The value with its escapes resolved: `\s` is a blank, a backslash
    /// before any other byte stands for that byte.
    pub fn bytes(self) -> Unescaped<'a> {
        Unescaped(self.0.iter())
    }
}

/// The bytes of a value, its escapes resolved.
#[derive(Clone, Debug)]
pub struct Unescaped<'a>(core::slice::Iter<'a, u8>);

impl Iterator for Unescaped<'_> {
    type Item = u8;

    #[inline(never)]
    fn next(&mut self) -> Option<u8> {
        match self.0.next()? {
            b'\\' => self.0.next().map(|&byte| if byte == b's' { b' ' } else { byte }),
            &byte => Some(byte),
        }
    }
}

/// `key=value` in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// Number of the line, from 1.
    pub line: usize,
    /// Name of the section.
    pub section: &'a [u8],
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: RawValue<'a>,
}

/// The assignments of a file. Ends at the first error.
#[derive(Clone, Debug)]
pub struct Assignments<'a> {
    lines: Lines<'a>,
    line: usize,
    section: Option<&'a [u8]>,
}

impl<'a> Assignments<'a> {
    /// Reads `file`, which may hold any bytes.
    pub fn new(file: &'a [u8]) -> Self {
        Self { lines: Lines::new(file), line: 0, section: None }
    }

    fn read_line(&mut self, line: &'a [u8]) -> Result<Option<Assignment<'a>>, SyntaxProblem> {
        if self.line == 1 && line.starts_with(b"\xEF\xBB\xBF") {
            return Err(SyntaxProblem::ByteOrderMark);
        }
        let line = trim(line.strip_suffix(b"\r").unwrap_or(line));
        match line.first() {
            None | Some(b'#' | b';') => return Ok(None),
            Some(b'[') => {
                let name = line.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]"));
                self.section = Some(name.ok_or(SyntaxProblem::SectionNotClosed)?);
                return Ok(None);
            }
            Some(_) => {}
        }
        let mut parts = line.splitn(2, |&byte| byte == b'=');
        let key = trim(parts.next().unwrap_or_default());
        let value = parts.next().ok_or(SyntaxProblem::NoEqualsSign)?;
        let section = self.section.ok_or(SyntaxProblem::NoSection)?;
        if key.is_empty() {
            return Err(SyntaxProblem::NoKey);
        }
        Ok(Some(Assignment { line: self.line, section, key, value: RawValue(trim(value)) }))
    }
}

impl<'a> Iterator for Assignments<'a> {
    type Item = Result<Assignment<'a>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.lines.next()?;
            self.line = self.line.saturating_add(1);
            match self.read_line(line) {
                Ok(None) => {}
                Ok(Some(assignment)) => return Some(Ok(assignment)),
                Err(problem) => {
                    self.lines = Lines::new(&[]);
                    return Some(Err(SyntaxError { line: self.line, problem }));
                }
            }
        }
    }
}

/// Removes blanks (space and tab, nothing else) from both ends.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
