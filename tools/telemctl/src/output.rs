//! The standard output stream.
//!
//! What comes from records was written by any program of the machine. To a
//! terminal, its control characters are shown and not obeyed; everywhere else
//! it goes as it is.

use std::env;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use clap::builder::styling::{AnsiColor, Style};

/// What a word means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// All is well.
    Good,
    /// Something to know.
    Notable,
    /// Something to act on.
    Bad,
}

/// Where all output of a command goes.
pub(crate) struct Output {
    stream: BufWriter<StdoutLock<'static>>,
    is_terminal: bool,
    has_colours: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        let stream = io::stdout().lock();
        let is_terminal = stream.is_terminal();
        let is_set = |variable| env::var_os(variable).is_some_and(|value| !value.is_empty());
        let has_colours = is_terminal && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { stream: BufWriter::new(stream), is_terminal, has_colours }
    }

    /// Writes what somebody else chose.
    pub(crate) fn foreign(&mut self, text: &[u8]) -> io::Result<()> {
        match self.is_terminal {
            true => self.write_all(visible(text).as_bytes()),
            false => self.write_all(text),
        }
    }

    /// Writes a line, or several, of JSON. Its strings may have what no control
    /// character of ASCII is, and terminals act on all the same.
    pub(crate) fn json(&mut self, text: &str) -> io::Result<()> {
        match self.is_terminal {
            true => writeln!(self, "{}", visible_json(text)),
            false => writeln!(self, "{text}"),
        }
    }

    /// A text in the colour of its mood, if there are colours.
    pub(crate) fn coloured(&self, mood: Mood, text: impl Display) -> String {
        let colour = match mood {
            Mood::Good => AnsiColor::Green,
            Mood::Notable => AnsiColor::Yellow,
            Mood::Bad => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(colour.into()));
        match self.has_colours {
            true => format!("{style}{text}{style:#}"),
            false => text.to_string(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Control characters other than newlines and tabs, in a form that a terminal
/// does not act on. Of bytes that are no ASCII, those of well-formed UTF-8
/// stay.
pub(crate) fn visible(text: &[u8]) -> String {
    let mut shown = String::new();
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            character if character.is_control() => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}

/// JSON of the same meaning without DEL and the control characters of 8 bits.
fn visible_json(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        match character {
            '\u{7f}'..='\u{9f}' => shown.push_str(&format!("\\u{:04x}", u32::from(character))),
            character => shown.push(character),
        }
    }
    shown
}

/// The same for a line: it stays one.
pub(crate) fn one_line(text: &[u8]) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// `1 record`, `2 records`.
pub(crate) fn records(count: u64) -> String {
    format!("{count} {}", if count == 1 { "record" } else { "records" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_told_what_to_do_by_a_record() {
        assert_eq!(visible(b"a\tb\n\x1b[2J\x07\x7f\r\xff"), "a\tb\n\\u{1b}[2J\\u{7}\\u{7f}\\r\u{fffd}");
        assert_eq!(visible("gr\u{fc}n \u{9b}1m".as_bytes()), "gr\u{fc}n \\u{9b}1m");
        assert_eq!(one_line(b"a\nb\tc"), "a b c");
    }

    #[test]
    fn json_on_a_terminal_has_no_control_characters_and_the_same_meaning() {
        let text = "a\u{7f}\u{9b}2J\u{85}gr\u{fc}n\u{a0}\u{1b}";
        let shown = visible_json(&serde_json::to_string(text).unwrap());
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
