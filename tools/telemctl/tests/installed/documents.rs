//! What is installed beside the program: manual pages and completions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sandbox::installation;

use crate::operator::Operator;

fn completion(path: &str) -> PathBuf {
    let path = installation().join("share").join(path);
    assert!(path.is_file(), "{}", path.display());
    path
}

#[test]
fn bash_completes_commands_and_options() {
    let file = completion("bash-completion/completions/telemctl");
    let script = format!(
        "source {} && COMP_WORDS=(telemctl \"$@\") COMP_CWORD=$# && _telemctl telemctl \"${{!#}}\" telemctl && \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    let complete = |words: &[&str]| {
        let output = Command::new("bash").args(["-c", &script, "bash"]).args(words).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete(&["op"]), "opt-in\nopt-out\n");
    assert_eq!(complete(&["rejected", "re"]), "retry\n");
    assert_eq!(complete(&["journal", "--cl"]), "--classification\n");
    let journal = completion("bash-completion/completions/telem_journal");
    assert!(Command::new("bash").arg("-n").arg(journal).status().unwrap().success());
}

#[test]
fn completions_of_other_shells_are_accepted_where_they_are_installed() {
    for (shell, files) in [
        ("zsh", ["zsh/site-functions/_telemctl", "zsh/site-functions/_telem_journal"]),
        ("fish", ["fish/vendor_completions.d/telemctl.fish", "fish/vendor_completions.d/telem_journal.fish"]),
    ] {
        for file in files.map(completion) {
            match Command::new(shell).arg("-n").arg(&file).output() {
                Ok(output) => assert!(output.status.success(), "{}: {output:?}", file.display()),
                Err(_) => println!("{shell} is not installed"),
            }
        }
    }
}

#[test]
fn the_reader_of_the_journal_is_the_same_program() {
    assert_eq!(fs::read_link(installation().join("bin/telem_journal")).unwrap(), Path::new("telemctl"));
    // Under whatever name it is called, a command of telemctl is none of it.
    let operator = Operator::new();
    assert_eq!(operator.telem_journal(&["status"]).all(), (0, "", ""));
}

/// Every way to end that the page promises is one that a test here has seen.
#[test]
fn the_manual_page_names_every_exit_status() {
    let page = fs::read_to_string(installation().join("share/man/man1/telemctl.1")).unwrap();
    let section = page.split(".SH \"EXIT STATUS\"\n").nth(1).or(page.split(".SH EXIT STATUS\n").nth(1)).unwrap();
    let section: String = section.split(".SH ").next().unwrap().replace('\n', " ");
    for said in [
        " 0 Success",
        " 1 Failure",
        " 2 The command line",
        " 141 Nobody reads",
        "else 3",
        "gives 3 if telemetry is not switched on",
        "4 if the configuration is wrong, or if the last error or refusal is newer",
        "3 this machine is not opted in",
        "4 nobody listens",
        "5 telemd did not take it",
        "6 it waits",
        "7 the server rejected it",
        "8 delivery is switched off",
        "9 a rate limit",
    ] {
        assert!(section.contains(said), "{said}: {section}");
    }
}
