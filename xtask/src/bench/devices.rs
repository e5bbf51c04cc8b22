//! `cargo xtask bench devices`: the NATS client for devices, its speed beside async-nats and its size;
//! and how long the field goes unread where a broker dies, which the tests of that print.
//! The programs are in `bench/devices/`, workspaces of their own, because they are compiled otherwise
//! than anything else.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use fieldledger_site::find_nats_server;

use crate::setup::BARE_TARGETS;
use crate::{artifacts, program};

/// The programs that are weighed, and the feature that each of them is built with. The first one is
/// what the others are compared with.
const FIRMWARE: [(&str, &[&str]); 3] = [
    ("baseline", &[]),
    ("client", &[]),
    ("client-nkey", &["--features", "nkey"]),
];

/// Options of `bench devices`.
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// What the benchmark itself takes; `--help` shows it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds the firmware and the benchmark, runs it, and then the tests of failover.
pub(crate) fn run(args: &DevicesArgs) -> anyhow::Result<()> {
    let nats_server = find_nats_server()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/devices");
    let target = program::target_folder();
    let mut for_here = build(&folder, &target.join("bench-devices"));
    let mut programs = artifacts::build(&mut for_here)?;
    let bench = programs.remove("bench-devices");
    let mut bench = Command::new(bench.context("the build gave no program")?);
    bench.arg("--nats-server").arg(nats_server);
    let [cortex_m0, _] = BARE_TARGETS;
    for (name, features) in FIRMWARE {
        // Each in a folder of its own: they differ in features, and in nothing that cargo names.
        let place = target.join("bench-firmware").join(name);
        let mut for_device = build(&folder.join("firmware"), &place);
        for_device
            .args(["--target", cortex_m0, "--bin", name])
            .args(features);
        let file = artifacts::build(&mut for_device)?.remove(name);
        let file = file.with_context(|| format!("the build gave no program {name}"))?;
        bench.arg("--firmware").arg(file);
    }
    program::run(bench.args(&args.arguments))?;
    failover()
}

/// Kills brokers in turn, and shows when readings go on.
fn failover() -> anyhow::Result<()> {
    let mut tests = program::cargo();
    tests
        .args([
            "test",
            "--locked",
            "--package",
            "fieldledger-provider-nats-polling",
        ])
        .args([
            "--test",
            "failover",
            "--",
            "--nocapture",
            "--test-threads",
            "1",
        ]);
    program::run(&mut tests)
}

fn build(folder: &Path, target: &Path) -> Command {
    let mut build = program::cargo();
    build
        .args(["build", "--locked", "--release", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", target);
    build
}
