//! `config`: every setting with the place that it comes from, and whether all
//! of them can be used.

use std::io::{self, Write};
use std::process::ExitCode;

use record::config::Key;
use serde::Serialize;
use telemd::settings::{self, Loaded};
use telemd::transport;

use crate::command_line::ConfigOptions;
use crate::failure::Failure;
use crate::output::{Output, one_line};

/// What is printed for programs.
#[derive(Serialize)]
struct Object {
    file: Option<String>,
    warnings: Vec<String>,
    settings: Vec<Setting>,
}

#[derive(Serialize)]
struct Setting {
    key: &'static str,
    value: String,
    /// `None`: it is the default.
    line: Option<usize>,
}

/// Shows or checks the settings. Its status tells whether they can be used.
pub(crate) fn run(options: &ConfigOptions, out: &mut Output) -> Result<ExitCode, Failure> {
    let loaded = settings::read_settings(options.config_file.as_deref()).map_err(Failure::new)?;
    let mut warnings: Vec<String> =
        loaded.warnings.iter().map(|warning| format!("{}:{warning}", loaded.origin())).collect();
    let problem = transport::check(&loaded).err();
    warnings.extend(problem.clone());
    if options.json {
        let setting =
            |key: Key| Setting { key: key.name(), value: loaded.settings.shown(key), line: loaded.settings.line(key) };
        let file = loaded.file.as_ref().map(|file| file.display().to_string());
        let object = Object { file, warnings, settings: Key::ALL.map(setting).into() };
        out.json(&serde_json::to_string_pretty(&object).map_err(io::Error::from)?)?;
    } else {
        for warning in &warnings {
            eprintln!("{warning}");
        }
        match (options.check, &problem) {
            (true, None) => writeln!(out, "{}: can be used", loaded.origin())?,
            (true, Some(_)) => {}
            (false, _) => print(&loaded, out)?,
        }
    }
    Ok(ExitCode::from(u8::from(problem.is_some())))
}

fn print(loaded: &Loaded, out: &mut Output) -> io::Result<()> {
    for key in Key::ALL {
        let value = one_line(loaded.settings.shown(key).as_bytes());
        // A comment is a line of its own: what is printed can stand in a file.
        writeln!(out, "# {}\n{}={value}", loaded.source(key), key.name())?;
    }
    Ok(())
}
