//! What getopt_long(3) says of a bad option, for the commands that the C tools
//! had: scripts know these words.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The message, without its newline; `None`: help was asked for.
pub(crate) fn message(program: &str, error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let option = context(ContextKind::InvalidArg);
    let said = match error.kind() {
        ErrorKind::DisplayHelp => return None,
        ErrorKind::UnknownArgument => match short_of(&option) {
            Some(letter) => format!("invalid option -- '{letter}'"),
            None => format!("unrecognized option '{option}'"),
        },
        // A value is missing only behind the last word.
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            let last = arguments.last().map(|last| last.as_bytes()).unwrap_or_default();
            match last.starts_with(b"--") {
                true => format!("option '{}' requires an argument", long_of(&option)),
                false => {
                    let letter = last.last().copied().map_or(' ', char::from);
                    format!("option requires an argument -- '{letter}'")
                }
            }
        }
        ErrorKind::TooManyValues => format!("option '{}' doesn't allow an argument", long_of(&option)),
        ErrorKind::ValueValidation => match std::error::Error::source(error) {
            Some(reason) => format!("option '{}': {reason}", long_of(&option)),
            None => format!("option '{}': wrong value", long_of(&option)),
        },
        _ => error.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    Some(format!("{program}: {said}"))
}

/// The letter of `-z`.
fn short_of(option: &str) -> Option<char> {
    option.strip_prefix('-').filter(|rest| !rest.starts_with('-')).and_then(|rest| rest.chars().next())
}

/// `--record_id` of `--record_id <ID>`.
fn long_of(option: &str) -> &str {
    option.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_line::telem_journal;

    fn said(arguments: &[&str]) -> Option<String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let words = [OsString::from("prog")].into_iter().chain(arguments.clone());
        let error = telem_journal().try_get_matches_from(words).err()?;
        message("prog", &error, &arguments)
    }

    #[test]
    fn bad_options_are_named_as_getopt_names_them() {
        for (arguments, expected) in [
            (vec!["-z"], "prog: invalid option -- 'z'"),
            (vec!["-Vz"], "prog: invalid option -- 'z'"),
            (vec!["-V5"], "prog: invalid option -- '5'"),
            (vec!["--bogus"], "prog: unrecognized option '--bogus'"),
            (vec!["--bogus=1"], "prog: unrecognized option '--bogus'"),
            (vec!["-r"], "prog: option requires an argument -- 'r'"),
            (vec!["-Vir"], "prog: option requires an argument -- 'r'"),
            (vec!["--event_id"], "prog: option '--event_id' requires an argument"),
            (vec!["--event"], "prog: option '--event_id' requires an argument"),
            (vec!["--verbose=1"], "prog: option '--verbose' doesn't allow an argument"),
        ] {
            assert_eq!(said(&arguments).as_deref(), Some(expected), "{arguments:?}");
        }
        assert!(said(&["--since", "soon"]).unwrap().starts_with("prog: option '--since': \"soon\" is neither"));
        assert_eq!(said(&["-h", "-z"]), None, "the first counts");
        assert_eq!(said(&["-z", "-h"]).as_deref(), Some("prog: invalid option -- 'z'"));
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        let parsed = |arguments: &[&str]| {
            let words = ["prog"].iter().chain(arguments);
            telem_journal().try_get_matches_from(words).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
        };
        let event = |arguments: &[&str]| {
            parsed(arguments).get_one::<OsString>("event_id").map(|id| id.to_string_lossy().into_owned())
        };
        for arguments in [
            vec!["-ex"],
            vec!["-e", "x"],
            vec!["-Viex"],
            vec!["--event_id=x"],
            vec!["--event_id", "x"],
            vec!["--eve", "x"],
            vec!["word", "-e", "x", "more words"],
            vec!["-e", "y", "-e", "x"],
            vec!["-V", "-V", "--event-id", "x"],
        ] {
            assert_eq!(event(&arguments).as_deref(), Some("x"), "{arguments:?}");
        }
        assert_eq!(event(&["-e", "-V"]).as_deref(), Some("-V"), "the next word is the value, whatever it is");
        assert_eq!(event(&["-e", ""]).as_deref(), Some(""));
        assert_eq!(event(&["--event_id="]).as_deref(), Some(""));
    }
}
