//! What was acknowledged survives `kill -9` of the daemon, at any instant.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use collector::Collector;
use libtelemetry_acceptance::burst::Burst;
use sandbox::Sandbox;

const SENDERS: usize = 8;
const KILLS: u64 = 20;

#[test]
fn eight_senders_and_twenty_kills_lose_nothing() {
    let collector = Collector::start().unwrap();
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    sandbox.configure(&format!("server={}\nspool_max_size=-1\nrate_limit_enabled=false", collector.url()));
    let mut telemd = sandbox.start_telemd();
    let burst = Burst::start(&sandbox, SENDERS);
    for _ in 0..KILLS {
        let microseconds = RandomState::new().hash_one(0) % 180_000;
        thread::sleep(Duration::from_micros(20_000 + microseconds));
        telemd.kill();
        telemd = sandbox.start_telemd();
    }
    let acknowledged = burst.stop();

    // By record id, as a collector that wants each record once.
    let mut stored: HashMap<String, usize> = HashMap::new();
    let mut record_ids = HashSet::new();
    let mut posts = 0;
    let deadline = Instant::now() + Duration::from_secs(120);
    while !acknowledged.iter().all(|id| stored.contains_key(id)) && Instant::now() < deadline {
        let Ok(received) = collector.received().recv_timeout(Duration::from_secs(10)) else { break };
        posts += 1;
        if record_ids.insert(received.header("x-telemetry-record-id").unwrap()) {
            *stored.entry(received.header("event-id").unwrap()).or_default() += 1;
        }
    }
    let lost = acknowledged.iter().filter(|id| !stored.contains_key(*id)).count();
    let twice = stored.values().filter(|count| **count > 1).count();
    println!("{KILLS} kills: {} acknowledged, {lost} lost, {twice} stored twice, {posts} requests", acknowledged.len());
    assert!(acknowledged.len() > 500, "there was work to be lost");
    assert_eq!((lost, twice), (0, 0));
}
