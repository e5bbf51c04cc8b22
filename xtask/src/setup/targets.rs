//! What Rust compiles for.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::program;

/// What components are compiled for.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";

/// What `no_std` packages are compiled for: a small Cortex-M, which has no atomic compare-and-swap, so
/// that what builds for it builds for larger ones too, and a RISC-V without floating point.
pub(crate) const BARE_TARGETS: [&str; 2] = ["thumbv6m-none-eabi", "riscv32imc-unknown-none-elf"];

/// Installs the targets that are missing.
pub(super) async fn install(targets: &[&str]) -> anyhow::Result<()> {
    for target in targets {
        let mut ask = Command::new("rustc");
        ask.args(["--print", "target-libdir", "--target", target]);
        let folder = program::output(&mut ask)?;
        if Path::new(folder.trim()).is_dir() {
            continue;
        }
        if !program::succeeds("rustup", &["--version"])? {
            bail!(
                "this Rust cannot compile for {target} and did not come from rustup; \
                 install that target's standard library the way you installed Rust"
            );
        }
        println!("installing the Rust target {target} with rustup");
        let mut add = Command::new("rustup");
        add.args(["target", "add", target]);
        program::run_to_end(add).await?;
    }
    Ok(())
}
