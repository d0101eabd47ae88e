//! The part of a manual page that is about the commands of a program and their
//! options.

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;

/// A section for each command; only the options, if there are no commands.
pub(crate) fn manual(program: &Command) -> Result<String> {
    let mut program = program.clone();
    program.build();
    if !program.has_subcommands() {
        return section(|out| Man::new(program).render_options_section(out), "OPTIONS");
    }
    let mut text = String::new();
    for command in leaves(&program) {
        let man = Man::new(command.clone());
        text += &format!(".SS \"{}\"\n", synopsis(command).replace('-', "\\-"));
        text += &section(|out| man.render_description_section(out), "DESCRIPTION")?;
        if command.get_arguments().any(|argument| !argument.is_hide_set()) {
            text += &section(|out| man.render_options_section(out), "OPTIONS")?;
        }
    }
    Ok(text)
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
