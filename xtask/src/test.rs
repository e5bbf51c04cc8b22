//! `cargo xtask test`: everything that must hold.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::Args;

use crate::build::{self, COMPONENTS, NATIVE, packages};
use crate::firmware;
use crate::flaky::{self, FlakyTest};
use crate::fuzz;
use crate::lock_files;
use crate::program;
use crate::setup::{self, BARE_TARGETS, SystemPackages, WASM_TARGET};

/// The package of the end-to-end tests.
const END_TO_END: &str = "fieldledger-e2e";

/// The host. Its dependencies are compiled in release only, ten minutes each time.
const HOST: &str = "fieldledger-host";

/// Packages for machines without an operating system, which must compile for those.
const NO_STD: [&str; 7] = [
    "fieldledger-attest",
    "fieldledger-device",
    "fieldledger-drive",
    "fieldledger-held",
    "fieldledger-mesh",
    "fieldledger-record",
    "nano-nats",
];

/// Inputs that each fuzz target is given; `cargo xtask fuzz` goes on from there.
const FUZZ_INPUTS: u32 = 30_000;

/// Options of `test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Leave out the end-to-end tests, and with them the build of the host.
    #[arg(long, conflicts_with = "only_e2e")]
    skip_e2e: bool,

    /// Run the end-to-end tests only.
    #[arg(long)]
    only_e2e: bool,

    #[command(flatten)]
    system: SystemPackages,
}

/// What became of a step.
struct Outcome {
    name: &'static str,
    took: Duration,
    failure: Option<String>,
}

/// What a run of all checks has come to.
#[derive(Default)]
struct Run {
    outcomes: Vec<Outcome>,
    flaky: Vec<FlakyTest>,
}

impl Run {
    fn step(&mut self, name: &'static str, check: impl FnOnce() -> anyhow::Result<()>) {
        announce(name);
        let start = Instant::now();
        self.end(name, start, check());
    }

    /// Runs a program, and notes which tests needed another try, if it ran any.
    fn program(&mut self, name: &'static str, mut command: Command) {
        let mut flaky = Vec::new();
        self.step(name, || {
            flaky::forget()?;
            let done = program::run(&mut command);
            flaky = flaky::collect()?;
            done
        });
        self.flaky.append(&mut flaky);
    }

    fn end(&mut self, name: &'static str, start: Instant, done: anyhow::Result<()>) {
        let failure = done.err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            eprintln!("{failure}");
        }
        self.outcomes.push(Outcome {
            name,
            took: start.elapsed(),
            failure,
        });
    }
}

/// Runs all checks, those after a failed one too, and sums up.
pub(crate) async fn run(args: &TestArgs) -> anyhow::Result<()> {
    let mut run = Run::default();
    announce("setup");
    let start = Instant::now();
    // Nothing long is begun where something is missing.
    setup::install_for_tests(args.system).await?;
    run.end("setup", start, Ok(()));
    // Tests of both kinds run it.
    run.step("firmware", firmware::build);
    if !args.only_e2e {
        for (name, command) in checks(args.skip_e2e)? {
            run.program(name, command);
        }
        run.step("lock files", lock_files::check);
        run.step("fuzz targets", || fuzz::check(FUZZ_INPUTS));
    }
    if !args.skip_e2e {
        announce("build");
        let start = Instant::now();
        let built = build::build_all().await;
        let is_built = built.is_ok();
        run.end("build", start, built);
        if is_built {
            run.program("end-to-end tests", end_to_end()?);
        }
    }
    sum_up(&run)
}

/// The checks that need no running site, in order of how soon they fail.
fn checks(skip_host: bool) -> anyhow::Result<Vec<(&'static str, Command)>> {
    let mut checks = vec![
        ("format", cargo(&["fmt", "--all", "--check"])),
        (
            "format of fuzz targets",
            cargo(&["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]),
        ),
        (
            "lints",
            native(&["clippy", "--all-targets"], &["-D", "warnings"]),
        ),
        (
            "lints of components",
            wasm(&["clippy"], &["-D", "warnings"]),
        ),
        (
            "docs",
            documented(native(
                &["doc", "--no-deps", "--document-private-items"],
                &[],
            )),
        ),
        (
            "docs of components",
            documented(wasm(&["doc", "--no-deps", "--document-private-items"], &[])),
        ),
        ("no_std crates", bare()),
        ("unit and property tests", unit_tests()?),
        ("examples in docs", native(&["test", "--doc"], &[])),
    ];
    checks.extend(firmware::checks());
    if !skip_host {
        let lints = [
            "clippy",
            "--release",
            "--locked",
            "--package",
            HOST,
            "--",
            "-D",
            "warnings",
        ];
        checks.push(("lints of the host", cargo(&lints)));
        checks.push(("unit tests of the host", host_tests()));
    }
    Ok(checks)
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = program::cargo();
    command.args(arguments);
    command
}

/// On every package but those that are not for this machine, or not for this profile.
fn native(arguments: &[&str], last: &[&str]) -> Command {
    let mut command = cargo(arguments);
    command.args(["--locked", "--workspace"]);
    for package in COMPONENTS.iter().chain([&HOST]) {
        command.args(["--exclude", package]);
    }
    finish(command, last)
}

/// On the components, in release, so that the build can use what this compiles.
fn wasm(arguments: &[&str], last: &[&str]) -> Command {
    let mut command = cargo(arguments);
    command.args(["--locked", "--release", "--target", WASM_TARGET]);
    command.args(packages(&COMPONENTS));
    finish(command, last)
}

/// The `no_std` packages, for every machine that they are for.
fn bare() -> Command {
    let mut command = cargo(&["build", "--locked", "--release"]);
    for target in BARE_TARGETS {
        command.args(["--target", target]);
    }
    command.args(packages(&NO_STD));
    command
}

fn finish(mut command: Command, last: &[&str]) -> Command {
    if !last.is_empty() {
        command.arg("--").args(last);
    }
    command
}

fn documented(mut command: Command) -> Command {
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn unit_tests() -> anyhow::Result<Command> {
    let runner: &[&str] = match has_nextest()? {
        true => &["nextest", "run", "--no-fail-fast"],
        false => &["test", "--no-fail-fast", "--lib", "--bins", "--tests"],
    };
    let mut command = native(runner, &[]);
    command.args(["--exclude", END_TO_END]);
    Ok(command)
}

/// With the packages it is built with; see [`NATIVE`].
fn host_tests() -> Command {
    let mut command = cargo(&["test", "--release", "--locked", "--bin", HOST]);
    command.args(packages(&NATIVE));
    command
}

fn end_to_end() -> anyhow::Result<Command> {
    let runner: &[&str] = match has_nextest()? {
        true => &["nextest", "run"],
        false => &["test"],
    };
    let mut command = cargo(runner);
    command.args(["--locked", "--package", END_TO_END]);
    // Each test is a site of six processes, and there are as few as two cores.
    match has_nextest()? {
        true => command.args(["--test-threads", "1", "--no-tests", "pass"]),
        false => command.args(["--", "--test-threads", "1"]),
    };
    Ok(command)
}

fn has_nextest() -> anyhow::Result<bool> {
    program::succeeds("cargo", &["nextest", "--version"])
}

fn announce(name: &str) {
    println!("\n=== {name}");
}

/// Says how each step ended; after that, where nobody overlooks it, which tests were lucky.
fn sum_up(run: &Run) -> anyhow::Result<()> {
    println!("\n=== summary");
    for Outcome {
        name,
        took,
        failure,
    } in &run.outcomes
    {
        let verdict = match failure {
            None => "ok    ",
            Some(_) => "FAILED",
        };
        println!("{verdict} {name} ({} s)", took.as_secs());
    }
    if !run.flaky.is_empty() {
        println!("\n=== flaky: these tests failed before they passed");
        for test in &run.flaky {
            println!("{test}");
        }
    }
    let failed = run
        .outcomes
        .iter()
        .filter(|outcome| outcome.failure.is_some());
    let failed: Vec<&str> = failed.map(|outcome| outcome.name).collect();
    ensure!(!run.outcomes.is_empty(), "nothing was run");
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("failed: {}", failed.join(", ")),
    }
}
