//! The headers that describe the host, on hosts that a test makes.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use libtelemetry_acceptance::{Program, stdout_of, succeed};
use sandbox::Sandbox;

fn program() -> Program {
    Program::compile("headers.c")
}

fn headers(command: &mut Command) -> HashMap<String, String> {
    let output = stdout_of(command.stdin(Stdio::null()));
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    output.lines().map(pair).collect()
}

/// A host with these files instead of `/sys` and `/proc/cpuinfo`.
fn host(dmi: &[(&str, &str)], cpuinfo: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("/sys")).unwrap();
    for (file, content) in dmi {
        sandbox.write(&format!("/sys/class/dmi/id/{file}"), content);
    }
    sandbox.write("/cpuinfo", cpuinfo);
    sandbox.mount("/sys", "/sys");
    sandbox.mount("/cpuinfo", "/proc/cpuinfo");
    sandbox
}

#[test]
fn facts_come_from_their_files() {
    let dmi = [
        ("sys_vendor", "ACME Inc.\n"),
        ("product_name", "Box\n"),
        ("product_version", "1.0\n"),
        ("board_name", "B1\n"),
        ("board_vendor", "ACME\n"),
        ("bios_version", "F1\n"),
    ];
    let sandbox = host(&dmi, "processor\t: 0\nmodel name\t: Demo CPU\n");
    sandbox.write("/etc/os-release", "ID=exampleos\nVARIANT_ID=server\nVERSION_ID=\"42\"\n");
    let headers = headers(&mut sandbox.command(&program().path));
    assert_eq!(headers["host_type"], "ACME Inc.|Box|1.0");
    assert_eq!(headers["board_name"], "B1|ACME");
    assert_eq!(headers["bios_version"], "F1");
    assert_eq!(headers["cpu_model"], "Demo CPU");
    assert_eq!(headers["system_name"], "exampleos_server");
    assert_eq!(headers["build"], "42");
    let uname = |option| stdout_of(Command::new("uname").arg(option)).trim().to_owned();
    assert_eq!(headers["arch"], uname("-m"));
    assert_eq!(headers["kernel_version"], uname("-r"));
}

#[test]
fn a_machine_without_dmi_says_which_files_are_missing() {
    let headers = headers(&mut host(&[], "").command(&program().path));
    assert_eq!(headers["host_type"], "no_sv_file|no_pn_file|no_pvr_file");
    assert_eq!(headers["board_name"], "no_bn_file|no_bv_file");
    assert_eq!(headers["bios_version"], "no_bv_file");
}

#[test]
fn a15_os_release_may_be_a_link_and_its_values_quoted() {
    let sandbox = Sandbox::new();
    sandbox.write("/etc/real-os-release", "ID=\"clear linux\"\nVERSION_ID=\"22.04 LTS\"\n");
    fs::remove_file(sandbox.path("/etc/os-release")).unwrap();
    std::os::unix::fs::symlink("real-os-release", sandbox.path("/etc/os-release")).unwrap();
    let headers = headers(&mut sandbox.command(&program().path));
    assert_eq!((headers["system_name"].as_str(), headers["build"].as_str()), ("clear linux", "22.04 LTS"));
}

#[test]
fn a15_without_values_there_are_fallbacks_and_never_an_empty_value() {
    let sandbox = Sandbox::new();
    sandbox.write("/etc/os-release", "");
    let headers = headers(&mut sandbox.command(&program().path));
    assert_eq!((headers["system_name"].as_str(), headers["build"].as_str()), ("unknown", "0"));
    assert!(headers.values().all(|value| !value.is_empty()));
}

#[test]
fn a16_dmi_files_that_are_empty_or_damaged_are_blank() {
    let dmi =
        [("sys_vendor", ""), ("product_name", "\t\t\n"), ("product_version", "\0\0\n"), ("bios_version", "no newline")];
    let headers = headers(&mut host(&dmi, "").command(&program().path));
    assert_eq!(headers["host_type"], "blank|blank|blank");
    assert_eq!(headers["bios_version"], "no newline");
}

#[test]
fn a16_the_longest_values_fit() {
    let long = "x".repeat(4000);
    let files = ["sys_vendor", "product_name", "product_version", "board_name", "board_vendor", "bios_version"];
    let sandbox = host(&files.map(|file| (file, long.as_str())), &format!("model name\t: {long}\n"));
    sandbox.write("/etc/os-release", format!("ID={long}\nVARIANT_ID={long}\nVERSION_ID={long}\n"));
    let headers = headers(&mut sandbox.command(&program().path));
    let len = |name: &str| headers[name].len();
    assert_eq!((len("host_type"), len("board_name"), len("bios_version")), (233, 155, 77));
    assert_eq!((len("cpu_model"), len("system_name"), len("build")), (65, 79, 39));
}

#[test]
fn a17_an_unreadable_cpuinfo_makes_the_model_blank() {
    let mut sandbox = host(&[], "");
    // Opening a socket fails with ENXIO for every user.
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.path("/socket")).unwrap();
    sandbox.mount("/socket", "/proc/cpuinfo");
    let headers = headers(&mut sandbox.command(&program().path));
    assert_eq!(headers["cpu_model"], "blank");
}

#[test]
fn facts_are_read_again_when_os_release_changed() {
    let sandbox = Sandbox::new();
    sandbox.write("/etc/os-release", "ID=before\nVERSION_ID=1\n");
    let program = program();
    let mut command = sandbox.command(&program.path);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ask = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next_name = || {
        let headers: Vec<String> = lines.by_ref().take(15).map(Result::unwrap).collect();
        headers[10].clone()
    };
    assert_eq!(next_name(), "system_name: before");
    sandbox.write("/etc/os-release", "ID=after\nVERSION_ID=2\n");
    thread::sleep(Duration::from_millis(1100));
    ask.write_all(b"\n").unwrap();
    assert_eq!(next_name(), "system_name: after");
    drop(ask);
    child.wait().unwrap();
}

#[test]
fn ten_thousand_records_read_each_file_once() {
    let sandbox = Sandbox::new();
    let program = program();
    let mut command = sandbox.command("strace");
    command.args(["-qq", "-e", "trace=%file"]).arg(&program.path).stdin(Stdio::null());
    let trace = String::from_utf8(succeed(&mut command).stderr).unwrap();
    let calls = |part: &str| trace.lines().filter(|line| line.contains(part)).count();
    assert_eq!(calls("/proc/cpuinfo"), 1, "{trace}");
    assert_eq!(calls("sys_vendor"), 1);
    // Opened once, and looked at once a second at the most.
    assert!((1..=10).contains(&calls("os-release")), "{trace}");
}
