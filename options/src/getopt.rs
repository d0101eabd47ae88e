//! Reads words by the rules of getopt_long(3), and writes them in the one form
//! that clap reads the same way: `--name` or `--name=value`.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, ArgAction, Command};

/// What a command line says.
pub(crate) struct Read {
    /// The options before `end`, in the form for clap.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) end: End,
}

/// Where reading ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Asked(Request),
    Misused(Misuse),
}

/// What is done at once, whatever follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// By its letter.
    ShortHelp,
    /// By its name.
    LongHelp,
    Version,
}

/// A word that is no option, in the words of the GNU C library.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misuse {
    UnknownLetter(u8),
    UnknownName(String),
    Ambiguous { word: String, possibilities: Vec<String> },
    LetterWithoutValue(u8),
    NameWithoutValue(String),
    ValueNotTaken(String),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLetter(letter) => write!(f, "invalid option -- '{}'", shown(&[*letter])),
            Self::UnknownName(word) => write!(f, "unrecognized option '--{word}'"),
            Self::Ambiguous { word, possibilities } => {
                write!(f, "option '--{word}' is ambiguous; possibilities:")?;
                possibilities.iter().try_for_each(|name| write!(f, " '--{name}'"))
            }
            Self::LetterWithoutValue(letter) => write!(f, "option requires an argument -- '{}'", shown(&[*letter])),
            Self::NameWithoutValue(name) => write!(f, "option '--{name}' requires an argument"),
            Self::ValueNotTaken(name) => write!(f, "option '--{name}' doesn't allow an argument"),
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads words by what `command`, which must be built, defines.
pub(crate) fn read(command: &Command, words: impl Iterator<Item = OsString>) -> Read {
    let mut reader = Reader { command, words, arguments: Vec::new() };
    let end = reader.read().err().unwrap_or(End::Done);
    Read { arguments: reader.arguments, end }
}

struct Reader<'a, W> {
    command: &'a Command,
    words: W,
    arguments: Vec<OsString>,
}

impl<W: Iterator<Item = OsString>> Reader<'_, W> {
    fn read(&mut self) -> Result<(), End> {
        while let Some(word) = self.words.next() {
            match word.as_bytes() {
                b"--" => break,
                [b'-', b'-', name @ ..] => self.name(name)?,
                [b'-', letters @ ..] => self.letters(letters)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes `name` or `name=value`.
    fn name(&mut self, word: &[u8]) -> Result<(), End> {
        let mut parts = word.splitn(2, |&byte| byte == b'=');
        let start = parts.next().unwrap_or_default();
        let value = parts.next().map(|value| OsString::from_vec(value.to_vec()));
        let (name, argument) = find(self.command, word, start).map_err(End::Misused)?;
        match (argument.get_action().takes_values(), value) {
            (true, Some(value)) => self.take(argument, Some(value), Request::LongHelp),
            (true, None) => {
                let value = self.words.next().ok_or(End::Misused(Misuse::NameWithoutValue(name)))?;
                self.take(argument, Some(value), Request::LongHelp)
            }
            (false, Some(_)) => Err(End::Misused(Misuse::ValueNotTaken(name))),
            (false, None) => self.take(argument, None, Request::LongHelp),
        }
    }

    /// Takes letters that stand together; a value may follow the last.
    fn letters(&mut self, mut letters: &[u8]) -> Result<(), End> {
        while let [letter, rest @ ..] = letters {
            let mut arguments = self.command.get_arguments();
            let argument = arguments
                .find(|argument| argument.get_short() == Some(char::from(*letter)))
                .ok_or(End::Misused(Misuse::UnknownLetter(*letter)))?;
            if argument.get_action().takes_values() {
                let value = if rest.is_empty() { self.words.next() } else { Some(OsString::from_vec(rest.to_vec())) };
                let value = value.ok_or(End::Misused(Misuse::LetterWithoutValue(*letter)))?;
                return self.take(argument, Some(value), Request::ShortHelp);
            }
            self.take(argument, None, Request::ShortHelp)?;
            letters = rest;
        }
        Ok(())
    }

    fn take(&mut self, argument: &Arg, value: Option<OsString>, help: Request) -> Result<(), End> {
        match argument.get_action() {
            ArgAction::HelpLong => return Err(End::Asked(Request::LongHelp)),
            ArgAction::Help => return Err(End::Asked(help)),
            ArgAction::Version => return Err(End::Asked(Request::Version)),
            _ => {}
        }
        let mut word = OsString::from("--");
        word.push(argument.get_long().unwrap_or_default());
        if let Some(value) = value {
            word.push("=");
            word.push(value);
        }
        self.arguments.push(word);
        Ok(())
    }
}

/// The option of this name, or of the only one that starts so.
fn find<'a>(command: &'a Command, word: &[u8], start: &[u8]) -> Result<(String, &'a Arg), Misuse> {
    let mut found = Vec::<(&str, &Arg)>::new();
    for argument in command.get_arguments() {
        for name in argument.get_long().into_iter().chain(argument.get_all_aliases().unwrap_or_default()) {
            if name.as_bytes() == start {
                return Ok((name.to_owned(), argument));
            }
            if name.as_bytes().starts_with(start) {
                found.push((name, argument));
            }
        }
    }
    match found.as_slice() {
        [] => Err(Misuse::UnknownName(shown(word))),
        [(name, first), others @ ..] if others.iter().all(|(_, other)| other.get_id() == first.get_id()) => {
            Ok(((*name).to_owned(), first))
        }
        _ => Err(Misuse::Ambiguous {
            word: shown(word),
            possibilities: found.iter().map(|(name, _)| (*name).to_owned()).collect(),
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn unbuilt() -> Command {
        Command::new("program").version("1.0").args([
            Arg::new("class").short('c').long("class"),
            Arg::new("file").short('f').long("config-file").alias("config_file"),
            Arg::new("payload").short('p').long("payload"),
            Arg::new("payload-file").short('P').long("payload-file"),
            Arg::new("echo").short('o').long("echo").action(ArgAction::SetTrue),
            Arg::new("no-post").short('n').long("no-post").action(ArgAction::SetTrue),
        ])
    }

    fn command() -> Command {
        let mut command = unbuilt();
        command.build();
        command
    }

    /// What is read of words, and the complaint at their end.
    pub(crate) fn read_words_of_a_program_without_help(
        words: impl Iterator<Item = OsString>,
    ) -> (Vec<String>, Option<String>) {
        let mut command = unbuilt().disable_help_flag(true).disable_version_flag(true);
        command.build();
        let read = read(&command, words);
        let complaint = match read.end {
            End::Misused(misuse) => Some(misuse.to_string()),
            _ => None,
        };
        (read.arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect(), complaint)
    }

    fn read_words(words: &[&str]) -> (Vec<String>, End) {
        let read = read(&command(), words.iter().map(OsString::from));
        (read.arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect(), read.end)
    }

    fn read_well(words: &[&str]) -> Vec<String> {
        let (arguments, end) = read_words(words);
        assert_eq!(end, End::Done, "{words:?}");
        arguments
    }

    fn misuse(words: &[&str]) -> String {
        match read_words(words).1 {
            End::Misused(misuse) => misuse.to_string(),
            end => panic!("{words:?}: {end:?}"),
        }
    }

    #[test]
    fn letters_stand_together_and_their_value_with_them_or_behind() {
        assert_eq!(read_well(&["-onc", "a"]), ["--echo", "--no-post", "--class=a"]);
        assert_eq!(read_well(&["-onca"]), ["--echo", "--no-post", "--class=a"]);
        assert_eq!(read_well(&["-p=a"]), ["--payload==a"], "no sign of equality after a letter");
    }

    #[test]
    fn a_name_has_its_value_behind_a_sign_of_equality_or_in_the_next_word() {
        assert_eq!(read_well(&["--class=a=b", "--class", "c", "--class="]), ["--class=a=b", "--class=c", "--class="]);
    }

    #[test]
    fn a_value_may_look_like_an_option() {
        assert_eq!(
            read_well(&["-p", "-h", "-p", "--", "--payload", "-V"]),
            ["--payload=-h", "--payload=--", "--payload=-V"]
        );
    }

    #[test]
    fn a_name_may_be_shortened_as_long_as_one_option_is_meant() {
        assert_eq!(
            read_well(&["--cl=a", "--conf=b", "--config_f=c", "--payload-", "d"]),
            ["--class=a", "--config-file=b", "--config-file=c", "--payload-file=d"]
        );
        assert_eq!(read_well(&["--payload=a"]), ["--payload=a"], "the whole name is not ambiguous");
        assert_eq!(misuse(&["--pay=x"]), "option '--pay=x' is ambiguous; possibilities: '--payload' '--payload-file'");
    }

    #[test]
    fn other_words_are_ignored_wherever_they_stand() {
        assert_eq!(read_well(&["word", "-o", "-", "word", "-n", "--", "-z"]), ["--echo", "--no-post"]);
    }

    #[test]
    fn help_and_version_act_before_what_follows_them() {
        assert_eq!(read_words(&["-o", "-h", "-z"]), (vec!["--echo".to_owned()], End::Asked(Request::ShortHelp)));
        assert_eq!(read_words(&["--help", "-z"]).1, End::Asked(Request::LongHelp));
        assert_eq!(read_words(&["-oV", "--bogus"]), (vec!["--echo".to_owned()], End::Asked(Request::Version)));
        assert_eq!(read_words(&["--vers"]).1, End::Asked(Request::Version));
        assert_eq!(misuse(&["-z", "-h"]), "invalid option -- 'z'");
    }

    #[test]
    fn misuse_is_told_as_by_the_c_library() {
        assert_eq!(misuse(&["-oz"]), "invalid option -- 'z'");
        assert_eq!(misuse(&["--bogus"]), "unrecognized option '--bogus'");
        assert_eq!(misuse(&["--bogus=1"]), "unrecognized option '--bogus=1'");
        assert_eq!(misuse(&["-c"]), "option requires an argument -- 'c'");
        assert_eq!(misuse(&["--cla"]), "option '--class' requires an argument");
        assert_eq!(misuse(&["--echo=1"]), "option '--echo' doesn't allow an argument");
    }
}
