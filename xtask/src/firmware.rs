//! `cargo xtask firmware`: the programs for microcontrollers, workspaces of their own, into `build/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use fieldledger_site::Artifacts;
use object::{Object as _, ObjectSection as _};

use crate::setup::BARE_TARGETS;
use crate::{artifacts, program};

/// The folders of the programs.
const FOLDERS: [&str; 2] = ["firmware/emulated", "firmware/pico-w"];

/// Sections that a program has in flash.
const IN_FLASH: [&str; 5] = [".boot2", ".vector_table", ".text", ".rodata", ".data"];

/// Sections that it has in memory, all the time. The stack has what is left.
const IN_MEMORY: [&str; 3] = [".data", ".bss", ".uninit"];

/// Builds all, and prints how much room each takes.
pub(crate) fn build() -> anyhow::Result<()> {
    let destination = Artifacts::of_checkout();
    let folder = destination.folder();
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for source in FOLDERS {
        let built = artifacts::build(&mut cargo("build", source))?;
        for (name, file) in built {
            let image = folder.join(format!("fieldledger-{name}.elf"));
            fs::copy(&file, &image).with_context(|| format!("cannot copy {}", file.display()))?;
            report(&name, &image)?;
        }
    }
    Ok(())
}

/// What checks the format of every program, and its code.
pub(crate) fn checks() -> Vec<(&'static str, Command)> {
    let mut checks = Vec::new();
    for source in FOLDERS {
        let mut format = program::cargo();
        format
            .args(["fmt", "--check", "--manifest-path"])
            .arg(manifest(source));
        let mut lints = cargo("clippy", source);
        lints.args(["--", "-D", "warnings"]);
        checks.push(("format of firmware", format));
        checks.push(("lints of firmware", lints));
    }
    checks
}

fn manifest(source: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(source)
        .join("Cargo.toml")
}

/// A command of cargo on one program, for its machine.
fn cargo(command: &str, source: &str) -> Command {
    let [cortex_m0, _] = BARE_TARGETS;
    let mut cargo = program::cargo();
    cargo
        .args([
            command,
            "--release",
            "--locked",
            "--target",
            cortex_m0,
            "--manifest-path",
        ])
        .arg(manifest(source))
        // What two programs share is compiled for each of them, with features of its own.
        .env(
            "CARGO_TARGET_DIR",
            program::target_folder().join("firmware"),
        );
    cargo
}

fn report(name: &str, image: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let file = object::File::parse(bytes.as_slice());
    let file = file.with_context(|| format!("{} is no program", image.display()))?;
    let sum = |sections: &[&str]| -> u64 {
        let found = sections
            .iter()
            .filter_map(|section| file.section_by_name(section));
        found.map(|section| section.size()).sum()
    };
    println!(
        "{name}: {} bytes of flash, {} bytes of memory beside the stack",
        sum(&IN_FLASH),
        sum(&IN_MEMORY)
    );
    Ok(())
}
