//! The command lines of telem-record-gen and hprobe: what they share, and what
//! they say when they are misused.

use std::os::unix::fs::symlink;

use collector::Collector;
use libtelemetry_acceptance::machine::{Machine, PATIENCE};
use libtelemetry_acceptance::stdout_of;
use sandbox::Sandbox;
use tools_acceptance::{CLASS, HPROBE, RECORD_GEN, Ran, hprobe, payload, record_gen, run};

const PROGRAMS: [&str; 2] = [RECORD_GEN, HPROBE];
const SPELLINGS_OF_F: [&str; 3] = ["-f", "--config_file", "--config-file"];

fn run_program(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> Ran {
    run(sandbox.command(program).args(arguments))
}

#[test]
fn the_version_is_printed_bare() {
    let sandbox = Sandbox::new();
    for program in PROGRAMS {
        for option in ["-V", "--version", "--vers"] {
            let version = format!("{}\n", env!("CARGO_PKG_VERSION"));
            assert_eq!(run_program(&sandbox, program, &[option]), Ran::well(&version), "{program} {option}");
        }
    }
}

#[test]
fn help_goes_to_standard_output() {
    let sandbox = Sandbox::new();
    for program in PROGRAMS {
        for option in ["-h", "--help"] {
            let ran = run_program(&sandbox, program, &[option]);
            assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{program} {option}");
            assert!(ran.out.contains("Usage: "), "{}", ran.out);
        }
    }
}

/// T9: the help of the C programs named options that they did not know.
#[test]
fn t9_every_option_that_the_help_names_is_known() {
    let sandbox = Sandbox::new();
    for program in PROGRAMS {
        let help = run_program(&sandbox, program, &["--help"]).out;
        let names: Vec<&str> = help
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix('-')?.split("--").nth(1))
            .map(|rest| rest.split(|c: char| c.is_whitespace()).next().unwrap())
            .collect();
        assert!(names.contains(&"config-file") && names.contains(&"version"), "{names:?}");
        for name in names {
            // What takes a value misses it, what takes none complains of one.
            let ran = run_program(&sandbox, program, &[&format!("--{name}"), "--help"]);
            assert!(!ran.err.contains("unrecognized option"), "{program} --{name}: {}", ran.err);
        }
    }
}

#[test]
fn t9_both_spellings_of_the_configuration_file_are_known_and_the_daemon_uses_it_too() {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    let other = Collector::start().unwrap();
    machine.sandbox.write("/etc/other.conf", format!("[settings]\nserver={}\n", other.url()));
    for spelling in SPELLINGS_OF_F {
        let ran = run(&mut record_gen(&machine.sandbox, ["-c", CLASS, "-p", spelling, spelling, "/etc/other.conf"]));
        assert_eq!(ran, Ran::well(""));
        assert_eq!(payload(&other.received().recv_timeout(PATIENCE).unwrap()), spelling.as_bytes());
        let ran = run(&mut hprobe(&machine.sandbox, &[spelling, "/etc/other.conf"]));
        assert_eq!(ran, Ran::well("Successfully sent record to daemon.\n"));
        assert_eq!(payload(&other.received().recv_timeout(PATIENCE).unwrap()), b"hello\n");
    }
}

#[test]
fn a_configuration_file_must_be_an_existing_regular_file_with_an_absolute_path() {
    let sandbox = Sandbox::new();
    for program in PROGRAMS {
        for path in ["", "telemetrics.conf", "/etc/missing.conf", "/etc", "/dev/null"] {
            for spelling in SPELLINGS_OF_F {
                let ran = run_program(&sandbox, program, &[spelling, path, "-V"]);
                assert_eq!(ran, Ran::badly("Configuration file path not valid"), "{program} {spelling} {path:?}");
            }
        }
    }
}

#[test]
fn a_configuration_file_may_be_a_symbolic_link_and_is_not_read_before_sending() {
    let sandbox = Sandbox::new();
    sandbox.write("/etc/malformed.conf", "no section\n");
    symlink("malformed.conf", sandbox.path("/etc/link.conf")).unwrap();
    let ran = run(&mut record_gen(&sandbox, ["-f", "/etc/link.conf", "-n", "-c", CLASS, "-p", "x"]));
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
}

#[test]
fn misuse_is_told_in_the_words_of_getopt() {
    let sandbox = Sandbox::new();
    let complaints = [
        ("-z", "invalid option -- 'z'"),
        ("--bogus", "unrecognized option '--bogus'"),
        ("-f", "option requires an argument -- 'f'"),
        ("--config-file", "option '--config-file' requires an argument"),
        ("--help=me", "option '--help' doesn't allow an argument"),
        ("--=", "option '--=' is ambiguous; possibilities:"),
    ];
    for (word, complaint) in complaints {
        let ran = run_program(&sandbox, HPROBE, &[word]);
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{word}");
        assert!(ran.err.starts_with(&format!("{HPROBE}: {complaint}")), "{}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "hprobe prints no usage: {}", ran.err);
    }
    let ran = run_program(&sandbox, RECORD_GEN, &["-r"]);
    let hint = "Try 'telem-record-gen --help' for more information.";
    assert_eq!(ran, Ran::badly(&format!("{RECORD_GEN}: invalid option -- 'r'\n{hint}")));
}

#[test]
fn the_name_in_a_complaint_is_the_one_that_the_program_was_called_by() {
    let sandbox = Sandbox::new();
    let mut bash = sandbox.command("bash");
    bash.args(["-c", "exec -a another-name \"$1\" -z", "bash", HPROBE]);
    assert_eq!(run(&mut bash), Ran::badly("another-name: invalid option -- 'z'"));
}

/// T10: the C program went on and sent a record without the option meant.
#[test]
fn t10_after_a_mistyped_option_nothing_is_sent() {
    let machine = Machine::new();
    let _telemd = machine.sandbox.start_telemd();
    for typo in [["-S", "4"], ["--sevrity", "4"], ["--echo=1", ""], ["-z", ""]] {
        let ran = run(record_gen(&machine.sandbox, ["-c", CLASS, "-p", "typo"]).args(typo));
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{typo:?}");
        assert!(ran.err.starts_with(&format!("{RECORD_GEN}: ")) && ran.err.contains("--help"), "{}", ran.err);
    }
    assert_eq!(run(&mut hprobe(&machine.sandbox, &["-Hz"])).status, 1);
    assert_eq!(run(&mut record_gen(&machine.sandbox, ["-c", CLASS, "-p", "well"])), Ran::well(""));
    assert_eq!(payload(&machine.receive()), b"well", "the first record that arrives");
}

#[test]
fn options_stand_together_are_shortened_repeated_and_mixed_with_other_words() {
    let sandbox = Sandbox::new();
    let words = ["word", "--cl=a/b/c", "-ns4", "-c", CLASS, "other", "--pay", "x", "--", "-z"];
    let ran = run(&mut record_gen(&sandbox, words));
    assert_eq!(ran.status, 1, "--pay is ambiguous");
    assert!(
        ran.err.contains("option '--pay' is ambiguous; possibilities: '--payload' '--payload-file'"),
        "{}",
        ran.err
    );
    let words = ["word", "--cl=a/b/c", "-ns4", "-c", CLASS, "other", "--payload", "-s", "--", "-z"];
    let ran = run(&mut record_gen(&sandbox, words));
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains(&format!("classification: {CLASS}\nseverity: 4\n")), "{}", ran.out);
    assert!(ran.out.ends_with("\n-s\n"), "a payload may look like an option: {}", ran.out);
}

#[test]
fn help_and_version_act_the_moment_they_are_met() {
    let sandbox = Sandbox::new();
    let version = format!("{}\n", env!("CARGO_PKG_VERSION"));
    let ran = |words: &[&str]| run(&mut record_gen(&sandbox, words));
    assert_eq!(ran(&["-V", "--bogus", "-s", "x"]), Ran::well(&version));
    assert_eq!(ran(&["-s", "x", "-V"]), Ran::badly("Invalid severity number. Must be an integer"));
    assert_eq!(ran(&["-c", "not valid", "-V"]), Ran::well(&version), "the class is judged later");
}

/// All use the library that is installed with them.
#[test]
fn the_programs_need_the_shared_library_and_the_c_library() {
    for program in ["telem-record-gen", "telemctl", "hprobe"] {
        let path = sandbox::installation().join("bin").join(program);
        let dynamic = stdout_of(std::process::Command::new("readelf").args(["-W", "--dynamic"]).arg(path));
        let mut needed: Vec<&str> = dynamic
            .lines()
            .filter(|line| line.contains("(NEEDED)"))
            .map(|line| line.split(['[', ']']).nth(1).unwrap())
            .collect();
        needed.sort_unstable();
        assert_eq!(needed, ["libc.so.6", "libgcc_s.so.1", "libtelemetry.so.4"], "{program}");
    }
}

#[test]
fn bash_completes_the_options() {
    let directory = sandbox::installation().join("share/bash-completion/completions");
    let complete = |program: &str, word: &str| {
        let script = format!(
            "source {}; COMP_WORDS=({program} {word}); COMP_CWORD=1\n\
             $(complete -p {program} | sed 's/.*-F \\([^ ]*\\).*/\\1/') {program} {word} {program}; \
             echo \"${{COMPREPLY[@]}}\"",
            directory.join(program).display()
        );
        stdout_of(std::process::Command::new("bash").args(["-c", &script]))
    };
    assert_eq!(complete("telem-record-gen", "--pay"), "--payload --payload-file\n");
    assert_eq!(complete("hprobe", "--h"), "--heartbeat --help\n");
}
