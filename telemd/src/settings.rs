//! Which configuration file is read, and what comes of it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use record::config::{ConfigError, FILE_MAX, Key, Settings, Warning};
use record::paths;
use thiserror::Error;

use crate::{files, log};

/// Why there are no settings.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file exists, or was chosen, and cannot be read.
    #[error("{}: cannot be read: {error}", file.display())]
    Unreadable {
        /// Its path.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file that was chosen is none.
    #[error("{}: not an absolute path of a regular file", file.display())]
    NotAFile {
        /// Its path.
        file: PathBuf,
    },
    /// The content is not accepted.
    #[error("{}:{error}", file.display())]
    Wrong {
        /// The path of the file.
        file: PathBuf,
        /// The line, and what is wrong with it.
        error: ConfigError,
    },
}

/// Settings, and where they come from.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The file that was read; `None`: there is none, and all are defaults.
    pub file: Option<PathBuf>,
    /// What is in effect.
    pub settings: Settings,
    /// What was put right.
    pub warnings: Vec<Warning>,
}

impl Loaded {
    /// Where all of it comes from.
    pub fn origin(&self) -> String {
        self.file.as_ref().map_or("the built-in defaults".to_owned(), |file| file.display().to_string())
    }

    /// Where a setting comes from: a line of a file, or `default`.
    pub fn source(&self, key: Key) -> String {
        match (&self.file, self.settings.line(key)) {
            (Some(file), Some(line)) => format!("{}:{line}", file.display()),
            _ => "default".to_owned(),
        }
    }
}

/// Reads the file that was chosen, or else the first that exists of the
/// administrator's and the distribution's. Logs the warnings.
pub(crate) fn load(chosen: Option<&Path>) -> Result<Settings, SettingsError> {
    load_with_file(chosen).map(|loaded| loaded.settings)
}

/// The same, with the file.
pub(crate) fn load_with_file(chosen: Option<&Path>) -> Result<Loaded, SettingsError> {
    let loaded = read_settings(chosen)?;
    for warning in &loaded.warnings {
        log::warning(format_args!("{}:{warning}", loaded.origin()));
    }
    Ok(loaded)
}

/// The same, for who has another place for the warnings.
pub fn read_settings(chosen: Option<&Path>) -> Result<Loaded, SettingsError> {
    let Some((file, content)) = find(chosen)? else { return Ok(Loaded::default()) };
    match Settings::read(&content) {
        Ok((settings, warnings)) => Ok(Loaded { file: Some(file), settings, warnings }),
        Err(error) => Err(SettingsError::Wrong { file, error }),
    }
}

/// A value that is a path.
pub fn path(settings: &Settings, key: Key) -> &Path {
    Path::new(OsStr::from_bytes(settings.text(key)))
}

fn find(chosen: Option<&Path>) -> Result<Option<(PathBuf, Vec<u8>)>, SettingsError> {
    if let Some(file) = chosen {
        let is_file = |metadata: fs::Metadata| file.is_absolute() && metadata.is_file();
        return match fs::metadata(file).map(is_file) {
            Ok(true) => read(file).map(Some),
            Ok(false) => Err(SettingsError::NotAFile { file: file.to_owned() }),
            Err(error) => Err(SettingsError::Unreadable { file: file.to_owned(), error }),
        };
    }
    for file in [paths::CONFIG, paths::DEFAULT_CONFIG] {
        match read(Path::new(file)) {
            Err(SettingsError::Unreadable { error, .. }) if is_absence(&error) => {}
            result => return result.map(Some),
        }
    }
    Ok(None)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read(file: &Path) -> Result<(PathBuf, Vec<u8>), SettingsError> {
    match files::read_regular(file, FILE_MAX) {
        Ok(content) => Ok((file.to_owned(), content)),
        Err(error) => Err(SettingsError::Unreadable { file: file.to_owned(), error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c11_the_chosen_file_counts_and_errors_name_file_line_and_key() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("telemetrics.conf");
        fs::write(&file, "[settings]\nsocket_path=/chosen\n").unwrap();
        assert_eq!(path(&load(Some(&file)).unwrap(), Key::SocketPath), Path::new("/chosen"));

        fs::write(&file, "[settings]\n\nrecord_expiry=abc\n").unwrap();
        let message = load(Some(&file)).unwrap_err().to_string();
        assert!(
            message.ends_with("telemetrics.conf:3: record_expiry: expected minutes as an integer, got \"abc\""),
            "{message}"
        );
    }

    #[test]
    fn a_chosen_file_must_be_an_absolute_path_of_a_regular_file() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(load(Some(directory.path())), Err(SettingsError::NotAFile { .. })));
        assert!(matches!(load(Some(Path::new("Cargo.toml"))), Err(SettingsError::NotAFile { .. })));
        let missing = directory.path().join("missing");
        assert!(matches!(load(Some(&missing)), Err(SettingsError::Unreadable { .. })));
    }
}
