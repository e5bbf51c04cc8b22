//! `cargo xtask bench ledger`: the log alone, beside two databases. The programs are in `bench/`, a
//! workspace of its own, so that nobody else compiles the databases.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::{artifacts, program};

/// Options of `bench ledger`.
#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    /// What the benchmark itself takes; `--help` shows it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds the benchmark, optimised, and runs it.
pub(crate) fn run(args: &LedgerArgs) -> anyhow::Result<()> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/Cargo.toml");
    let mut build = program::cargo();
    build
        // Not locked: its lock file goes with the dependencies of the crates, which change without it.
        .args(["build", "--release", "--manifest-path"])
        .arg(&manifest)
        .env("CARGO_TARGET_DIR", program::target_folder().join("bench"));
    let mut programs = artifacts::build(&mut build)?;
    let bench = programs.remove("bench");
    let bench = bench.context("the build gave no program")?;
    program::run(Command::new(bench).args(&args.arguments))
}
