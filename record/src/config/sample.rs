//! The texts that are made from the table of keys: the sample file and the
//! list of keys of the manual page.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::SECTION;
use super::key::{Default, Key, Kind, OutOfRange, Range};
use super::settings::Settings;

/// The configuration file that a distribution installs: every key with its
/// meaning and default, commented out.
pub fn sample_file() -> String {
    let mut file = format!(
        "# Configuration of telemetry, see telemetrics.conf(5).\n\
         #\n\
         # Every assignment below shows a default. To change one, copy this file to\n\
         # {}\n\
         # and edit the copy: it is then the only file that is read.\n\
         \n\
         [{SECTION}]\n",
        crate::paths::CONFIG
    );
    let defaults = Settings::default();
    for key in Key::ALL {
        file += "\n";
        for line in wrapped(&[key.meaning(), &accepted(key)].join(" "), 77) {
            file += &format!("# {line}\n");
        }
        file += &format!("#{}={}\n", key.name(), escaped(&defaults.shown(key)));
    }
    file
}

/// The keys as an mdoc(7) list.
pub fn manual_entries() -> String {
    let mut list = String::from(".Bl -tag -width Ds\n");
    let defaults = Settings::default();
    for key in Key::ALL {
        list += &format!(".It Ic {}\n", key.name());
        for line in sentences(&[key.meaning(), &accepted(key)].join(" ")).flat_map(|sentence| wrapped(sentence, 78)) {
            list += &format!("{line}\n");
        }
        match defaults.shown(key).as_str() {
            "" => list += "Default: empty.\n",
            default => {
                list += &format!("Default:\n.Ql {}\n", escaped(default).replace('\\', "\\e").replace('-', "\\-"))
            }
        }
    }
    list + ".El\n"
}

/// What a value may be, in a sentence.
fn accepted(key: Key) -> String {
    match key.kind() {
        Kind::Text => String::new(),
        Kind::Path => String::from("An absolute path."),
        Kind::Choice(words) => format!("One of: {}.", words.join(", ")),
        Kind::Boolean => String::from("true or false."),
        Kind::Integer(range) => format!("{}{}", unit(key), limits(range)),
    }
}

fn unit(key: Key) -> String {
    match key.default() {
        Default::Integer(_, unit) => format!("Unit: {unit}."),
        Default::Text(_) | Default::Boolean(_) => String::new(),
    }
}

fn limits(range: &Range) -> String {
    match (range.min, range.max) {
        (min @ 1.., max) => format!(" {min} to {max}; a number outside becomes the nearest of these."),
        (0, max) if range.above == OutOfRange::Default => format!(" 0 to {max}; another number gives the default."),
        (0, max) if range.above == OutOfRange::Clamp && max < i64::MAX / 60 => {
            format!(" 0 to {max}; a number outside becomes the nearest of these.")
        }
        (0, _) => String::from(" Not negative."),
        _ => String::new(),
    }
}

/// A value as it must stand in a file: blanks protected.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(' ', "\\s")
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(". ").map(str::trim).filter(|sentence| !sentence.is_empty())
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(core::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}
