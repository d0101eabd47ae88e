//! What is made from the command lines of the tools: manual pages, and
//! completions of shells.

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::root;

/// The shells, and the names that they look for.
const SHELLS: [(Shell, &str, &str); 3] =
    [(Shell::Bash, "", ".bash"), (Shell::Zsh, "_", ""), (Shell::Fish, "", ".fish")];

/// Every file of the tools.
pub(crate) fn files() -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for command in [telemctl::command_line::telemctl(), telemctl::command_line::telem_journal()] {
        let name = command.get_name().to_owned();
        files.push((format!("man1/{name}.1"), manual(&command)?));
        for (shell, before, after) in SHELLS {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command.clone(), name.as_str(), &mut text);
            files.push((format!("packaging/completions/{before}{name}{after}"), String::from_utf8(text)?));
        }
    }
    Ok(files)
}

/// A manual page: the commands and their options replace a line of the written
/// part.
fn manual(command: &Command) -> Result<String> {
    let name = command.get_name();
    let path = root().join(format!("man1/{name}.1.in"));
    let written = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut command = command.clone();
    command.build();
    let mut text = String::new();
    if command.has_subcommands() {
        for sub in leaves(&command) {
            let man = Man::new(sub.clone());
            text += &format!(".SS \"{}\"\n", synopsis(sub).replace('-', "\\-"));
            text += &section(|out| man.render_description_section(out), "DESCRIPTION")?;
            if sub.get_arguments().any(|argument| !argument.is_hide_set()) {
                text += &section(|out| man.render_options_section(out), "OPTIONS")?;
            }
        }
    } else {
        text = section(|out| Man::new(command.clone()).render_options_section(out), "OPTIONS")?;
    }
    Ok(written.replace("@COMMANDS@\n", &text))
}

/// The commands that do something.
fn leaves(command: &Command) -> Vec<&Command> {
    let of = |sub| if Command::has_subcommands(sub) { leaves(sub) } else { vec![sub] };
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).flat_map(of).collect()
}

/// `telemctl spool show ID`
fn synopsis(command: &Command) -> String {
    let mut words = vec![command.get_bin_name().unwrap_or_default().to_owned()];
    if command.get_arguments().any(|argument| !argument.is_positional() && !argument.is_hide_set()) {
        words.push("[OPTIONS]".to_owned());
    }
    for operand in command.get_positionals().filter(|operand| !operand.is_hide_set()) {
        let name = operand.get_value_names().unwrap_or_default().join(" ");
        words.push(if operand.is_required_set() { name } else { format!("[{name}]...") });
    }
    words.join(" ")
}

/// A section without its heading.
fn section(render: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>, heading: &str) -> Result<String> {
    let mut out = Vec::new();
    render(&mut out)?;
    let text = String::from_utf8(out)?;
    let body = text.split_once(&format!(".SH {heading}\n")).map_or(text.as_str(), |(_, body)| body);
    // The definition of this string stands before the first section.
    Ok(body.replace("\\*(Aq", "\\(aq"))
}
