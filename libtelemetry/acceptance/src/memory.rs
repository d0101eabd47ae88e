//! The memory of a process, as the kernel counts it.

use std::fs;

/// What is in memory, in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub now: u64,
    /// The most so far (`VmHWM`).
    pub peak: u64,
}

impl Memory {
    /// Of this process.
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix(" kB"));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("{name} in {status}"))
        };
        Self { now: kibibytes("VmRSS:"), peak: kibibytes("VmHWM:") }
    }
}
