//! Prints its address, and then every record that it receives.

use std::io::Write;

use collector::Collector;

fn main() -> std::io::Result<()> {
    let collector = Collector::start()?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", collector.url())?;
    for received in collector.received() {
        writeln!(out, "{}", received.request)?;
        for (name, value) in &received.headers {
            writeln!(out, "{name}: {}", String::from_utf8_lossy(value))?;
        }
        writeln!(out, "\n{}", String::from_utf8_lossy(&received.body))?;
    }
    Ok(())
}
