//! Writes the generated files.

use anyhow::{Context, Result};

fn main() -> Result<()> {
    for (name, content) in generate::files()? {
        let path = generate::root().join(&name);
        std::fs::write(&path, content).with_context(|| path.display().to_string())?;
        println!("{name}");
    }
    Ok(())
}
