//! Many senders at once, which keep count of what was acknowledged.

use std::collections::HashSet;
use std::fs::{self, File};
use std::process::{Child, Stdio};

use sandbox::Sandbox;

use crate::Program;

/// Senders, each with a number of its own; they end with this value.
pub struct Burst<'a> {
    sandbox: &'a Sandbox,
    senders: Vec<Child>,
    _program: Program,
}

impl<'a> Burst<'a> {
    /// Starts so many senders.
    pub fn start(sandbox: &'a Sandbox, count: usize) -> Self {
        let program = Program::compile("burst.c");
        let start = |number: usize| {
            let output = File::create(sandbox.path(&output_of(number))).expect("a file in the sandbox");
            let mut command = sandbox.command(&program.path);
            command.arg(number.to_string()).stdin(Stdio::null()).stdout(output).spawn().expect("bwrap")
        };
        Self { sandbox, senders: (0..count).map(start).collect(), _program: program }
    }

    /// The event ids of what was acknowledged so far. It is the payload, too.
    pub fn acknowledged(&self) -> HashSet<String> {
        let output = |number| fs::read_to_string(self.sandbox.path(&output_of(number))).expect("a sender's output");
        let ids = |text: String| -> Vec<String> {
            // A line that the end of its sender cut short is none.
            text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
        };
        (0..self.senders.len()).map(output).flat_map(ids).collect()
    }

    /// Ends the senders; gives all that was acknowledged.
    pub fn stop(mut self) -> HashSet<String> {
        self.end();
        self.acknowledged()
    }

    fn end(&mut self) {
        for sender in &mut self.senders {
            let _ = sender.kill();
            let _ = sender.wait();
        }
    }
}

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn output_of(number: usize) -> String {
    format!("/run/sent-{number}")
}
