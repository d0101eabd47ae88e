//! The ABI, compared by tools that know ABIs.

use std::ffi::{c_char, c_int};
use std::mem::{align_of, offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

use libtelemetry_acceptance::{c_programs, stdout_of, succeed, telemetry_h};
use sandbox::{Sandbox, project};
use tempfile::TempDir;

/// The library with the descriptions of all its types.
fn described_library() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(project()).args(["build", "--locked", "--release", "-p", "libtelemetry-cdylib"]);
    cargo.env("CARGO_TARGET_DIR", "target/abi").env("CARGO_PROFILE_RELEASE_DEBUG", "full");
    succeed(&mut cargo);
    project().join("target/abi/release/libtelemetry.so")
}

/// What differs between two libraries, or descriptions, beyond the names of
/// types, which are Rust's here. Newer releases of abidiff list those, older
/// ones filter them.
fn differences(old: &Path, new: &Path) -> Vec<String> {
    const FAILED: i32 = 1 | 2;
    let output = Command::new("abidiff").arg(old).arg(new).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code().unwrap() & FAILED, 0, "{report}");
    let is_difference = |line: &&str| {
        let is_unchanged = line.contains(" 0 Removed") && line.contains(" 0 Added");
        let symbols_changed = line.starts_with("Functions changes") && !is_unchanged;
        let words = [
            "size changed",
            "offset changed",
            "insertion",
            "deletion",
            "parameter removed",
            "parameter added",
            "SONAME changed",
        ];
        symbols_changed || words.iter().any(|word| line.contains(word))
    };
    report.lines().filter(is_difference).map(str::to_owned).collect()
}

#[test]
fn abidiff_finds_the_abi_that_old_programs_rely_on() {
    let description = project().join("ci/abi/libtelemetry.so.4.abi");
    let library = described_library();
    let corpus = stdout_of(Command::new("abidw").arg(&library));
    assert!(corpus.contains("class-decl name='telem_record'"), "the types are described");
    assert_eq!(differences(&description, &library), Vec::<String>::new());
}

/// The reference of `ci/abi` with one change, as a library.
fn changed_reference(directory: &Path, from: &str, to: &str) -> PathBuf {
    let abi = project().join("ci/abi");
    for file in ["telemetry.h", "reference.c"] {
        let text = std::fs::read_to_string(abi.join(file)).unwrap().replace(from, to);
        std::fs::write(directory.join(file), text).unwrap();
    }
    let library = directory.join("reference.so");
    let mut cc = Command::new("cc");
    cc.args(["-g", "-shared", "-fPIC", "-I"]).arg(directory).arg(directory.join("reference.c")).arg("-o").arg(&library);
    cc.arg(format!("-Wl,--version-script={}", abi.join("reference.map").display()));
    succeed(cc.arg("-Wl,-soname,libtelemetry.so.4"));
    library
}

#[test]
fn abidiff_would_find_a_change() {
    let library = described_library();
    for (from, to) in [
        ("uint32_t severity", "uint64_t severity"),
        ("char *headers[15]", "char *headers[16]"),
        ("size_t payload_size;", "size_t payload_size, more;"),
        ("int tm_is_opted_in(void)", "long tm_is_opted_in(void)"),
        ("tm_set_event_id", "tm_set_event_name"),
    ] {
        let directory = TempDir::new().unwrap();
        let changed = changed_reference(directory.path(), from, to);
        assert_ne!(differences(&changed, &library), Vec::<String>::new(), "{to}");
    }
}

/// bindgen's reading of the header has the same types as the library's code:
/// each assignment compiles only if the types are the same but for the name of
/// the handle, whose layout is compared.
#[test]
fn the_header_declares_the_librarys_own_signatures() {
    use libtelemetry::capi as own;
    use telemetry_h as header;

    type Create<H> = unsafe extern "C" fn(*mut *mut H, u32, *mut c_char, u32) -> c_int;
    type Set<H> = unsafe extern "C" fn(*mut H, *mut c_char) -> c_int;
    type Send<H> = unsafe extern "C" fn(*mut H) -> c_int;
    type Free<H> = unsafe extern "C" fn(*mut H);
    type SetConfigFile = unsafe extern "C" fn(*const c_char) -> c_int;

    let _: (Create<own::telem_ref>, Create<header::telem_ref>) = (own::tm_create_record, header::tm_create_record);
    let _: (Set<own::telem_ref>, Set<header::telem_ref>) = (own::tm_set_payload, header::tm_set_payload);
    let _: (Set<own::telem_ref>, Set<header::telem_ref>) = (own::tm_set_event_id, header::tm_set_event_id);
    let _: (Send<own::telem_ref>, Send<header::telem_ref>) = (own::tm_send_record, header::tm_send_record);
    let _: (Free<own::telem_ref>, Free<header::telem_ref>) = (own::tm_free_record, header::tm_free_record);
    let _: [SetConfigFile; 2] = [own::tm_set_config_file, header::tm_set_config_file];
    let _: (extern "C" fn() -> c_int, unsafe extern "C" fn() -> c_int) = (own::tm_is_opted_in, header::tm_is_opted_in);

    assert_eq!(size_of::<own::telem_ref>(), size_of::<header::telem_ref>());
    assert_eq!(align_of::<own::telem_ref>(), align_of::<header::telem_ref>());
    assert_eq!(offset_of!(own::telem_ref, record), offset_of!(header::telem_ref, record));
    assert_eq!(size_of::<libtelemetry::telem_record>(), 18 * size_of::<usize>());
}

/// Programs that were compiled against the C project's library need these
/// names, versions and types, and run on the library of today.
#[test]
fn a_program_compiled_against_the_frozen_interface_runs_on_todays_library() {
    let directory = TempDir::new().unwrap();
    let reference = changed_reference(directory.path(), "", "");
    let program = directory.path().join("program");
    let mut cc = Command::new("cc");
    cc.arg("-I").arg(directory.path()).arg("-I").arg(c_programs()).arg(c_programs().join("headers.c"));
    succeed(cc.arg(reference).arg("-o").arg(&program));
    let versions = stdout_of(Command::new("readelf").arg("-W").arg("--version-info").arg(&program));
    assert!(versions.contains("TM_3_0_0") && versions.contains("TM_2_0_0"), "{versions}");
    let sandbox = Sandbox::new();
    let output = stdout_of(sandbox.command(program).stdin(std::process::Stdio::null()));
    assert!(output.starts_with("record_format_version: 4\nclassification: a/b/c\nseverity: 1\n"), "{output}");
}
