//! Links the shared library where there is one.
//!
//! `make` sets `TELEMETRY_LIBDIR` to where it linked `libtelemetry.so`: what is
//! installed shares one library. A plain `cargo build`, which has none, links
//! the same code as Rust.

use std::env;

fn main() {
    println!("cargo:rerun-if-env-changed=TELEMETRY_LIBDIR");
    if let Ok(libdir) = env::var("TELEMETRY_LIBDIR") {
        println!("cargo:rustc-link-search=native={libdir}");
        println!("cargo:rustc-link-lib=dylib=telemetry");
        println!("cargo:rustc-cfg=shared_library");
    }
}
