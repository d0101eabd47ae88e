//! A machine goes from the C daemons to telemd with records in its spool, and
//! back again.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use collector::Collector;
use libtelemetry_acceptance::client::{frame, header_block, send};
use libtelemetry_acceptance::machine::{Machine, REJECTED, SPOOL};
use libtelemetry_acceptance::{Program, stdout_of, succeed};
use sandbox::wait_until;

const MINUTE: u64 = 60;

/// A spool as C daemons left it.
struct OldSpool(Machine);

impl OldSpool {
    fn new(assignments: &str) -> Self {
        Self(Machine::configured(assignments))
    }

    /// A file with this content and age.
    fn leave(&self, name: &str, seconds: u64, content: &[u8]) {
        let path = self.0.sandbox.path(SPOOL).join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let written = SystemTime::now() - Duration::from_secs(seconds);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_times(FileTimes::new().set_modified(written)).unwrap();
    }

    /// A record as both releases write it: a payload, and one more newline.
    fn leave_record(&self, name: &str, seconds: u64, payload: &str) {
        self.leave(name, seconds, &[&header_block("2"), payload.as_bytes(), b"\n"].concat());
    }
}

#[test]
fn what_the_c_daemons_left_is_delivered_oldest_first_and_the_rest_is_left_alone() {
    let old = OldSpool::new("");
    let other = Collector::start().unwrap();
    let sandbox = &old.0.sandbox;
    sandbox.write("/etc/alt.conf", format!("[settings]\nserver={}\n", other.url()));
    // The names tell nothing: of 2.x and 1.16 alike, six random characters.
    old.leave_record("zzzzzz", 900, "first");
    old.leave_record("0A1b2C", 700, "");
    old.leave_record("012345", 500, "a\nb\n");
    old.leave("AAAAAA", 400, &[&header_block("2"), b"no newline".as_slice()].concat());
    old.leave("bytes0", 300, &[&header_block("2"), b"\x01\xff\r\n\n".as_slice()].concat());
    old.leave_record("aaaaaa", 100, "last");
    let with_config = [b"CFG:/etc/alt.conf\n", header_block("2").as_slice(), b"chosen\n"].concat();
    old.leave("cfgCFG", 200, &with_config);

    let renamed = String::from_utf8(header_block("2")).unwrap().replace("severity:", "gravity:");
    old.leave("corrup", 800, format!("{renamed}ping\n").as_bytes());
    old.leave("3bytes", 600, b"rec");
    old.leave("empty0", 600, b"");
    old.leave("nobody", 600, &header_block("2"));

    let spool = sandbox.path(SPOOL);
    fs::create_dir(spool.join("direct")).unwrap();
    fs::write(spool.join("direct/inside"), "other").unwrap();
    symlink("/etc/passwd", spool.join("symlnk")).unwrap();
    old.leave(".hidden", 50, b"other");

    let telemd = sandbox.start_telemd();
    let bodies: Vec<Vec<u8>> = (0..6).map(|_| old.0.receive().body).collect();
    let expected: [&[u8]; 6] = [b"first\n", b"\n", b"a\nb\n\n", b"no newline", b"\x01\xff\r\n\n", b"last\n"];
    assert_eq!(bodies, expected, "oldest first, each as it stands in its file");
    let chosen = other.received().recv_timeout(Duration::from_secs(10)).expect("the one with a CFG line");
    assert_eq!(chosen.body, b"chosen\n");
    assert_eq!(chosen.header("machine-id").unwrap(), "FFFFFFFF", "as it was when it came");
    wait_until("the others are left", || old.0.names(SPOOL) == [".hidden", "direct", "symlnk"]);
    assert_eq!(old.0.names(&format!("{SPOOL}/direct")), ["inside"]);
    assert_eq!(old.0.rejected(), ["3bytes", "corrup", "empty0", "nobody"]);
    let log = telemd.log();
    for reason in [
        "spool file corrup: expected a line `severity: value`",
        "spool file 3bytes: expected a line `record_format_version: value`",
        "spool file empty0: header record_format_version is missing",
        "spool file nobody: the file ends before the payload",
    ] {
        assert!(log.contains(&format!("{reason}; it was moved to {REJECTED}")), "{reason}: {log}");
    }
    assert!(old.0.collector.received().try_recv().is_err());
}

#[test]
fn what_is_older_than_record_expiry_is_deleted_and_not_sent() {
    let old = OldSpool::new("record_expiry=20");
    old.leave_record("old000", 20 * MINUTE + 30, "old");
    old.leave_record("young0", 20 * MINUTE - 30, "young");
    let telemd = old.0.sandbox.start_telemd();
    assert_eq!(old.0.receive().body, b"young\n");
    wait_until("both are gone", || old.0.names(SPOOL).is_empty());
    assert!(old.0.rejected().is_empty());
    assert!(old.0.collector.received().try_recv().is_err());
    assert!(telemd.log().contains("older than record_expiry"), "{}", telemd.log());
}

#[test]
fn what_a_c_daemon_adds_while_telemd_is_down_is_delivered_by_age_among_its_own() {
    let old = OldSpool::new("");
    old.0.collector.answer_with(503);
    old.leave_record("before", 100, "1");
    let telemd = old.0.sandbox.start_telemd();
    assert_eq!(send(&old.0.sandbox, &frame(None, "2", b"2")), Some(0));
    assert!(telemd.terminate().success());
    old.leave_record("after0", 0, "3");
    while old.0.collector.received().try_recv().is_ok() {}
    old.0.collector.answer_with(201);
    let _telemd = old.0.sandbox.start_telemd();
    let bodies: Vec<Vec<u8>> = (0..3).map(|_| old.0.receive().body).collect();
    assert_eq!(bodies, [b"1\n", b"2\n", b"3\n"]);
}

/// Reads a spool by the rules of the C daemons, written from the description
/// of the format alone: any name but hidden ones, an optional CFG line, 15
/// header lines in their order, none over 4095 bytes, and the rest is posted.
const READER: &str = r#"
import json, os, stat, sys

HEADERS = '''record_format_version classification severity machine_id
creation_timestamp arch host_type build kernel_version payload_format_version
system_name board_name cpu_model bios_version event_id'''.split()

records = []
for name in os.listdir(sys.argv[1]):
    path = os.path.join(sys.argv[1], name)
    about = os.lstat(path)
    if name.startswith('.'):
        continue
    assert stat.S_ISREG(about.st_mode) and about.st_uid == os.getuid(), name
    assert stat.S_IMODE(about.st_mode) == 0o600, (name, oct(about.st_mode))
    record = {'mtime': about.st_mtime_ns, 'name': name}
    with open(path, 'rb') as file:
        line = file.readline()
        if line.startswith(b'CFG:'):
            record['config'] = line[4:].rstrip(b'\n').decode()
            line = file.readline()
        for header in HEADERS:
            assert line.endswith(b'\n') and len(line) <= 4096, (name, line)
            assert line.startswith(header.encode() + b': '), (name, line)
            record[header] = line[len(header) + 2:-1].decode()
            if header != 'event_id':
                line = file.readline()
        body = file.read()
    assert body.endswith(b'\n'), name
    record['body'] = body.decode('latin-1')
    records.append(record)
# Those of the same tick of the clock have any order.
records.sort(key=lambda record: (record['mtime'], record['name']))
json.dump(records, sys.stdout)
"#;

#[test]
fn what_telemd_leaves_is_read_by_the_rules_of_the_c_daemons() {
    let machine = Machine::configured("");
    machine.collector.answer_with(503);
    machine.sandbox.write("/etc/chosen.conf", "[settings]\nserver=http://127.0.0.1:1/\n");
    let telemd = machine.sandbox.start_telemd();
    let program = Program::compile("send.c");
    let longest = "p".repeat(8192);
    let sent: [(&[&str], &str); 5] = [
        (&["-p", "first"], "first\n"),
        (&["-n"], "\n"),
        (&["-c", "/etc/chosen.conf", "-p", "chosen"], "chosen\n"),
        (&["-p", "two\nlines\n"], "two\nlines\n\n"),
        (&["-p", &longest], &format!("{longest}\n")),
    ];
    for (arguments, _) in &sent {
        let output = stdout_of(machine.sandbox.command(&program.path).args(*arguments));
        assert!(output.starts_with("0 "), "{arguments:?}: {output}");
    }
    assert_eq!(send(&machine.sandbox, &frame(None, "4", b"\xe9\x01")), Some(0));
    telemd.kill();

    let mut python = machine.sandbox.command("/usr/bin/python3");
    let output = succeed(python.args(["-c", READER, SPOOL])).stdout;
    let records: Vec<serde_json::Value> = serde_json::from_slice(&output).unwrap();
    let text = |record: &serde_json::Value, name: &str| record[name].as_str().map(str::to_owned);
    let bodies: Vec<Option<String>> = records.iter().map(|record| text(record, "body")).collect();
    let expected = sent.iter().map(|(_, body)| *body).chain(["\u{e9}\u{1}\n"]);
    assert_eq!(bodies, expected.map(|body| Some(body.to_owned())).collect::<Vec<_>>());
    let configs: Vec<Option<String>> = records.iter().map(|record| text(record, "config")).collect();
    assert_eq!(configs, [None, None, Some("/etc/chosen.conf".to_owned()), None, None, None]);
    let machine_id = fs::read_to_string(machine.sandbox.path("/var/lib/telemetry/machine_id")).unwrap();
    for record in &records {
        assert_eq!(text(record, "machine_id").as_ref(), Some(&machine_id));
        assert_eq!(text(record, "classification").as_deref(), Some("org.example/demo/ping"));
    }
}
