//! A spool in which very much waits: telemd is there at once, and takes no more
//! memory for it.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use libtelemetry_acceptance::client::{frame, header_block, send};
use libtelemetry_acceptance::machine::{Machine, SPOOL};

const MANY: usize = 100_000;
const FEW: usize = 1000;
const START_MAX: Duration = Duration::from_secs(2);
/// What more records may add to the memory of the process, in kB: what the
/// allocator gives back or keeps differs by so much from run to run.
const GROWTH_MAX: u64 = 512;

/// What starting with so many records took.
struct Started {
    until_it_listens: Duration,
    /// What that took of the processor: on a busy machine, much less.
    processor_time: Duration,
    until_the_first_answer: Duration,
    /// The most memory that was ever resident, in kB.
    memory: u64,
}

fn start_with(count: usize) -> Started {
    // The size of the spool counts, and is not reached.
    let machine = Machine::configured("spool_max_size=4000000");
    machine.collector.answer_with(503);
    let spool = machine.sandbox.path(SPOOL);
    let record = [&header_block("2"), b"waits\n".as_slice()].concat();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as usize;
    for number in 0..count {
        // Half of them as the C daemons name them: their time must be looked at.
        let name = match number % 2 {
            0 => format!("{:020}-o-{number:08x}", now + number),
            _ => format!("{number:06}"),
        };
        fs::write(spool.join(name), &record).unwrap();
    }
    let begin = Instant::now();
    let telemd = machine.sandbox.start_telemd();
    let until_it_listens = begin.elapsed();
    let processor_time = telemd.processor_time();
    let begin = Instant::now();
    assert_eq!(send(&machine.sandbox, &frame(None, "2", b"new")), Some(0));
    let until_the_first_answer = begin.elapsed();
    assert_eq!(machine.receive().body, b"waits\n");
    assert_eq!(machine.spooled().len(), count + 1);
    Started { until_it_listens, processor_time, until_the_first_answer, memory: telemd.kilobytes("VmHWM") }
}

#[test]
fn telemd_listens_at_once_and_needs_no_more_memory_however_much_is_spooled() {
    let (few, many) = (start_with(FEW), start_with(MANY));
    for (count, started) in [(FEW, &few), (MANY, &many)] {
        println!(
            "{count} spooled records: listens after {:.2} s, {:.2} s of the processor (limit {} s), first record taken \
             after {:.2} s more, at most {} kB resident",
            started.until_it_listens.as_secs_f64(),
            started.processor_time.as_secs_f64(),
            START_MAX.as_secs(),
            started.until_the_first_answer.as_secs_f64(),
            started.memory
        );
    }
    assert!(many.processor_time <= START_MAX);
    assert!(many.memory <= few.memory + GROWTH_MAX, "memory grows with the number of records");
}
