//! The shared library as a file: names, versions, needs, size; linked by Cargo
//! and by the C compiler alike.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use libtelemetry_acceptance::{stdout_of, succeed};
use sandbox::{installation, project};
use tempfile::TempDir;

/// What old binaries look for.
const SYMBOLS: [&str; 7] = [
    "tm_create_record@@TM_3_0_0",
    "tm_free_record@@TM_2_0_0",
    "tm_is_opted_in@@TM_4_1_0",
    "tm_send_record@@TM_3_0_0",
    "tm_set_config_file@@TM_1_0_0",
    "tm_set_event_id@@TM_4_0_0",
    "tm_set_payload@@TM_3_0_0",
];
const VERSIONS: [&str; 5] = ["TM_1_0_0", "TM_2_0_0", "TM_3_0_0", "TM_4_0_0", "TM_4_1_0"];
/// All that the library may call. Nothing of this ends the process (abort,
/// exit, raise), unwinds, prints to a standard stream, or asks the locale.
const IMPORTS: [&str; 30] = [
    "__cxa_finalize",
    "__errno_location",
    "bcmp",
    "clock_gettime",
    "close",
    "connect",
    "free",
    "getpid",
    "getrandom",
    "malloc",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "nanosleep",
    "open",
    "poll",
    "pthread_setcancelstate",
    "read",
    "realloc",
    "recv",
    "secure_getenv",
    "send",
    "setsockopt",
    "socket",
    "stat",
    "strlen",
    "strnlen",
    "syslog",
    "uname",
];
/// What `make` builds.
const SIZE_MAX: u64 = 24_000;
/// GNU ld fills up the file so that what it makes read-only ends with a page.
const PADDED_SIZE_MAX: u64 = 28_000;
const C_LIBRARY_SIZE: u64 = 35_288;

fn installed() -> PathBuf {
    installation().join("lib/libtelemetry.so.4")
}

/// The library that `make LINK=cc` makes, once for all tests.
fn linked_by_cc() -> &'static Path {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let build = project().join("target/link-cc");
        let mut make = Command::new("make");
        make.arg("-s").arg("-C").arg(project()).args(["library", "LINK=cc"]);
        make.arg(format!("BUILD={}", build.display())).env_remove("MAKEFLAGS");
        succeed(&mut make);
        build.join("release/linked/libtelemetry.so.4")
    });
    &LIBRARY
}

fn nm(library: &Path, options: &[&str]) -> Vec<String> {
    let output = stdout_of(Command::new("nm").args(["-D", "--with-symbol-versions"]).args(options).arg(library));
    let mut names: Vec<String> = output
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        // GNU ld lists the versions themselves as absolute symbols.
        .filter(|name| !name.starts_with("TM_"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn readelf(options: &str, library: &Path) -> String {
    stdout_of(Command::new("readelf").arg("-W").arg(options).arg(library))
}

fn stripped_size(library: &Path) -> u64 {
    let directory = TempDir::new().unwrap();
    let stripped = directory.path().join("stripped.so");
    succeed(Command::new("strip").arg(library).arg("-o").arg(&stripped));
    stripped.metadata().unwrap().len()
}

fn check_library(library: &Path, size_max: u64) {
    assert_eq!(nm(library, &["--defined-only"]), SYMBOLS);

    let definitions = version_definitions(library);
    for version in VERSIONS {
        assert!(definitions.contains(&format!("Name: {version}\n")), "{definitions}");
    }

    let dynamic = readelf("--dynamic", library);
    let entries = |tag: &str| dynamic.lines().filter(|line| line.contains(&format!("({tag})"))).collect::<Vec<_>>();
    let needed = entries("NEEDED");
    assert!(needed.len() == 1 && needed[0].ends_with("[libc.so.6]"), "{needed:?}");
    assert!(entries("SONAME")[0].ends_with("[libtelemetry.so.4]"));
    assert!(entries("FLAGS_1")[0].contains("NOW"), "every name is resolved at load");
    assert!(entries("TEXTREL").is_empty() && entries("RPATH").is_empty() && entries("RUNPATH").is_empty());
    let segments = readelf("--program-headers", library);
    assert!(segments.contains("GNU_RELRO"));
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).unwrap();
    assert!(stack.contains(" RW ") && !stack.contains("RWE"), "{stack}");

    let imports = nm(library, &["--undefined-only"]);
    for import in &imports {
        let name = import.split('@').next().unwrap();
        assert!(IMPORTS.contains(&name), "a10, a14, a19: the library imports {name}");
    }

    let size = stripped_size(library);
    println!("{}: stripped {size} bytes (limit {size_max}, the C library {C_LIBRARY_SIZE})", library.display());
    println!("exports {}\nimports {}", SYMBOLS.join(" "), imports.join(" "));
    assert!(size <= size_max);
}

fn version_definitions(library: &Path) -> String {
    let info = readelf("--version-info", library);
    info.split_once("Version needs").unwrap().0.to_owned()
}

#[test]
fn a25_the_library_linked_by_cargo_needs_the_c_library_only() {
    check_library(&installed(), SIZE_MAX);
}

#[test]
fn a25_the_library_linked_by_the_c_compiler_needs_the_c_library_only() {
    check_library(linked_by_cc(), PADDED_SIZE_MAX);
}

/// LLD does not write down which version comes after which; no loader reads
/// it. GNU ld does.
#[test]
fn each_version_follows_the_one_before() {
    let definitions = version_definitions(linked_by_cc());
    for (before, version) in VERSIONS.iter().zip(&VERSIONS[1..]) {
        let (_, after) = definitions.split_once(&format!("Name: {version}\n")).unwrap();
        let parent = after.lines().next().unwrap();
        assert!(parent.contains("Parent 1:") && parent.ends_with(*before), "{version}: {parent}");
    }
}

/// Opens the library as a plug-in does, with every name resolved.
#[test]
fn both_libraries_can_be_opened_and_used() {
    for library in [installed().as_path(), linked_by_cc()] {
        let script = "import ctypes, os, sys\n\
            library = ctypes.CDLL(sys.argv[1], os.RTLD_NOW | os.RTLD_LOCAL)\n\
            record = ctypes.c_void_p()\n\
            assert library.tm_create_record(ctypes.byref(record), 1, b'a/b/c', 1) == 0\n\
            library.tm_free_record(record)\n";
        succeed(Command::new("python3").args(["-c", script]).arg(library));
    }
}

#[test]
fn the_archive_has_no_other_global_names() {
    let archive = installation().join("lib/libtelemetry.a");
    let output = stdout_of(Command::new("nm").args(["--defined-only", "--extern-only"]).arg(archive));
    let mut names: Vec<_> =
        output.lines().filter(|line| line.contains(' ')).filter_map(|line| line.split(' ').next_back()).collect();
    names.sort_unstable();
    assert_eq!(names, SYMBOLS.map(|symbol| symbol.split('@').next().unwrap()));
}

fn link_with_panic_proof(directory: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(project()).args(["build", "--locked", "--release", "-p", "libtelemetry-cdylib"]);
    cargo.env("CARGO_TARGET_DIR", format!("target/{directory}")).env("RUSTFLAGS", "--cfg panic_proof");
    let output = cargo.envs(variables.iter().copied()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A panic handler that calls a function which does not exist can be linked
/// only if no path leads to it.
#[test]
fn no_path_leads_to_a_panic() {
    let (links, errors) = link_with_panic_proof("panic-proof", &[]);
    assert!(links, "{errors}");
}

/// Without optimization, every checked addition keeps its path to a panic.
#[test]
fn the_proof_sees_paths_to_a_panic() {
    let unoptimized = [("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"), ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")];
    let (links, errors) = link_with_panic_proof("panic-proof-control", &unoptimized);
    assert!(!links && errors.contains("a_path_to_the_panic_handler_is_left"), "{errors}");
}
