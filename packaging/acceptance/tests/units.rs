//! The units, as the service manager's own tools judge them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use packaging_acceptance::succeed;
use packaging_acceptance::unit::Unit;
use sandbox::Sandbox;
use tempfile::TempDir;

/// Names under which the C project's units are known.
const ALIASES: [(&str, &str); 5] = [
    ("telemprobd.socket", "telemd.socket"),
    ("telemprobd.service", "telemd.service"),
    ("telempostd.path", "telemd.path"),
    ("telempostd.service", "telemd.service"),
    ("telemprobd-update-trigger.service", "telemd-update-trigger.service"),
];

fn installed_units() -> Vec<String> {
    let entries = fs::read_dir(sandbox::installation().join("lib/systemd/system")).expect("units are installed");
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn systemd_analyze_verify_says_nothing_about_any_unit() {
    let sandbox = Sandbox::new();
    // The manual pages that the units name are looked for, too.
    sandbox.write("/etc/manpath.config", fs::read("/etc/manpath.config").expect("man-db is installed"));
    // Of Clear Linux.
    sandbox.write("/etc/systemd/system/update-triggers.target", "[Unit]\nDescription=Updates\n");
    let units = installed_units();
    assert!(units.len() >= 9, "{units:?}");
    let said = succeed(sandbox.command("systemd-analyze").arg("verify").args(&units));
    assert_eq!(said, "", "{units:?}");
}

#[test]
fn what_a_service_that_breaks_could_reach_is_at_most_1_5_of_10() {
    for service in ["telemd.service", "hprobe.service"] {
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=yes", "--no-pager", "--threshold=15"]);
        let report = succeed(command.arg(Unit::named(service).path));
        let overall = report.lines().find(|line| line.contains("Overall exposure level")).expect("a figure");
        println!("{} (limit 1.5)", overall.trim_start_matches(['→', ' ']));
    }
}

#[test]
fn every_unit_waits_for_the_opt_in_file() {
    for unit in Unit::all() {
        let conditions: Vec<_> = unit.values("ConditionPathExists").collect();
        assert_eq!(conditions, ["/etc/telemetrics/opt-in"], "{}", unit.name());
    }
}

#[test]
fn the_names_of_the_c_project_s_units_lead_to_ours() {
    let directory = sandbox::installation().join("lib/systemd/system");
    for (alias, unit) in ALIASES {
        assert_eq!(fs::read_link(directory.join(alias)).unwrap(), Path::new(unit));
        let known: Vec<_> =
            Unit::named(unit).values("Alias").flat_map(|value| value.split(' ')).map(String::from).collect();
        assert!(known.iter().any(|name| name == alias), "{unit}: {known:?}");
    }
}

#[test]
fn units_can_be_enabled_by_either_name_and_disabling_leaves_nothing() {
    let root = TempDir::new().unwrap();
    let units = root.path().join("usr/lib/systemd/system");
    fs::create_dir_all(&units).unwrap();
    succeed(Command::new("cp").arg("-a").arg(sandbox::installation().join("lib/systemd/system/.")).arg(&units));
    let systemctl =
        |arguments: &[&str]| succeed(Command::new("systemctl").arg("--root").arg(root.path()).args(arguments));
    let wanted = |target: &str, unit: &str| root.path().join("etc/systemd/system").join(target).join(unit).is_symlink();
    systemctl(&["enable", "telemprobd.socket", "telempostd.path"]);
    assert!(wanted("sockets.target.wants", "telemd.socket"));
    assert!(wanted("multi-user.target.wants", "telemd.path"));
    assert_eq!(systemctl(&["is-enabled", "telemd.socket", "telemd.path"]), "enabled\nenabled\n");
    systemctl(&["disable", "telemd.socket", "telemd.path"]);
    let left = packaging_acceptance::files(&root.path().join("etc"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_idle_telemd_is_woken_by_the_watchdog_at_most_once_a_minute() {
    let service = Unit::named("telemd.service");
    let interval: Vec<_> = service.values("WatchdogSec").collect();
    let minutes: u32 = interval[0].strip_suffix("min").expect("minutes").parse().unwrap();
    assert!(minutes >= 2, "telemd wakes at half of {minutes} min");
}

#[test]
fn the_user_and_the_directories_are_made_with_their_owner_and_modes() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let installed = sandbox::installation();
    let file = |path: &str| installed.join(path);
    succeed(
        Command::new("systemd-sysusers").arg("--root").arg(root.path()).arg(file("lib/sysusers.d/telemetrics.conf")),
    );
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let uid = passwd.lines().find_map(|line| line.strip_prefix("telemetry:x:")?.split(':').next());
    let uid: u32 = uid.expect("the user").parse().unwrap();
    let group = fs::read_to_string(root.path().join("etc/group")).unwrap();
    assert!(group.lines().any(|line| line.starts_with("telemetry:x:")), "{group}");

    let mut tmpfiles = Command::new("systemd-tmpfiles");
    tmpfiles.arg("--root").arg(root.path()).arg("--create").arg(file("lib/tmpfiles.d/telemetrics-dirs.conf"));
    let output = tmpfiles.output().unwrap();
    let is_root = root.path().metadata().unwrap().uid() == 0;
    assert!(output.status.success() || !is_root, "{}", String::from_utf8_lossy(&output.stderr));
    for (directory, mode) in [
        ("var/lib/telemetry", 0o755),
        ("var/spool/telemetry", 0o750),
        ("var/spool/rejected", 0o700),
        ("var/log/telemetry", 0o750),
        ("var/log/telemetry/records", 0o750),
        ("var/cache/telemetry", 0o750),
        ("var/cache/telemetry/pstore", 0o750),
    ] {
        let Ok(metadata) = root.path().join(directory).metadata() else {
            assert!(!is_root, "{directory} is not made");
            continue; // Only root can give directories away.
        };
        assert_eq!(metadata.mode() & 0o7777, mode, "{directory}");
        assert!(metadata.uid() == uid || !is_root, "{directory} is of uid {}", metadata.uid());
    }
}
