//! Calls on the disk that fail, each of them, one at a time: nothing that was
//! acknowledged is lost, nothing that was refused is delivered, and the errno
//! is told and logged.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use collector::Received;
use libtelemetry_acceptance::client::{frame, header_block, send};
use libtelemetry_acceptance::compile_preloaded;
use libtelemetry_acceptance::machine::{Machine, REJECTED, SPOOL};
use sandbox::{TELEMD, TELEMD_LOG, Telemd, wait_until};

const FAULT: &str = "/run/fault";
const DONE: &str = "/run/fault-done";
const CALLS: &str = "/run/calls";
const LIBRARY: &str = "/run/disk_fault.so";

/// A machine on which calls can be made to fail.
struct Faulty(Machine);

impl Faulty {
    fn new(assignments: &str) -> Self {
        let machine = Machine::configured(&format!("spool_max_size=-1\n{assignments}"));
        compile_preloaded("disk_fault.c", &machine.sandbox.path(LIBRARY));
        Self(machine)
    }

    /// Any one call fails, after so many that do not.
    fn fail(&self, operation: &str, errno: i32, pattern: &str, after: usize) {
        self.0.sandbox.write(FAULT, format!("{operation} {errno} {pattern} {after}\n"));
    }

    fn command(&self) -> Command {
        let mut command = self.0.sandbox.command("env");
        command.arg(format!("LD_PRELOAD={LIBRARY}")).arg(TELEMD);
        command
    }

    fn start(&self) -> Telemd {
        self.0.sandbox.start_telemd_by(self.command())
    }

    fn send(&self, severity: &'static str, payload: &str) -> i32 {
        send(&self.0.sandbox, &frame(None, severity, payload.as_bytes())).expect("an answer")
    }

    /// The operation that has failed, if it has.
    fn failed(&self) -> Option<String> {
        let done = self.0.sandbox.path(DONE);
        let text = fs::read_to_string(&done).ok()?;
        fs::remove_file(done).unwrap();
        text.lines().nth(1)?.split(' ').next().map(str::to_owned)
    }

    /// A record as a C daemon leaves it in the spool.
    fn leave(&self, name: &str, payload: &str) {
        let file = [&header_block("2"), payload.as_bytes(), b"\n"].concat();
        self.0.sandbox.write(&format!("{SPOOL}/{name}"), file);
    }

    /// The payload of the next request.
    fn receive(&self) -> String {
        payload(self.0.receive())
    }
}

fn payload(received: Received) -> String {
    String::from_utf8(received.body).unwrap().trim_end().to_owned()
}

#[test]
fn a_record_that_cannot_be_written_is_refused_with_the_errno_and_leaves_nothing() {
    let faulty = Faulty::new("");
    let telemd = faulty.start();
    let (file, directory) = (format!("{SPOOL}/*"), SPOOL);
    let faults = [
        ("create", libc::ENOSPC, file.as_str(), "2"),
        ("create", libc::EIO, file.as_str(), "2"),
        ("write", libc::EDQUOT, file.as_str(), "2"),
        ("write", libc::EIO, file.as_str(), "2"),
        ("rename", libc::EROFS, file.as_str(), "2"),
        ("rename", libc::EIO, file.as_str(), "2"),
        ("fsync", libc::EIO, file.as_str(), "4"),
        ("fsync", libc::EIO, directory, "4"),
    ];
    for (number, (operation, errno, pattern, severity)) in faults.into_iter().enumerate() {
        faulty.fail(operation, errno, pattern, 0);
        let fault = format!("{operation} of {pattern} with {errno}");
        assert_eq!(faulty.send(severity, "refused"), -errno, "{fault}");
        assert_eq!(faulty.failed().as_deref(), Some(operation), "{fault}");
        assert!(telemd.log().contains(&format!("(os error {errno})")), "{fault}: {}", telemd.log());
        assert!(faulty.0.names(SPOOL).is_empty(), "{fault}");
        let next = number.to_string();
        assert_eq!(faulty.send(severity, &next), 0, "after {fault}");
        assert_eq!(faulty.receive(), next, "after {fault}");
        wait_until("it is deleted", || faulty.0.names(SPOOL).is_empty());
    }
}

/// One life of telemd, with a record of before and two new ones: what must
/// arrive in the end, and the log.
fn live(faulty: &Faulty) -> (BTreeSet<String>, String) {
    let mut expected = BTreeSet::from(["left".to_owned()]);
    let telemd = match faulty.0.sandbox.try_to_start_telemd_by(faulty.command()) {
        Ok(telemd) => telemd,
        Err(log) => {
            assert!(log.contains("(os error 5)"), "{log}");
            return (expected, log);
        }
    };
    for (severity, payload) in [("2", "ordinary"), ("4", "critical")] {
        match faulty.send(severity, payload) {
            0 => assert!(expected.insert(payload.to_owned())),
            status => assert_eq!(status, -libc::EIO),
        }
    }
    // What met the fault is not delivered within its time.
    let start = Instant::now();
    while !faulty.0.names(SPOOL).is_empty() && start.elapsed() < Duration::from_millis(500) {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(telemd.terminate().success());
    (expected, fs::read_to_string(faulty.0.sandbox.path(TELEMD_LOG)).unwrap())
}

#[test]
fn any_one_call_of_a_whole_life_may_fail_and_no_acknowledged_record_is_lost() {
    let mut faulty = Faulty::new("spool_sync_interval=0\nrecord_retention_enabled=true");
    // Syncing takes no time there.
    faulty.0.sandbox.mount_tmpfs(SPOOL, "size=1m");
    let mut silent = BTreeSet::new();
    for number in 0.. {
        faulty.leave("aB3xY9", "left");
        faulty.leave(".new-1-2", "half");
        // Every life is the same: none has to prune what the others noted.
        faulty.0.sandbox.write("/var/log/telemetry/journal", "");
        faulty.fail("any", libc::EIO, "/var/*", number);
        let (expected, log) = live(&faulty);
        let Some(failed) = faulty.failed() else {
            println!("disk errors: {number} calls were failed, one at a time; not logged: {silent:?}");
            assert!(number > 50, "opening, storing, delivering and deleting take more");
            fs::remove_file(faulty.0.sandbox.path(FAULT)).unwrap();
            break;
        };
        if !log.contains("(os error 5)") {
            silent.insert(failed);
        }
        let telemd = faulty.start();
        wait_until("the spool is empty", || faulty.0.names(SPOOL).is_empty());
        drop(telemd);
        let arrived: BTreeSet<String> = faulty.0.collector.received().try_iter().map(payload).collect();
        assert_eq!(arrived, expected, "call {number}: {log}");
        assert!(faulty.0.rejected().is_empty());
    }
    assert!(silent.iter().all(|operation| operation == "stat"), "sizes, of what is deleted: {silent:?}");
}

#[test]
fn a_file_that_cannot_be_read_holds_up_nobody_and_is_delivered_later() {
    for operation in ["open", "read"] {
        let faulty = Faulty::new("");
        faulty.leave("aB3xY9", "first");
        faulty.leave("aB3xYA", "second");
        faulty.fail(operation, libc::EIO, &format!("{SPOOL}/aB3xY9"), 0);
        let telemd = faulty.start();
        assert_eq!(faulty.receive(), "second", "{operation}");
        assert_eq!(faulty.failed().as_deref(), Some(operation));
        let log = telemd.log();
        assert!(log.contains("spool file aB3xY9: Input/output error (os error 5)"), "{operation}: {log}");
        telemd.kill();
        let _telemd = faulty.start();
        assert_eq!(faulty.receive(), "first", "{operation}");
    }
}

#[test]
fn a_file_of_which_nothing_can_be_known_does_not_keep_telemd_from_starting() {
    let faulty = Faulty::new("");
    faulty.leave("aB3xY9", "bad");
    faulty.leave("aB3xYA", "good");
    faulty.fail("stat!", libc::EIO, &format!("{SPOOL}/aB3xY9"), 0);
    let telemd = faulty.start();
    assert_eq!(faulty.receive(), "good");
    assert!(telemd.log().contains("aB3xY9: Input/output error (os error 5)"), "{}", telemd.log());
}

#[test]
fn a_sync_that_fails_is_logged_and_the_other_records_are_synced_all_the_same() {
    let faulty = Faulty::new("spool_sync_interval=1");
    faulty.0.collector.answer_with(503);
    let telemd = faulty.start();
    faulty.0.sandbox.write(CALLS, "");
    faulty.fail("fdatasync", libc::EIO, &format!("{SPOOL}/*"), 0);
    for payload in ["1", "2", "3"] {
        assert_eq!(faulty.send("2", payload), 0);
    }
    wait_until("the failure is logged", || telemd.log().contains("os error 5"));
    assert!(telemd.log().contains("a power failure may take records"), "{}", telemd.log());
    let synced = || fs::read_to_string(faulty.0.sandbox.path(CALLS)).unwrap().matches("fdatasync").count();
    wait_until("all were tried", || synced() >= 3);
}

#[test]
fn what_cannot_be_moved_to_the_rejected_holds_up_nobody() {
    let faults = [
        ("mkdir", libc::ENOSPC, REJECTED.to_owned()),
        ("rename", libc::EIO, format!("{SPOOL}/*")),
        ("opendir", libc::EIO, REJECTED.to_owned()),
    ];
    for (operation, errno, pattern) in faults {
        let faulty = Faulty::new("");
        fs::write(faulty.0.sandbox.path(SPOOL).join("aB3xY9"), "no record\n").unwrap();
        faulty.leave("aB3xYA", "good");
        faulty.fail(operation, errno, &pattern, 0);
        let telemd = faulty.start();
        assert_eq!(faulty.receive(), "good", "{operation}");
        assert_eq!(faulty.failed().as_deref(), Some(operation));
        assert!(telemd.log().contains(&format!("(os error {errno})")), "{operation}: {}", telemd.log());
        telemd.kill();
        let _telemd = faulty.start();
        wait_until("it is moved away", || faulty.0.rejected() == ["aB3xY9"]);
        wait_until("the other is deleted", || faulty.0.names(SPOOL).is_empty());
    }
}

#[test]
fn a_spool_that_cannot_be_listed_ends_telemd_with_the_reason_and_loses_nothing() {
    for (operation, pattern) in
        [("opendir", SPOOL.to_owned()), ("readdir", SPOOL.to_owned()), ("open", SPOOL.to_owned())]
    {
        let faulty = Faulty::new("");
        faulty.leave("aB3xY9", "kept");
        faulty.fail(operation, libc::EIO, &pattern, 0);
        let log = faulty.0.sandbox.try_to_start_telemd_by(faulty.command()).map(drop).unwrap_err();
        assert!(log.contains("spool_dir /var/spool/telemetry: Input/output error (os error 5)"), "{operation}: {log}");
        let _telemd = faulty.start();
        assert_eq!(faulty.receive(), "kept", "{operation}");
    }
}
