//! The interface's contract, checked by a C program: plain, under valgrind,
//! and with AddressSanitizer on the C side.

use std::process::Command;

use libtelemetry_acceptance::{Program, stdout_of};
use sandbox::{Sandbox, installation};

fn program(options: &[&str]) -> Program {
    Program::compile_with("conformance.c", options)
}

fn assert_all_pass(command: &mut Command) {
    let output = stdout_of(command);
    let summary = output.lines().last().unwrap_or_default();
    assert!(summary.ends_with(" checks passed, 0 failed"), "{output}");
    println!("{summary}");
}

#[test]
fn every_row_of_the_contract_holds() {
    let program = program(&[]);
    let sandbox = Sandbox::new();
    assert_all_pass(&mut sandbox.command(&program.path));
}

#[test]
fn every_row_holds_for_a_static_link() {
    let archive = installation().join("lib/libtelemetry.a");
    let program = program(&[archive.to_str().unwrap(), "-Wl,--as-needed"]);
    let needed = stdout_of(Command::new("readelf").arg("-d").arg(&program.path));
    assert!(!needed.contains("libtelemetry.so"), "{needed}");
    let sandbox = Sandbox::new();
    assert_all_pass(&mut sandbox.command(&program.path));
}

#[test]
fn every_row_holds_under_valgrind_without_error_or_leak() {
    let program = program(&[]);
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("valgrind");
    command.args(["-q", "--vgdb=no", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=all"]);
    command.args(["--errors-for-leak-kinds=all", "--trace-children=yes"]).arg(&program.path);
    assert_all_pass(&mut command);
}

#[test]
fn every_row_holds_with_the_address_sanitizer() {
    let program = program(&["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]);
    let sandbox = Sandbox::new();
    assert_all_pass(&mut sandbox.command(&program.path));
}
