//! Tells the linker the name and the symbol versions of the shared object.
//!
//! They are given here and not in RUSTFLAGS, so that a distribution's own
//! flags cannot lose them. LLD is asked for because rustc brings a version
//! script of its own, and GNU ld does not take two.

use std::env;

fn main() {
    let map = format!("{}/libtelemetry.map", env::var("CARGO_MANIFEST_DIR").expect("Cargo sets CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed={map}");
    for argument in [
        "-fuse-ld=lld",
        "-nostartfiles",
        "-Wl,-soname,libtelemetry.so.4",
        &format!("-Wl,--version-script={map}"),
        "-Wl,-z,defs,-z,relro,-z,now",
        "-Wl,--gc-sections,--as-needed,--hash-style=gnu,--build-id",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}
