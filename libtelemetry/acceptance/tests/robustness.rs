//! The library in hosts that are short of something, or do much at once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use libtelemetry_acceptance::{Program, c_programs, peer, stdout_of, succeed};
use sandbox::{Sandbox, installation, project};
use tempfile::TempDir;

/// An opted-in machine with a daemon that takes everything.
fn machine() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    sandbox.write("/etc/os-release", "ID=testos\nVERSION_ID=1\n");
    sandbox.write("/etc/chosen.conf", "");
    peer::listen_and_acknowledge(&sandbox);
    sandbox
}

fn run_on(sandbox: &Sandbox, name: &str) {
    let program = Program::compile("robustness.c");
    let output = stdout_of(sandbox.command(&program.path).arg(name));
    assert!(output.ends_with(" 0 failed\n"), "{output}");
}

fn run(name: &str) {
    run_on(&machine(), name);
}

/// A machine on which every send waits half a second for its acknowledgement.
fn slow_machine() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    sandbox.write("/etc/chosen.conf", "");
    peer::listen(&sandbox, "/run/telem-0", |mut connection| {
        let frame = peer::read_frame(&mut connection);
        thread::sleep(Duration::from_millis(500));
        let _ = frame.and_then(|_| connection.write_all(b"TMA1\0\0\0\0"));
    });
    sandbox
}

#[test]
fn without_descriptors_records_are_made_and_sending_fails_cleanly() {
    run("no_descriptors");
}

#[test]
fn closed_standard_streams_do_no_harm_and_suffer_none() {
    run("closed_streams");
}

#[test]
fn a_stack_of_64_kib_is_enough() {
    run("small_stack");
}

#[test]
fn a_signal_handler_has_room_on_the_smallest_stack_while_the_library_waits() {
    run_on(&slow_machine(), "smallest_stack");
}

#[test]
fn a_cancelled_thread_leaves_nothing_open() {
    run_on(&slow_machine(), "cancelled_threads");
}

#[test]
fn the_signal_mask_and_the_handlers_stay_as_they_are() {
    run("masked_signals");
}

#[test]
fn a11_interrupted_calls_are_taken_up_again() {
    run("interrupted_calls");
}

#[test]
fn children_of_fork_never_wait_for_a_thread_of_their_parent() {
    run("children_of_fork");
}

#[test]
fn a13_every_descriptor_is_close_on_exec() {
    let program = Program::compile("robustness.c");
    let sandbox = machine();
    let mut command = sandbox.command("strace");
    command.args(["-qq", "-e", "trace=open,openat,openat2,creat,socket,dup,dup2,pipe,accept"]);
    let trace = String::from_utf8(succeed(command.arg(&program.path).arg("a_whole_record")).stderr).unwrap();
    assert!(trace.contains("os-release") && trace.contains("socket("), "{trace}");
    for call in trace.lines() {
        assert!(call.contains("_CLOEXEC"), "{call}");
    }
}

#[test]
fn every_single_allocation_may_fail() {
    let program = Program::compile("malloc_sweep.c");
    let output = stdout_of(&mut machine().command(&program.path));
    assert!(output.ends_with(" 0 failed\n"), "{output}");
    println!("{output}");
}

/// Changes os-release as package managers do: a new file takes its place.
fn change_os_release(sandbox: &Sandbox, stop: &AtomicBool) {
    for version in (1..).take_while(|_| !stop.load(Ordering::Relaxed)) {
        sandbox.write("/etc/os-release.new", format!("ID=v{version}\nVERSION_ID=v{version}\n"));
        std::fs::rename(sandbox.path("/etc/os-release.new"), sandbox.path("/etc/os-release")).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
}

fn sixteen_threads(program: &Path) {
    let sandbox = machine();
    sandbox.write("/etc/os-release", "ID=v0\nVERSION_ID=v0\n");
    sandbox.write("/etc/one.conf", "");
    sandbox.write("/etc/two.conf", "[settings]\nserver=http://two/\n");
    let stop = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| change_os_release(&sandbox, &stop));
        let output = sandbox.command(program).env("TSAN_OPTIONS", "halt_on_error=1").output();
        stop.store(true, Ordering::Relaxed);
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        println!("{text}");
    });
}

#[test]
fn a22_sixteen_threads_share_the_library() {
    sixteen_threads(&Program::compile("threads.c").path);
}

/// The library with the instrumentation of ThreadSanitizer, whose run-time
/// comes with the C compiler. The option of rustc is not stable, but in every
/// stable compiler.
fn instrumented_archive() -> PathBuf {
    let target = project().join("target/thread-sanitizer");
    let host = stdout_of(Command::new("rustc").arg("-vV"));
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Newer compilers want to be told that core and alloc are not instrumented.
    let known = stdout_of(Command::new("rustc").args(["-C", "help"]));
    let mixed = if known.contains("unsafe-allow-abi-mismatch") { " -Cunsafe-allow-abi-mismatch=sanitizer" } else { "" };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(project()).args(["rustc", "--locked", "--release", "-p", "libtelemetry-cdylib"]);
    cargo.args(["--crate-type", "staticlib", "--target", host]);
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("-Zsanitizer=thread{mixed}"))
        .env("CARGO_TARGET_DIR", &target);
    succeed(&mut cargo);
    target.join(host).join("release/libtelemetry.a")
}

fn instrumented(directory: &TempDir, source: &str) -> PathBuf {
    let program = directory.path().join("program");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-g", "-fno-builtin", "-fsanitize=thread", "-pthread", "-I"]);
    cc.arg(installation().join("include")).arg(c_programs().join(source)).arg(c_programs().join("tsan_memory.c"));
    succeed(cc.arg(instrumented_archive()).arg("-o").arg(&program));
    program
}

#[test]
fn a22_the_thread_sanitizer_finds_no_race_between_sixteen_threads() {
    let directory = TempDir::new().unwrap();
    sixteen_threads(&instrumented(&directory, "threads.c"));
}

#[test]
fn the_thread_sanitizer_sees_into_the_library() {
    let directory = TempDir::new().unwrap();
    let output = Sandbox::new().command(instrumented(&directory, "race.c")).output().unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(report.contains("data race") && report.contains("tm_set_event_id"), "{report}");
}
