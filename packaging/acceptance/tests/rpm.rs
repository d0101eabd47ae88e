//! The RPM packages: built, listed, and installed for a try into an empty
//! database.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use packaging_acceptance::build::{VERSION, packages, packages_elsewhere, with_ending};
use packaging_acceptance::{files, succeed};
use tempfile::TempDir;

/// What the packages may need of a system, as the beginning of its name.
const OF_THE_SYSTEM: [&str; 7] =
    ["/bin/sh", "/usr/bin/pkg-config", "ld-linux", "libc.so.6(", "libgcc_s.so.1(", "rtld(GNU_HASH)", "systemd"];

/// The directory of the packages, which are built once.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| packages("rpm"))
}

fn binary_packages() -> Vec<PathBuf> {
    let packages = with_ending(&built().join("RPMS"), ".rpm");
    assert_eq!(packages.len(), 3, "{packages:?}");
    packages
}

/// The files of a package, without those that every package of RPM has.
fn listed(package: &Path) -> BTreeSet<String> {
    let list = succeed(Command::new("rpm").args(["--query", "--list", "--package"]).arg(package));
    let of_rpm = ["/usr/share/doc/", "/usr/share/licenses/", "/usr/lib/.build-id"];
    let names = list.lines().filter(|name| !of_rpm.iter().any(|start| name.starts_with(start)));
    names.map(str::to_owned).collect()
}

#[test]
fn the_packages_divide_what_make_install_installs() {
    let staged = files(&sandbox::project().join("target/stage"));
    let names = staged.iter().filter_map(|line| line.split(' ').nth(1));
    let installed: BTreeSet<_> = names
        .map(|name| name.replace("/usr/local/", "/usr/"))
        .map(|name| name.replace("/usr/lib/libtelemetry", "/usr/lib64/libtelemetry"))
        .map(|name| name.replace("/usr/lib/pkgconfig", "/usr/lib64/pkgconfig"))
        .collect();
    let mut packaged = BTreeSet::new();
    for package in binary_packages() {
        for name in listed(&package) {
            assert!(packaged.insert(name.clone()), "{name} is in two packages");
        }
    }
    for directory in ["/usr/share/defaults", "/usr/share/defaults/telemetrics"] {
        assert!(packaged.remove(directory), "{directory} has no owner");
    }
    assert_eq!(packaged, installed);

    let library = listed(&built().join(format!("RPMS/x86_64/libtelemetry-{VERSION}-1.x86_64.rpm")));
    assert_eq!(library, ["/usr/lib64/libtelemetry.so.4", "/usr/lib64/libtelemetry.so.4.1.0"].map(String::from).into());
}

#[test]
fn an_installation_lacks_nothing_but_what_every_system_has() {
    let root = TempDir::new().unwrap();
    let install = |options: &[&str]| {
        let mut command = Command::new("rpm");
        // Debian's rpm has to be told that it is meant.
        command.args(["--force-debian", "--root"]).arg(root.path()).args(["--test", "--install"]);
        command.args(options).args(binary_packages()).output().expect("rpm")
    };
    let output = install(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    let missing: Vec<_> = said.lines().filter_map(|line| line.trim().split_once(" is needed by ")).collect();
    assert!(!missing.is_empty(), "an empty system has no C library: {said}");
    for (what, package) in missing {
        assert!(OF_THE_SYSTEM.iter().any(|name| what.starts_with(name)), "{package} needs {what}");
    }
    let output = install(&["--nodeps"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_licences_of_the_crates_are_in_the_licence_of_the_package() {
    let package = built().join(format!("RPMS/x86_64/telemetrics-client-{VERSION}-1.x86_64.rpm"));
    let licence = succeed(Command::new("rpm").args(["--query", "--queryformat=%{license}", "--package"]).arg(&package));
    let tarball = built().join(format!("SOURCES/telemetrics-client-{VERSION}.tar.xz"));
    let name = format!("telemetrics-client-{VERSION}/packaging/rpm/LICENSE.dependencies");
    let list = succeed(Command::new("tar").args(["-x", "-O", "-f"]).arg(tarball).arg(name));
    assert!(list.lines().count() > 20, "{list}");
    let provided = succeed(Command::new("rpm").args(["--query", "--provides", "--package"]).arg(&package));
    for line in list.lines() {
        let (krate, expression) = line.split_once(": ").unwrap();
        let (name, version) = krate.split_once(' ').unwrap();
        let bundled = format!("bundled(crate({name})) = {version}");
        assert!(provided.lines().any(|line| line == bundled), "{bundled}: {provided}");
        for one in expression.split([' ', '(', ')']).filter(|word| !["", "AND", "OR"].contains(word)) {
            assert!(licence.contains(one), "{krate}: {one} is not in {licence}");
        }
    }
}

#[test]
fn two_builds_in_different_directories_give_the_same_packages() {
    let elsewhere = TempDir::new().unwrap();
    let again = packages_elsewhere("rpm", elsewhere.path());
    let second = with_ending(&again.join("RPMS"), ".rpm");
    assert_eq!(second.len(), 3);
    for (first, second) in binary_packages().iter().zip(second) {
        assert!(fs::read(first).unwrap() == fs::read(&second).unwrap(), "{} differs", second.display());
        println!("{} bytes, twice: {}", fs::metadata(first).unwrap().len(), first.file_name().unwrap().display());
    }
}
