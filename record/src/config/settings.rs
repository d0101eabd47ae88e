//! The settings that a file makes, and what is wrong with it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::SECTION;
use super::key::{Default, Key};
use super::syntax::{Assignment, Assignments, SyntaxProblem};
use super::value::{Value, ValueError};

/// What is wrong with a file. `T` is what is kept of a value that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem<T> {
    /// The line cannot be read.
    Syntax(SyntaxProblem),
    /// The value of a key is not accepted.
    Value {
        /// The key.
        key: Key,
        /// The value in the file.
        value: T,
        /// Why.
        error: ValueError,
    },
}

/// A file that is not accepted, and the line that is the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem<String>,
}

impl fmt::Display for ConfigError {
    /// `12: record_expiry: expected minutes as an integer, got "abc"`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Syntax(problem) => write!(f, "{}: {problem}", self.line),
            Problem::Value { key, value, error } => {
                write!(f, "{}: {}: ", self.line, key.name())?;
                error.explain(*key, f)?;
                write!(f, ", got {value:?}")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

/// Something that was put right, and that its author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// No release knows this key.
    UnknownKey {
        /// Number of the line, from 1.
        line: usize,
        /// The name in the file.
        name: String,
    },
    /// The value is outside the range of the key; another is in effect.
    Adjusted {
        /// Number of the line, from 1.
        line: usize,
        /// The key.
        key: Key,
        /// The value in the file.
        value: String,
        /// The value in effect.
        effective: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { line, name } => write!(f, "{line}: unknown key {name:?} is ignored"),
            Self::Adjusted { line, key, value, effective } => {
                write!(f, "{line}: {}: {value:?} is not accepted, {effective} is used", key.name())
            }
        }
    }
}

/// Hands every assignment that counts to `accept`, in the order of the file,
/// and stops at the first error. Allocates nothing.
///
/// A repeated key comes again: the last one wins. Keys that no release knows
/// come as `None`.
pub fn check<'a>(
    file: &'a [u8],
    mut accept: impl FnMut(Assignment<'a>, Option<(Key, Value<'a>)>),
) -> Result<(), (usize, Problem<Assignment<'a>>)> {
    for assignment in Assignments::new(file) {
        let assignment = assignment.map_err(|error| (error.line, Problem::Syntax(error.problem)))?;
        if assignment.section != SECTION.as_bytes() {
            continue;
        }
        let Some(key) = Key::from_name(assignment.key) else {
            accept(assignment, None);
            continue;
        };
        match key.read(assignment.value) {
            Ok(value) => accept(assignment, Some((key, value))),
            Err(error) => return Err((assignment.line, Problem::Value { key, value: assignment, error })),
        }
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Effective {
    Text(Vec<u8>),
    Boolean(bool),
    Integer(i64),
}

/// One value of every key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    values: [(Effective, Option<usize>); Key::COUNT],
}

impl core::default::Default for Settings {
    /// The built-in defaults.
    fn default() -> Self {
        Self { values: Key::ALL.map(|key| (default_of(key), None)) }
    }
}

fn default_of(key: Key) -> Effective {
    match key.default() {
        Default::Text(default) => Effective::Text(default.into()),
        Default::Boolean(default) => Effective::Boolean(default),
        Default::Integer(default, _) => Effective::Integer(default),
    }
}

fn lossy(bytes: impl Iterator<Item = u8>) -> String {
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

impl Settings {
    /// Reads a file. Keys that it does not assign have their defaults.
    pub fn read(file: &[u8]) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut settings = Self::default();
        let mut warnings = Vec::new();
        let read = check(file, |assignment, read| {
            let line = assignment.line;
            let Some((key, value)) = read else {
                warnings.push(Warning::UnknownKey { line, name: lossy(assignment.key.iter().copied()) });
                return;
            };
            let (effective, adjusted) = match value {
                Value::Text(raw) => (Effective::Text(raw.bytes().collect()), false),
                Value::Choice(Some(word)) => (Effective::Text(word.into()), false),
                Value::Choice(None) => (default_of(key), true),
                Value::Boolean(value) => (Effective::Boolean(value), false),
                Value::Integer { effective: Some(number), adjusted } => (Effective::Integer(number), adjusted),
                Value::Integer { effective: None, .. } => (default_of(key), true),
            };
            settings.assign(key, effective, line);
            if adjusted {
                let value = lossy(assignment.value.bytes());
                warnings.push(Warning::Adjusted { line, key, value, effective: settings.shown(key) });
            }
        });
        read.map_err(|(line, problem)| ConfigError {
            line,
            problem: match problem {
                Problem::Syntax(problem) => Problem::Syntax(problem),
                Problem::Value { key, value, error } => {
                    Problem::Value { key, value: lossy(value.value.bytes()), error }
                }
            },
        })?;
        Ok((settings, warnings))
    }

    fn assign(&mut self, key: Key, effective: Effective, line: usize) {
        if let Some(slot) = self.values.get_mut(key as usize) {
            *slot = (effective, Some(line));
        }
    }

    fn effective(&self, key: Key) -> Option<&Effective> {
        self.values.get(key as usize).map(|(value, _)| value)
    }

    /// The value of a key that is a text, a path or a word; empty for other
    /// keys.
    pub fn text(&self, key: Key) -> &[u8] {
        match self.effective(key) {
            Some(Effective::Text(text)) => text,
            _ => &[],
        }
    }

    /// The value of a key that is true or false; false for other keys.
    pub fn boolean(&self, key: Key) -> bool {
        matches!(self.effective(key), Some(Effective::Boolean(true)))
    }

    /// The value of a key that is a number; 0 for other keys.
    pub fn integer(&self, key: Key) -> i64 {
        match self.effective(key) {
            Some(Effective::Integer(number)) => *number,
            _ => 0,
        }
    }

    /// The same, with the value that `other` has of a key.
    #[must_use]
    pub fn with(mut self, key: Key, other: &Self) -> Self {
        if let (Some(slot), Some(value)) = (self.values.get_mut(key as usize), other.values.get(key as usize)) {
            slot.clone_from(value);
        }
        self
    }

    /// The line that the value comes from; `None` for a default.
    pub fn line(&self, key: Key) -> Option<usize> {
        self.values.get(key as usize).and_then(|(_, line)| *line)
    }

    /// The value as text.
    pub fn shown(&self, key: Key) -> String {
        match self.effective(key) {
            Some(Effective::Text(text)) => lossy(text.iter().copied()),
            Some(Effective::Boolean(value)) => alloc::format!("{value}"),
            Some(Effective::Integer(number)) => alloc::format!("{number}"),
            None => String::new(),
        }
    }
}
