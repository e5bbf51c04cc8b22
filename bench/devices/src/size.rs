//! How much of a microcontroller's memory the client takes.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use nano_nats::Session;
use object::{Object as _, ObjectSection as _};

/// Prints a table: the sections of each program, and what they are more than the first one's.
pub(crate) fn print(programs: &[PathBuf]) -> anyhow::Result<()> {
    println!("\nNATS, bytes of flash on a Cortex-M0, linked, opt-level z, fat LTO, panic-halt");
    println!(
        "{:16} {:>8} {:>8} {:>16}",
        "program", ".text", ".rodata", "more than first"
    );
    let mut first = None;
    for program in programs {
        let bytes = fs::read(program);
        let bytes = bytes.with_context(|| format!("cannot read {}", program.display()))?;
        let file = object::File::parse(bytes.as_slice());
        let file = file.with_context(|| format!("{} is no program", program.display()))?;
        let size = |name| {
            file.section_by_name(name)
                .map_or(0, |section| section.size())
        };
        let (text, constants) = (size(".text"), size(".rodata"));
        let first = *first.get_or_insert(text + constants);
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let more = (text + constants).saturating_sub(first);
        println!("{name:16} {text:>8} {constants:>8} {more:>16}");
    }
    let session = size_of::<Session<512, 512, 4, 48>>();
    println!(
        "a session of 512 bytes in, 512 out and 4 subscriptions of 48: {session} bytes (64-bit)"
    );
    Ok(())
}
