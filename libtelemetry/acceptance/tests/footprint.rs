//! What telemd costs the machine.

use std::fs;
use std::time::Duration;

use collector::Collector;
use collector::certificates::{Authority, Subject};
use libtelemetry_acceptance::memory::Memory;
use libtelemetry_acceptance::site::Site;

const PATIENCE: Duration = Duration::from_secs(10);
/// 6 MB, in KiB.
const RESIDENT_MAX: u64 = 6_000_000 / 1024;
/// More than one connection's buffers see.
const RECORDS: usize = 50;

/// Sends records over TLS; what is resident afterwards.
fn resident_after_delivery(site: &Site) -> Memory {
    let telemd = site.sandbox.start_telemd();
    for number in 0..RECORDS {
        site.send(&format!("{number} {}", "x".repeat(8000)));
    }
    site.take(RECORDS, PATIENCE);
    site.wait_until_the_spool_is_empty();
    Memory::of(telemd.pid())
}

fn site_of(authority: &Authority) -> Site {
    Site::new(Collector::start_tls(&authority.sign(Subject::host("127.0.0.1"))).unwrap())
}

#[test]
fn rss_after_a_tls_delivery_is_at_most_6_mb() {
    let authority = Authority::new("Site");
    let by_cainfo = site_of(&authority);
    by_cainfo.sandbox.write("/etc/site.pem", authority.pem());
    by_cainfo.configure("cainfo=/etc/site.pem");

    // As Debian has it: one file with all, and a link to each.
    let mut by_system = site_of(&authority);
    let bundle = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").expect("Debian's ca-certificates");
    let certificates = bundle.matches("BEGIN CERTIFICATE").count();
    assert!(certificates > 100, "as on a real machine, not {certificates}");
    by_system.sandbox.write("/var/certs/ca-certificates.crt", bundle + &authority.pem());
    for entry in fs::read_dir("/etc/ssl/certs").unwrap() {
        let entry = entry.unwrap();
        if let Ok(target) = fs::read_link(entry.path()) {
            let link = by_system.sandbox.path("/var/certs").join(entry.file_name());
            std::os::unix::fs::symlink(target, link).unwrap();
        }
    }
    by_system.sandbox.mount("/var/certs", "/etc/ssl/certs");

    for (site, roots) in [(by_cainfo, "cainfo"), (by_system, "those of the system")] {
        let memory = resident_after_delivery(&site);
        println!(
            "RSS after {RECORDS} records over TLS, certificates of {roots}: {} bytes (limit {} bytes), peak {} bytes",
            memory.now * 1024,
            RESIDENT_MAX * 1024,
            memory.peak * 1024
        );
        assert!(memory.now <= RESIDENT_MAX, "{roots}: {memory:?}");
    }
}
