//! What the figures depend on: the cores, and the file system of the spool.

use std::env;
use std::process::Command;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

const CORES: usize = 2;

fn allowed_cores() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("the cores that this process may use");
    (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()
}

/// Takes this process, and all that it will start, to two cores.
pub(crate) fn stay_on_two_cores() {
    let mut set = CpuSet::new();
    for core in allowed_cores().into_iter().take(CORES) {
        set.set(core).expect("a core that the kernel named");
    }
    sched_setaffinity(Pid::from_raw(0), &set).expect("cores that this process may use");
}

/// One line for the head of the table.
pub(crate) fn description() -> String {
    let directory = env::temp_dir();
    let output = Command::new("findmnt").args(["-n", "-o", "FSTYPE", "-T"]).arg(&directory).output();
    let kind = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    // Where several are mounted over each other, the last is seen.
    let kind = kind.lines().last().unwrap_or("unknown");
    format!(
        "all on {} cores; the spool is below {} (file system: {kind}), synced every 5 s as by default",
        allowed_cores().len(),
        directory.display()
    )
}
