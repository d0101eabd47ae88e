//! The packages in a system in which no service manager runs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::{Child, Stdio};

use collector::Collector;
use packaging_acceptance::debian::System;
use packaging_acceptance::unit::Unit;
use sandbox::wait_until;

use crate::{opt_in, receive, system, tutorial, user_packages};

/// A spool file as the C daemon leaves it, and the machine id in it.
const LEFT_RECORD: &str = "telemd/tests/data/spool-file-of-the-c-daemon";
const LEFT_MACHINE_ID: &str = "00112233445566778899aabbccddeeff";
/// A line of a journal of the C daemon.
const LEFT_LINE: &str = "cf766ce3cccaed4456b236056aa3b781\x1e1700000100\x1eorg.example/demo/before\x1e\
                         0123456789abcdef0123456789abcdef\x1e9abc1703-7daf-49a2-9bbf-3876299f9470\n";

/// telemd in a system, as the service manager starts it for a connection: its
/// user, its socket, and what its unit lets it write.
struct Service(Child);

impl Service {
    fn start(system: &System) -> Self {
        let unit = Unit::named("telemd.service");
        let mut writable = vec!["/run"];
        writable.extend(
            unit.values("ReadWritePaths").flat_map(str::split_whitespace).map(|path| path.trim_start_matches('-')),
        );
        // RuntimeDirectory=
        system.run(&["install", "-d", "-o", "telemetry", "-g", "telemetry", "/run/telemetry"]);
        let mut command = system.command_with_writable(&writable, "systemd-socket-activate");
        command.args(["--listen=/run/telem-0", "setpriv", "--reuid=telemetry", "--regid=telemetry", "--clear-groups"]);
        command.args(["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "/usr/bin/telemd"]);
        let log = fs::File::create(system.path("/run/telemd.log")).unwrap();
        let child = command.stdin(Stdio::null()).stderr(log).spawn().expect("bwrap");
        wait_until("the socket is there", || system.path("/run/telem-0").exists());
        Self(child)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn uid_of_telemetry(system: &System) -> u32 {
    system.run(&["id", "-u", "telemetry"]).trim().parse().unwrap()
}

#[test]
fn a_record_of_the_tutorial_program_arrives_and_a_purge_leaves_nothing() {
    let system = system();
    let before = system.files();
    system.install(&user_packages());

    // Off: nothing was opted in, and nothing runs.
    assert!(!system.path("/etc/telemetrics").exists());
    assert_eq!(tutorial(&system), "Failed to send record to daemon: Connection refused\n");

    let collector = Collector::start().unwrap();
    opt_in(&system, &collector);
    let service = Service::start(&system);
    assert_eq!(tutorial(&system), "Successfully sent record to daemon.\n");
    let received = receive(&collector);
    assert_eq!(received.header("classification").unwrap(), "org.clearlinux/hello/world");
    assert_eq!(received.body, b"hello\n\n");
    let uid = uid_of_telemetry(&system);
    for file in ["/var/log/telemetry/journal", "/var/lib/telemetry/machine_id", "/run/telemetry/status.json"] {
        wait_until(file, || system.path(file).exists());
        assert_eq!(system.path(file).metadata().unwrap().uid(), uid, "{file}");
    }

    // A record that is rejected, one that waits, what an administrator does.
    collector.answer_with(400);
    assert_eq!(tutorial(&system), "Successfully sent record to daemon.\n");
    wait_until("it is moved aside", || system.rejected() == 1);
    collector.answer_with(503);
    assert_eq!(tutorial(&system), "Successfully sent record to daemon.\n");
    drop(service);
    assert_eq!(fs::read_dir(system.path("/var/spool/telemetry")).unwrap().count(), 1);
    fs::write(system.path("/etc/telemetrics/opt-in-static-machine-id"), "mine\n").unwrap();
    system.run(&["systemctl", "enable", "telemd.service"]);
    assert!(system.path("/etc/systemd/system/multi-user.target.wants/telemd.service").is_symlink());

    // Removed: the programs are gone, the administrator's files and records are not.
    system.run(&["apt-get", "remove", "-y", "telemetrics-client"]);
    assert!(!system.path("/usr/bin/telemd").exists());
    assert!(system.path("/etc/telemetrics/opt-in").exists());
    assert_eq!(fs::read_dir(system.path("/var/spool/telemetry")).unwrap().count(), 1);

    system.run(&["apt-get", "purge", "-y", "telemetrics-client", "libtelemetry-dev", "libtelemetry4"]);
    fs::remove_file(system.path("/root/test_telem")).unwrap();
    fs::remove_file(system.path("/run/telemd.log")).unwrap();
    let left: BTreeSet<_> = system.files().difference(&before).cloned().collect();
    assert!(left.is_empty(), "{left:#?}");
    let passwd = fs::read_to_string(system.path("/etc/passwd")).unwrap();
    let group = fs::read_to_string(system.path("/etc/group")).unwrap();
    assert!(!passwd.contains("telemetry") && !group.contains("telemetry"));
}

#[test]
fn what_the_c_project_left_is_picked_up_by_the_installation() {
    let system = system();
    let collector = Collector::start().unwrap();
    system.run(&["useradd", "--system", "--home-dir=/", "--no-create-home", "telemetry"]);
    let uid = uid_of_telemetry(&system);
    opt_in(&system, &collector);
    let record = fs::read(sandbox::project().join(LEFT_RECORD)).unwrap();
    for (directory, files) in [
        ("/var/lib/telemetry", vec![("machine_id", b"ffeeddccbbaa99887766554433221100".to_vec())]),
        ("/var/spool/telemetry", vec![("aB3xY9", record)]),
        ("/var/log/telemetry", vec![("journal", LEFT_LINE.into())]),
        ("/var/log/telemetry/records", vec![("cf766ce3cccaed4456b236056aa3b781", b"before\n\n".to_vec())]),
    ] {
        fs::create_dir_all(system.path(directory)).unwrap();
        chown(system.path(directory), Some(uid), Some(uid)).unwrap();
        for (name, content) in files {
            let path = system.path(directory).join(name);
            fs::write(&path, content).unwrap();
            chown(&path, Some(uid), Some(uid)).unwrap();
        }
    }
    system.install(&user_packages());
    assert_eq!(uid_of_telemetry(&system), uid, "the user stays the one that owns the files");

    let _service = Service::start(&system);
    assert_eq!(tutorial(&system), "Successfully sent record to daemon.\n");
    let mut received = [receive(&collector), receive(&collector)];
    received.sort_by_key(|record| record.header("classification"));
    let [new, left] = received;
    assert_eq!(left.header("classification").unwrap(), "org.example/demo/ping");
    assert_eq!(left.header("machine-id").unwrap(), LEFT_MACHINE_ID);
    assert_eq!(new.header("machine-id").unwrap(), "ffeeddccbbaa99887766554433221100");
    let journal = || fs::read_to_string(system.path("/var/log/telemetry/journal")).unwrap();
    wait_until("both are in the journal", || journal().lines().count() == 3);
    assert!(journal().starts_with(LEFT_LINE));
    assert!(system.path("/var/log/telemetry/records/cf766ce3cccaed4456b236056aa3b781").exists());
}
