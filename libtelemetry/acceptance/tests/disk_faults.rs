//! Disks that are full, or become read-only, under the feet of telemd: the
//! sender is told, nothing half is left or delivered, and everything goes on
//! when there is room again.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libtelemetry_acceptance::burst::Burst;
use libtelemetry_acceptance::client::{frame, send};
use libtelemetry_acceptance::machine::{Machine, REJECTED, SPOOL};
use sandbox::{Telemd, is_root, wait_at_most, wait_until};

/// What a disk gives at least.
const PAGE: u64 = 4096;
const NO_SPACE: &str = "No space left on device (os error 28)";

/// A machine whose spool is a small disk, and whose telemd runs.
fn machine(options: &str) -> (Machine, Telemd) {
    let mut machine = Machine::configured("spool_max_size=-1");
    machine.sandbox.mount_tmpfs(SPOOL, options);
    let telemd = machine.sandbox.start_telemd();
    (machine, telemd)
}

/// Something else that takes room on the disk of a directory.
struct Filler(PathBuf);

impl Filler {
    /// Takes all room but so many pages.
    fn leaving(machine: &Machine, directory: &str, pages: u64) -> Self {
        let path = machine.sandbox.path(directory).join(".filler");
        let mut file = File::create(&path).unwrap();
        let mut len = 0;
        let error = loop {
            match file.write(&[0; PAGE as usize]) {
                Ok(count) => len += count as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        // Where room is counted when it is written back.
        file.sync_all().unwrap();
        file.set_len(len.saturating_sub(pages * PAGE)).unwrap();
        file.sync_all().unwrap();
        Self(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Sends records of one page and of three while so many pages are free.
fn send_with_room_for(machine: &Machine, pages: u64) {
    for (payload_len, needed) in [(0, 1), (3000, 1), (8192, 3)] {
        let _filler = Filler::leaving(machine, SPOOL, pages);
        let payload = vec![b'x'; payload_len];
        let status = send(&machine.sandbox, &frame(None, "2", &payload)).unwrap();
        if needed <= pages {
            assert_eq!(status, 0, "{payload_len} bytes in {pages} pages");
            assert_eq!(machine.receive().body, [&payload, b"\n".as_slice()].concat());
        } else {
            assert_eq!(status, -libc::ENOSPC, "{payload_len} bytes in {pages} pages");
        }
        wait_until("nothing but the filler is left", || machine.names(SPOOL) == [".filler"]);
    }
}

fn assert_works_again(machine: &Machine) {
    assert_eq!(send(&machine.sandbox, &frame(None, "2", b"again")), Some(0));
    assert_eq!(machine.receive().body, b"again\n");
    wait_until("the spool is empty", || machine.spooled().is_empty());
    assert!(machine.collector.received().try_recv().is_err(), "nothing else was delivered");
}

#[test]
fn a_full_disk_is_told_to_the_sender_at_every_page_and_nothing_half_is_left() {
    let (machine, telemd) = machine("size=1m");
    for pages in 0..=4 {
        send_with_room_for(&machine, pages);
    }
    assert!(telemd.log().contains(&format!("was refused: spool_dir: {NO_SPACE}")), "{}", telemd.log());
    assert_works_again(&machine);
}

#[test]
fn a_disk_without_inodes_is_told_to_the_sender() {
    let (machine, telemd) = machine("size=1m,nr_inodes=10");
    let spool = machine.sandbox.path(SPOOL);
    let taken = (0..).map(|number| File::create(spool.join(format!(".taken-{number}")))).take_while(Result::is_ok);
    let count = taken.count();
    assert_eq!(send(&machine.sandbox, &frame(None, "2", b"none left")), Some(-libc::ENOSPC));
    assert!(telemd.log().contains(NO_SPACE), "{}", telemd.log());
    assert_eq!(machine.names(SPOOL).len(), count);
    fs::remove_file(spool.join(".taken-0")).unwrap();
    assert_works_again(&machine);
}

#[test]
fn a_disk_that_fills_up_under_load_loses_nothing_that_was_acknowledged() {
    let (machine, telemd) = machine("size=512k");
    machine.collector.answer_with(503);
    let burst = Burst::start(&machine.sandbox, 4);
    wait_until("the disk is full", || telemd.log().contains(NO_SPACE));
    let when_full = burst.acknowledged().len();
    // What was tried so far has not been taken.
    while machine.collector.received().try_recv().is_ok() {}
    machine.collector.answer_with(201);
    wait_at_most(Duration::from_secs(30), "everything goes on", || burst.acknowledged().len() > when_full + 300);
    let acknowledged = burst.stop();

    let mut arrived = HashSet::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !acknowledged.is_subset(&arrived) && Instant::now() < deadline {
        let received = machine.receive();
        let id = received.header("event-id").unwrap();
        assert_eq!(received.body, format!("{id}\n").into_bytes(), "a whole record");
        arrived.insert(id);
    }
    let lost = acknowledged.difference(&arrived).count();
    println!("full disk: {} acknowledged, {when_full} of them when it was full, {lost} lost", acknowledged.len());
    assert_eq!(lost, 0);
    wait_until("the spool is empty", || machine.names(SPOOL).is_empty());
}

/// Whether the log has it that a delivered record cannot be deleted.
fn stays(telemd: &Telemd) -> bool {
    telemd.log().lines().any(|line| line.contains("spool file") && line.contains("(os error 30)"))
}

#[test]
fn a_disk_that_becomes_read_only_is_told_and_everything_goes_on_when_it_is_writable() {
    let (mut machine, telemd) = machine("size=1m");
    machine.collector.answer_with(503);
    assert_eq!(send(&machine.sandbox, &frame(None, "2", b"before")), Some(0));
    machine.receive();
    machine.sandbox.remount(SPOOL, "ro");
    for severity in ["2", "4"] {
        assert_eq!(send(&machine.sandbox, &frame(None, severity, b"refused")), Some(-libc::EROFS));
    }
    assert!(telemd.log().contains("Read-only file system (os error 30)"), "{}", telemd.log());
    machine.collector.answer_with(201);
    while machine.receive().body != b"before\n" {}
    wait_until("it is said that it stays", || stays(&telemd));
    machine.sandbox.remount(SPOOL, "rw");
    assert_eq!(send(&machine.sandbox, &frame(None, "2", b"after")), Some(0));
    while machine.receive().body != b"after\n" {}
    wait_until("it is deleted", || machine.names(SPOOL).len() <= 1);
}

#[test]
fn what_was_delivered_and_could_not_be_deleted_leaves_the_spool_when_the_disk_is_writable() {
    let (mut machine, telemd) = machine("size=1m");
    machine.collector.answer_with(503);
    assert_eq!(send(&machine.sandbox, &frame(None, "2", b"stays")), Some(0));
    machine.receive();
    machine.sandbox.remount(SPOOL, "ro");
    machine.collector.answer_with(201);
    let first = machine.receive();
    wait_until("it is said that it stays", || stays(&telemd));
    machine.sandbox.remount(SPOOL, "rw");
    wait_at_most(Duration::from_secs(100), "it leaves the spool", || machine.names(SPOOL).is_empty());
    for again in machine.collector.received().try_iter() {
        assert_eq!(again.header("x-telemetry-record-id"), first.header("x-telemetry-record-id"));
    }
}

#[test]
fn a_spool_on_a_disk_of_its_own_has_its_rejected_records_beside_it() {
    let (machine, telemd) = machine("size=1m");
    machine.collector.answer_with(400);
    assert_eq!(send(&machine.sandbox, &frame(None, "2", b"rejected")), Some(0));
    machine.receive();
    wait_until("it is moved away", || machine.names(SPOOL).is_empty() || telemd.log().contains("cannot be moved"));
    let rejected = machine.rejected();
    assert_eq!(rejected.len(), 1, "{}", telemd.log());
    let text = fs::read_to_string(machine.sandbox.path(REJECTED).join(&rejected[0])).unwrap();
    assert!(text.ends_with("\nrejected\n"), "{text}");
    assert!(machine.names(SPOOL).is_empty());
}

/// The lines of the journal, and the copies that are kept, each with its size.
fn local_copies(machine: &Machine) -> (Vec<String>, Vec<u64>) {
    let journal = fs::read_to_string(machine.sandbox.path("/var/log/telemetry/journal")).unwrap();
    assert!(journal.is_empty() || journal.ends_with('\n'), "{journal:?}");
    let records = fs::read_dir(machine.sandbox.path("/var/log/telemetry/records")).unwrap();
    let sizes = records.map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    (journal.lines().map(str::to_owned).collect(), sizes)
}

#[test]
fn a_full_disk_of_logs_stops_no_delivery_and_leaves_no_half_line_or_copy() {
    let mut machine = Machine::configured("record_retention_enabled=true");
    machine.sandbox.mount_tmpfs("/var/log/telemetry", "size=256k");
    fs::create_dir(machine.sandbox.path("/var/log/telemetry/records")).unwrap();
    let telemd = machine.sandbox.start_telemd();
    let deliver = || {
        assert_eq!(send(&machine.sandbox, &frame(None, "2", &[b'x'; 8192])), Some(0));
        assert_eq!(machine.receive().body.len(), 8193);
        wait_until("it is deleted", || machine.spooled().is_empty());
    };
    for pages in 0..=2 {
        let _filler = Filler::leaving(&machine, "/var/log/telemetry", pages);
        deliver();
        wait_until("that is said", || telemd.log().matches(NO_SPACE).count() > pages as usize);
    }
    deliver();
    wait_until("a copy is kept", || !local_copies(&machine).1.is_empty());
    let (lines, sizes) = local_copies(&machine);
    assert!(lines.iter().all(|line| line.split('\x1e').count() == 5), "{lines:?}");
    assert_eq!(sizes, [8194], "whole, or not there");
}

#[test]
fn telemd_starts_on_a_full_disk_and_delivers_what_is_there() {
    let (machine, telemd) = machine("size=1m");
    machine.collector.answer_with(503);
    assert_eq!(send(&machine.sandbox, &frame(None, "2", b"kept")), Some(0));
    machine.receive();
    let _filler = Filler::leaving(&machine, SPOOL, 0);
    telemd.kill();
    machine.collector.answer_with(201);
    let _telemd = machine.sandbox.start_telemd();
    while machine.receive().body != b"kept\n" {}
    wait_until("it is deleted", || machine.spooled().is_empty());
}

/// Blocks, a journal and a table of inodes: root can have a real file system.
#[test]
fn ext4_that_is_full_is_told_to_the_sender() {
    if !is_root() {
        println!("ext4: not tried, only root can mount it");
        return;
    }
    let mut machine = Machine::configured("spool_max_size=-1");
    // Room is given when a file is written, not when it is written back.
    machine.sandbox.mount_ext4(SPOOL, 8 << 20, "nodelalloc");
    fs::remove_dir(machine.sandbox.path(SPOOL).join("lost+found")).unwrap();
    let telemd = machine.sandbox.start_telemd();
    for pages in 0..=4 {
        send_with_room_for(&machine, pages);
    }
    assert!(telemd.log().contains(NO_SPACE), "{}", telemd.log());
    assert_works_again(&machine);
}
