//! The committed files that are made from the code: the C header, the sample
//! configuration and the manual page of its keys, the manual pages and shell
//! completions of the programs.
//!
//! `make generate` writes them; a test compares.

mod commands;
mod programs;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};

/// The root of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every generated file: its path below the root, and its content.
pub fn files() -> Result<Vec<(String, String)>> {
    let mut files = programs::files()?;
    files.extend([
        ("include/telemetry.h".to_owned(), header()?),
        ("packaging/telemetrics.conf".to_owned(), record::config::sample_file()),
        ("man5/telemetrics.conf.5".to_owned(), configuration_manual()?),
    ]);
    Ok(files)
}

const BANNER: &str = "\
/*
 * telemetry.h: hand telemetry records to the telemetry daemon.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Made from libtelemetry/src/capi.rs by `make generate`. Do not edit.
 *
 * Compile with `cc program.c -ltelemetry`, or with the flags of
 * `pkg-config --cflags --libs libtelemetry`.
 *
 * No function writes to a standard stream, raises a signal or ends the
 * process. Strings are copied; they are not written to, although their type is
 * not const, which programs that store these functions in typed pointers rely
 * on. What a record holds belongs to the library and is released by
 * tm_free_record(). errno is left undefined.
 *
 * See telemetry(3).
 */";

/// The C header.
fn header() -> Result<String> {
    let path = root().join("libtelemetry/src/capi.rs");
    let source = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    // The functions get their C names in libtelemetry-cdylib, so that they keep
    // their symbol versions; for cbindgen they must look exported.
    let source = source.replace("cfg_attr(cbindgen, unsafe(no_mangle))", "unsafe(no_mangle)");
    let source = without_safety_sections(&source);
    let parsed = std::env::temp_dir().join(format!("telemetry-capi-{}.rs", std::process::id()));
    std::fs::write(&parsed, source)?;
    let mut config = Config {
        language: Language::C,
        style: Style::Tag,
        cpp_compat: true,
        documentation_style: DocumentationStyle::Doxy,
        include_guard: Some("TELEMETRY_H".into()),
        no_includes: true,
        sys_includes: vec!["stdbool.h".into(), "stdint.h".into()],
        header: Some(BANNER.into()),
        after_includes: Some(PRIVATE_TYPE.into()),
        ..Config::default()
    };
    // Not defined in that file: the record stays private.
    config.export.rename.insert("telem_record".into(), "struct telem_record".into());
    let bindings = Builder::new().with_config(config).with_src(&parsed).generate();
    std::fs::remove_file(&parsed)?;
    let mut text = Vec::new();
    bindings?.write(&mut text);
    Ok(without_line_comments(&String::from_utf8(text)?))
}

const PRIVATE_TYPE: &str = "
/** A record. Its content is private. */
struct telem_record;";

/// cbindgen ends lines with comments that C89 does not know.
fn without_line_comments(header: &str) -> String {
    let comment = |line: &str| match line.split_once("//") {
        Some((code, comment)) => format!("{code}/* {} */\n", comment.trim()),
        None => format!("{line}\n"),
    };
    header.lines().map(comment).collect()
}

/// Drops the `# Safety` sections: they speak to Rust.
fn without_safety_sections(source: &str) -> String {
    let mut in_section = false;
    let mut kept = Vec::<&str>::new();
    for line in source.lines() {
        if line.trim() == "/// # Safety" {
            in_section = true;
            while kept.last().is_some_and(|line| line.trim() == "///") {
                kept.pop();
            }
        }
        in_section &= line.trim_start().starts_with("///");
        if !in_section {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// The manual page of the configuration file: its keys replace a line of the
/// written part.
fn configuration_manual() -> Result<String> {
    let path = root().join("man5/telemetrics.conf.5.in");
    let written = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(written.replace("@KEYS@\n", &record::config::manual_entries()))
}
