//! What is installed and committed beside the library: header, pkg-config,
//! manual pages, generated files.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use libtelemetry_acceptance::{c_programs, stdout_of, succeed};
use sandbox::{installation, project};
use tempfile::TempDir;

#[test]
fn generated_files_are_up_to_date() {
    for (name, content) in generate::files().unwrap() {
        let committed = fs::read_to_string(project().join(&name)).unwrap();
        assert!(committed == content, "{name} differs from the code; run `make generate`");
    }
}

fn header_compiles(compiler: &str, standard: &str, language: &str) {
    let mut command = Command::new(compiler);
    command.args([standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-I"]);
    command.arg(installation().join("include")).args(["-x", language]);
    succeed(command.arg(c_programs().join("header.c")));
}

#[test]
fn the_header_is_clean_from_c89_to_c23() {
    for compiler in ["gcc", "clang"] {
        for standard in ["c89", "c90", "gnu89", "c99", "c11", "c17", "c2x"] {
            header_compiles(compiler, &format!("-std={standard}"), "c");
        }
    }
}

#[test]
fn a24_the_header_is_clean_from_cxx98_to_cxx23() {
    for compiler in ["g++", "clang++"] {
        for standard in ["c++98", "c++03", "c++11", "c++14", "c++17", "c++20", "c++2b"] {
            header_compiles(compiler, &format!("-std={standard}"), "c++");
        }
    }
}

#[test]
fn a24_a_cxx_program_links_without_wrapping_the_header() {
    let directory = TempDir::new().unwrap();
    for compiler in ["g++", "clang++"] {
        let program = directory.path().join(compiler);
        let mut command = Command::new(compiler);
        command.arg("-I").arg(installation().join("include")).args(["-x", "c++"]);
        command
            .arg(c_programs().join("header.c"))
            .args(["-x", "none", "-L"])
            .arg(installation().join("lib"))
            .args(["-ltelemetry", "-o"])
            .arg(&program);
        succeed(&mut command);
        succeed(Command::new(&program).env("LD_LIBRARY_PATH", installation().join("lib")));
    }
}

fn pkg_config(arguments: &[&str]) -> Command {
    let mut command = Command::new("pkg-config");
    command.args(arguments).arg("libtelemetry").env("PKG_CONFIG_PATH", installation().join("lib/pkgconfig"));
    command
}

#[test]
fn pkg_config_answers_what_build_scripts_ask() {
    succeed(&mut pkg_config(&["--exists"]));
    succeed(&mut pkg_config(&["--atleast-version=2.4"]));
    succeed(&mut pkg_config(&["--atleast-version=3.0.0"]));
    assert_eq!(stdout_of(&mut pkg_config(&["--modversion"])).trim(), env!("CARGO_PKG_VERSION"));
    let variable = |name: &str| stdout_of(&mut pkg_config(&[&format!("--variable={name}")])).trim().to_owned();
    assert_eq!(
        ["prefix", "exec_prefix", "libdir", "includedir"].map(variable),
        ["/usr/local", "/usr/local", "/usr/local/lib", "/usr/local/include"]
    );
    assert!(stdout_of(&mut pkg_config(&["--libs"])).contains("-ltelemetry"));
}

fn make_install(destination: &TempDir, variables: &[&str]) {
    let mut make = Command::new("make");
    make.arg("-s").arg("-C").arg(project()).args(["install-library"]).args(variables);
    make.arg(format!("DESTDIR={}", destination.path().display())).env_remove("MAKEFLAGS");
    succeed(&mut make);
}

#[test]
fn an_installation_can_go_to_the_directories_of_a_distribution() {
    let destination = TempDir::new().unwrap();
    let multiarch = "/usr/lib/x86_64-linux-gnu";
    // What is built in stays as it is staged, so that nothing is built again.
    let built_in = ["datadir=/usr/local/share", "tmpfilesdir=/usr/local/lib/tmpfiles.d"];
    let installed = ["prefix=/usr", &format!("libdir={multiarch}"), "mandir=/usr/share/man"];
    make_install(&destination, &[built_in.as_slice(), &installed].concat());
    let path = |path: &str| destination.path().join(path.trim_start_matches('/'));
    let library = |name: &str| path(multiarch).join(name);
    assert!(library("libtelemetry.so.4.1.0").is_file());
    for link in ["libtelemetry.so.4", "libtelemetry.so"] {
        assert_eq!(fs::read_link(library(link)).unwrap(), PathBuf::from("libtelemetry.so.4.1.0"));
    }
    assert!(library("libtelemetry.a").is_file());
    assert!(path("/usr/include/telemetry.h").is_file());
    let pc = fs::read_to_string(library("pkgconfig/libtelemetry.pc")).unwrap();
    assert!(pc.contains(&format!("libdir={multiarch}\n")) && pc.contains("prefix=/usr\n"), "{pc}");
    assert!(pc.contains("includedir=${prefix}/include\n"), "{pc}");
    for page in fs::read_dir(project().join("man3")).unwrap() {
        let name = page.unwrap().file_name();
        assert!(path("/usr/share/man/man3").join(&name).is_file(), "{name:?} is installed");
    }
}

fn manual_pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for section in ["man1", "man3", "man5", "man8"] {
        for entry in fs::read_dir(project().join(section)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension != "in") {
                pages.push(path);
            }
        }
    }
    assert!(pages.len() >= 12);
    pages
}

#[test]
fn manual_pages_are_without_warnings() {
    for page in manual_pages() {
        succeed(Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(&page));
        let mut man = Command::new("man");
        let output =
            succeed(man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&page).env("LC_ALL", "C.UTF-8"));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", page.display());
    }
}

#[test]
fn every_function_has_a_page_with_all_its_sections() {
    for function in [
        "telemetry",
        "tm_create_record",
        "tm_set_payload",
        "tm_set_event_id",
        "tm_send_record",
        "tm_free_record",
        "tm_set_config_file",
        "tm_is_opted_in",
    ] {
        let page = fs::read_to_string(project().join(format!("man3/{function}.3"))).unwrap();
        let sections = ["SYNOPSIS", "DESCRIPTION", "RETURN VALUES", "THREAD SAFETY", "EXAMPLES", "ERRORS", "SEE ALSO"];
        for section in sections {
            assert!(page.contains(&format!(".Sh {section}\n")), "{function}: {section}");
        }
    }
}

/// Pages that are named are there.
#[test]
fn references_between_our_pages_lead_somewhere() {
    let pages = manual_pages();
    let names: Vec<String> =
        pages.iter().map(|page| page.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for page in &pages {
        for line in fs::read_to_string(page).unwrap().lines() {
            let line = line.replace("\\-", "-");
            let mut words = line.split_whitespace().skip_while(|word| !["Xr", ".Xr", ".BR"].contains(word)).skip(1);
            let target = words.by_ref().take(2).map(|word| word.trim_matches(['(', ')', ',', '.'])).collect::<Vec<_>>();
            let target = target.join(".");
            let is_ours = ["hprobe", "tele", "tm_"].iter().any(|start| target.starts_with(start));
            assert!(!is_ours || names.contains(&target), "{}: {target}", page.display());
        }
    }
}

/// What a script was to fill in is filled in.
#[test]
fn documents_have_no_gaps() {
    let mut documents = vec![project().join("README.md"), project().join("CHANGELOG.md")];
    documents.extend(fs::read_dir(project().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for word in text.split_whitespace() {
            let is_gap = word.len() > 2 && word.starts_with('@') && word.ends_with('@');
            assert!(!is_gap, "{}: {word}", document.display());
        }
    }
}

#[test]
fn the_version_is_the_same_everywhere() {
    let changelog = fs::read_to_string(project().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains(&format!("## [{}]", env!("CARGO_PKG_VERSION"))), "CHANGELOG.md");
}
