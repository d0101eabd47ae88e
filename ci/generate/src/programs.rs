//! Manual pages and shell completions, from the options of the programs.

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{commands, root};

/// The programs for people and scripts.
fn programs() -> [Command; 4] {
    [
        telem_record_gen::CommandLine::command(),
        telemctl::command_line::telemctl(),
        telemctl::command_line::telem_journal(),
        hprobe::CommandLine::command(),
    ]
}

/// Their generated files.
pub(crate) fn files() -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for program in programs() {
        files.push((format!("man1/{}.1", program.get_name()), manual(&program)?));
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            files.push(completion(program.clone(), shell)?);
        }
    }
    Ok(files)
}

/// The manual page: sections about the options replace lines of the written
/// part.
fn manual(program: &Command) -> Result<String> {
    let name = program.get_name();
    let path = root().join(format!("man1/{name}.1.in"));
    let mut page = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let man = Man::new(program.clone()).date(DATE).source("telemetry").manual("General Commands Manual");
    type Render = fn(&Man, &mut dyn std::io::Write) -> std::io::Result<()>;
    let sections: [(&str, Render); 3] = [
        ("@TITLE@\n", Man::render_title),
        ("@SYNOPSIS@\n", Man::render_synopsis_section),
        ("@OPTIONS@\n", Man::render_options_section),
    ];
    for (place, render) in sections {
        let mut text = Vec::new();
        render(&man, &mut text)?;
        page = page.replace(place, &String::from_utf8(text)?);
    }
    Ok(page.replace("@COMMANDS@\n", &commands::manual(program)?))
}

/// As in the pages that are written by hand.
const DATE: &str = "November 20, 2026";

fn completion(mut program: Command, shell: Shell) -> Result<(String, String)> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, &name, &mut script);
    let file = match shell {
        Shell::Zsh => format!("completions/zsh/_{name}"),
        Shell::Fish => format!("completions/fish/{name}.fish"),
        _ => format!("completions/bash/{name}"),
    };
    Ok((file, String::from_utf8(script)?))
}
