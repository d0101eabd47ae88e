//! The README: its commands are run, and its table is that of the settings.

use std::fs;

use record::config::{Key, Settings};
use sandbox::project;

use crate::operator::Operator;

/// Its example of a server.
const SERVER: &str = "https://telemetry.example.org/v2/collector";
/// Where somebody who reads it works.
const HOME: &str = "/run/home";

fn readme() -> String {
    fs::read_to_string(project().join("README.md")).unwrap()
}

/// The text between two headings.
fn between<'a>(readme: &'a str, first: &str, end: &str) -> &'a str {
    let start = readme.find(&format!("\n{first}\n")).unwrap_or_else(|| panic!("{first}"));
    let length = readme[start..].find(&format!("\n{end}\n")).unwrap_or_else(|| panic!("{end}"));
    &readme[start..start + length]
}

/// The blocks in a language, in their order.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    text.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_commands_work_one_after_the_other_as_they_stand_there() {
    let operator = Operator::new();
    fs::remove_dir_all(operator.path("/etc/telemetrics")).unwrap();
    operator.script("sudo", "exec \"$@\"");
    let readme = readme().replace(SERVER, &operator.machine.collector.url());
    let used = between(&readme, "## Tell where records go", "## Configuration");
    for (language, name) in [("c", "disk.c"), ("python", "disk.py")] {
        let [program] = blocks(used, language)[..] else { panic!("one program in {language}") };
        assert!(program.lines().next().unwrap().contains(name), "{program}");
        operator.machine.sandbox.write(&format!("{HOME}/{name}"), program);
    }
    let script = format!("set -eux -o pipefail\ncd {HOME}\n{}", blocks(used, "sh").concat());
    let path = "PATH=/run/bin:/usr/local/bin:/usr/bin:/bin";
    let output = operator.command("/usr/bin/env").args([path, "bash", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let mut arrived = [(); 4].map(|()| operator.machine.receive().header("classification").unwrap());
    arrived.sort();
    let sent = [
        "org.clearlinux/heartbeat/ping",
        "org.example/backup/failed",
        "org.example/disk/full",
        "org.example/disk/slow",
    ];
    assert_eq!(arrived, sent, "{said}");
    assert!(said.contains("Removed ") && !operator.path("/var/spool/telemetry").exists(), "{said}");
}

#[test]
fn its_table_names_every_setting_and_its_default() {
    let readme = readme();
    let table = between(&readme, "## Configuration", "## Compared with the C project");
    let rows: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | ")).collect();
    let defaults = Settings::default();
    let expected: Vec<_> = Key::ALL.iter().map(|&key| (key.name(), defaults.shown(key))).collect();
    let found: Vec<_> = rows
        .iter()
        .map(|(name, rest)| (*name, rest.split('|').next().unwrap().trim().trim_matches('`').to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn its_links_lead_somewhere() {
    let readme = readme();
    let targets = readme.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    for target in targets.filter(|target| !target.starts_with('#')) {
        assert!(project().join(target).exists(), "{target}");
    }
}
