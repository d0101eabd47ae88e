//! The whole way, measured: senders, telemd and an HTTPS server on the same two
//! cores, beside what the HTTP library can do with nothing else to do.
//!
//! Every experiment is done in every round, so that what the machine does
//! meanwhile meets all of them, and medians are printed. Targets are printed,
//! too, and never asserted.
//!
//! usage: delivery [--rounds NUMBER] [EXPERIMENT...]

mod authority;
mod ceiling;
mod experiments;
mod load;
mod machine;
mod sink;
mod table;

use std::env;

use experiments::{EXPERIMENTS, Workshop};
use sink::Scheme;
use table::Table;

const ROUNDS: usize = 3;

fn main() {
    let (mut rounds, mut words) = (ROUNDS, Vec::new());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo adds it.
            "--bench" => {}
            "--rounds" => {
                let number = arguments.next().and_then(|number| number.parse().ok());
                rounds = number.filter(|rounds| *rounds > 0).expect("--rounds NUMBER, at least 1");
            }
            _ => words.push(argument),
        }
    }
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    if let Some(unknown) = words.iter().find(|word| EXPERIMENTS.iter().all(|experiment| experiment.name != *word)) {
        panic!(
            "no experiment is named {unknown}; there are {}",
            EXPERIMENTS.map(|experiment| experiment.name).join(", ")
        );
    }
    machine::stay_on_two_cores();
    let workshop = Workshop::new();
    let mut table = Table::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for experiment in EXPERIMENTS.iter().filter(|experiment| is_wanted(experiment.name)) {
            for scheme in [Scheme::Https, Scheme::Http] {
                table.add(experiment, scheme, (experiment.run)(&workshop, scheme));
            }
        }
    }
    println!("Delivery, medians of {rounds} rounds (least to most); {}", machine::description());
    println!("{}", experiments::description());
    print!("{table}");
}
