//! `make install` and `make uninstall`.

use std::fs;
use std::path::Path;

use packaging_acceptance::{files, make, succeed};
use tempfile::TempDir;

fn install(destination: &Path, variables: &[&str]) {
    succeed(make("install").arg(format!("DESTDIR={}", destination.display())).args(variables));
}

#[test]
fn make_install_installs_what_the_manifest_lists() {
    let destination = TempDir::new().unwrap();
    install(destination.path(), &[]);
    let installed = files(destination.path());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/manifest");
    let expected = fs::read_to_string(&manifest).unwrap_or_default();
    let expected = expected.lines().map(str::to_owned).collect();
    let new: Vec<_> = installed.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&installed).collect();
    if new.is_empty() && missing.is_empty() {
        return;
    }
    let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifest");
    fs::write(&found, installed.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    panic!(
        "not listed: {new:#?}\nnot installed: {missing:#?}\nif that is as it should be: cp {} {}",
        found.display(),
        manifest.display()
    );
}

#[test]
fn make_uninstall_leaves_nothing_of_it_and_all_else() {
    let destination = TempDir::new().unwrap();
    let theirs = destination.path().join("usr/local/bin/theirs");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "").unwrap();
    let before = files(destination.path());
    install(destination.path(), &[]);
    assert!(files(destination.path()).len() > before.len() + 20);
    succeed(make("uninstall").arg(format!("DESTDIR={}", destination.path().display())));
    assert_eq!(files(destination.path()), before);
    let ours = destination.path().join("usr/local/share/defaults");
    assert!(!ours.exists(), "a directory that nothing else has");
}

#[test]
fn units_go_where_they_are_told_and_name_the_installed_program() {
    let destination = TempDir::new().unwrap();
    install(
        destination.path(),
        &["bindir=/opt/telemetry/bin", "unitdir=/etc/systemd/system", "sysusersdir=/etc/sysusers.d"],
    );
    let service = fs::read_to_string(destination.path().join("etc/systemd/system/telemd.service")).unwrap();
    assert!(service.contains("\nExecStart=/opt/telemetry/bin/telemd\n"), "{service}");
    assert!(destination.path().join("opt/telemetry/bin/telemd").exists());
    assert!(destination.path().join("etc/sysusers.d/telemetrics.conf").exists());
    let link = destination.path().join("etc/systemd/system/telemprobd.socket");
    assert!(link.exists(), "the alias leads to the unit beside it");
}

#[test]
fn presets_are_installed_only_where_the_distribution_wants_them() {
    let destination = TempDir::new().unwrap();
    install(destination.path(), &["presetdir=/etc/systemd/system-preset"]);
    let preset = destination.path().join("etc/systemd/system-preset/90-telemetrics.preset");
    assert!(fs::read_to_string(preset).unwrap().contains("enable telemd.socket"));
    let destination = TempDir::new().unwrap();
    install(destination.path(), &[]);
    assert!(!files(destination.path()).iter().any(|line| line.contains("preset")));
}

#[test]
fn nothing_that_is_installed_names_the_place_where_it_was_built() {
    let destination = TempDir::new().unwrap();
    install(destination.path(), &[]);
    let project = sandbox::project().display().to_string();
    let home = std::env::var("HOME").expect("HOME");
    for line in files(destination.path()).iter().filter(|line| !line.starts_with("link")) {
        let (_, name) = line.split_once(' ').unwrap();
        let content = fs::read(destination.path().join(name.trim_start_matches('/'))).unwrap();
        for place in [&project, &format!("{home}/.cargo")] {
            let found = content.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!found, "{name} has {place}");
        }
    }
}
