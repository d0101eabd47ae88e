//! Reads the C header as a Rust program would, for the comparison with the
//! library's own types.

use std::env;
use std::path::Path;

fn main() {
    let header = "../../include/telemetry.h";
    println!("cargo:rerun-if-changed={header}");
    let out = env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR");
    bindgen::builder()
        .header(header)
        .allowlist_item("tm_.*|telem_.*")
        .use_core()
        .generate()
        .expect("the header is C")
        .write_to_file(Path::new(&out).join("telemetry_h.rs"))
        .expect("the bindings are written");
}
