//! What a purge of the Debian package deletes, and what it leaves.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use sandbox::Sandbox;

const TELEMETRY: u32 = 64500;
const SCRIPT: &str = "packaging/debian/telemetrics-client.postrm";

/// A machine whose user telemetry has this description; `None` if the test
/// must not make other users' files.
fn machine(description: &str) -> Option<Sandbox> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let sandbox = Sandbox::new();
    let user =
        format!("root:x:0:0::/:/bin/sh\ntelemetry:x:{TELEMETRY}:{TELEMETRY}:{description}:/:/usr/sbin/nologin\n");
    sandbox.write("/etc/passwd", user);
    sandbox.write("/etc/group", format!("root:x:0:\ntelemetry:x:{TELEMETRY}:\n"));
    Some(sandbox)
}

fn purge(sandbox: &Sandbox) {
    let done = sandbox.command("/bin/sh").arg(sandbox::project().join(SCRIPT)).arg("purge").output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

fn users(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path("/etc/passwd")).unwrap()
}

#[test]
fn records_in_another_spool_go_and_what_is_not_of_telemetry_stays() {
    let Some(sandbox) = machine("Telemetry daemon") else { return };
    sandbox.configure("#spool_dir=/var/precious\n spool_dir = /var/mine/spool \n");
    for file in
        ["/var/mine/spool/record", "/var/mine/rejected/record", "/var/precious/file", "/var/spool/rejected/file"]
    {
        sandbox.write(file, "data");
    }
    for directory in ["/var/mine/spool", "/var/precious"] {
        chown(sandbox.path(directory), Some(TELEMETRY), Some(TELEMETRY)).unwrap();
    }
    chown(sandbox.path("/var/spool/rejected"), Some(0), Some(0)).unwrap();
    purge(&sandbox);
    assert!(!sandbox.path("/var/mine/spool").exists() && !sandbox.path("/etc/telemetrics").exists());
    for kept in ["/var/mine/rejected/record", "/var/precious/file", "/var/spool/rejected/file"] {
        assert!(sandbox.path(kept).exists(), "{kept}");
    }
}

#[test]
fn only_the_user_that_the_package_made_is_deleted() {
    let Some(sandbox) = machine("Somebody") else { return };
    purge(&sandbox);
    assert!(users(&sandbox).contains("telemetry:"), "it was there before");
    let Some(sandbox) = machine("Telemetry daemon") else { return };
    purge(&sandbox);
    assert!(!users(&sandbox).contains("telemetry:"), "{}", users(&sandbox));
}
