//! `cargo xtask fuzz`: gives the parsers bytes that nobody would write, guided by the code these
//! reach.
//!
//! libFuzzer needs no nightly compiler: the instrumentation is a pass of LLVM that a stable one
//! takes as an option, and only the address sanitizer, which finds little in safe code, is not to
//! be had. The inputs in `fuzz/corpus/<target>` are tried first each time, so an input that once
//! crashed is kept there as a test.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::{env, thread};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::{artifacts, program};

/// Counts the edges of the control flow that an input takes, and what it is compared with.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Targets that run at a time.
const AT_A_TIME: usize = 2;

/// Longest input, bytes.
const LONGEST: usize = 8_192;

/// How long each target runs.
#[derive(Debug, Clone, Copy)]
enum Effort {
    /// So many seconds, with other inputs each time, beginning with all that was found before.
    Explore { seconds: u32 },
    /// So many inputs, the same ones each time, beginning with the corpus in the sources: what
    /// passes once passes again, on a slower machine too.
    Check { inputs: u32 },
}

/// Options of `fuzz`.
#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// The only target to run; all of them otherwise.
    target: Option<String>,
    /// Seconds for each target.
    #[arg(default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
}

/// What came of a target.
struct Outcome {
    target: String,
    status: ExitStatus,
    log: String,
}

/// Builds the targets and runs one of them, or all.
pub(crate) fn run(args: &FuzzArgs) -> anyhow::Result<()> {
    let seconds = args.seconds;
    build_and_run(args.target.as_deref(), Effort::Explore { seconds })
}

/// Builds the targets and runs each with so many inputs.
pub(crate) fn check(inputs: u32) -> anyhow::Result<()> {
    build_and_run(None, Effort::Check { inputs })
}

fn build_and_run(only: Option<&str>, effort: Effort) -> anyhow::Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let sources = fs::canonicalize(&sources)
        .with_context(|| format!("cannot find the folder {}", sources.display()))?;
    let mut targets = targets(&sources.join("corpus"))?;
    if let Some(only) = only {
        let known = targets.join(", ");
        targets.retain(|target| target == only);
        ensure!(
            !targets.is_empty(),
            "there is no fuzz target {only:?}; there are {known}"
        );
    }
    let build = program::target_folder().join("fuzz");
    let fuzzer = build_fuzzer(&sources, &build)?;
    let waiting = Mutex::new(targets.into_iter());
    let next = || waiting.lock().ok()?.next();
    let outcomes: Vec<anyhow::Result<Outcome>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME)
            .map(|_| {
                scope.spawn(|| {
                    let mut outcomes = Vec::new();
                    while let Some(target) = next() {
                        outcomes.push(fuzz(&fuzzer, &sources, &build, target, effort));
                    }
                    outcomes
                })
            })
            .collect();
        let outcomes = workers.into_iter().map(|worker| match worker.join() {
            Ok(outcomes) => outcomes,
            Err(_panicked) => vec![Err(anyhow::anyhow!("a thread panicked"))],
        });
        outcomes.flatten().collect()
    });
    report(outcomes)
}

/// The names of the folders in the corpus.
fn targets(corpus: &Path) -> anyhow::Result<Vec<String>> {
    let failed = || format!("cannot list {}", corpus.display());
    let mut targets = Vec::new();
    for item in fs::read_dir(corpus).with_context(failed)? {
        let name = item.with_context(failed)?.file_name();
        targets.push(name.to_string_lossy().into_owned());
    }
    targets.sort();
    Ok(targets)
}

/// Builds in a folder of its own: everything is compiled with other flags.
fn build_fuzzer(sources: &Path, build: &Path) -> anyhow::Result<PathBuf> {
    let mut command = program::cargo();
    command
        .args(["build", "--locked", "--manifest-path"])
        .arg(sources.join("Cargo.toml"))
        // Where a target is named, the flags are not for build scripts and macros.
        .args(["--target", &host()?])
        .env("CARGO_TARGET_DIR", build)
        .env("RUSTFLAGS", INSTRUMENTATION);
    let mut programs = artifacts::build(&mut command)?;
    programs.remove("fuzz").context("the build gave no program")
}

/// The machine that the compiler runs on.
fn host() -> anyhow::Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let said = program::output(Command::new(rustc).arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

fn fuzz(
    fuzzer: &Path,
    sources: &Path,
    build: &Path,
    target: String,
    effort: Effort,
) -> anyhow::Result<Outcome> {
    let seeds = sources.join("corpus").join(&target);
    let found = match effort {
        // What is found new stays, so that the next run begins with it.
        Effort::Explore { .. } => build.join("corpus").join(&target),
        Effort::Check { .. } => {
            let found = build.join("checked").join(&target);
            if found.exists() {
                fs::remove_dir_all(&found)
                    .with_context(|| format!("cannot remove {}", found.display()))?;
            }
            found
        }
    };
    fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
    let limits = match effort {
        Effort::Explore { seconds } => vec![format!("-max_total_time={seconds}")],
        Effort::Check { inputs } => vec![format!("-runs={inputs}"), "-seed=1".to_owned()],
    };
    let log = build.join(format!("{target}.log"));
    let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let status = Command::new(fuzzer)
        .env("FUZZ_TARGET", &target)
        .args(limits)
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!(
            "-artifact_prefix={}/",
            crash_folder(build, &target)?.display()
        ))
        // One input may take long where the machine is busy, but not forever.
        .args(["-timeout=30", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(&found)
        .arg(&seeds)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .status()
        .with_context(|| format!("cannot run {}", fuzzer.display()))?;
    let log = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(Outcome {
        target,
        status,
        log: String::from_utf8_lossy(&log).into_owned(),
    })
}

fn crash_folder(build: &Path, target: &str) -> anyhow::Result<PathBuf> {
    let folder = build.join("crashes").join(target);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// A line for each target; what the failed ones said in full.
fn report(outcomes: Vec<anyhow::Result<Outcome>>) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    let mut outcomes: Vec<Outcome> = outcomes.into_iter().collect::<anyhow::Result<_>>()?;
    outcomes.sort_by(|one, other| one.target.cmp(&other.target));
    println!("{:16} {:>12} {:>8}", "target", "inputs", "edges");
    for outcome in &outcomes {
        let inputs = after(&outcome.log, "stat::number_of_executed_units: ");
        let edges = after(&outcome.log, " cov: ");
        println!("{:16} {inputs:>12} {edges:>8}", outcome.target);
        if !outcome.status.success() {
            failed.push(outcome);
        }
    }
    for outcome in &failed {
        let lines: Vec<&str> = outcome.log.lines().collect();
        let end = lines[lines.len().saturating_sub(40)..].join("\n");
        eprintln!("\n{}: {}\n{end}", outcome.target, outcome.status);
    }
    if failed.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = failed
        .iter()
        .map(|outcome| outcome.target.as_str())
        .collect();
    bail!(
        "crashed: {}; the input is named above: mend the parser, and keep the input in \
         fuzz/corpus/<target>/",
        names.join(", ")
    )
}

/// The word after the last `label` of a log.
fn after<'a>(log: &'a str, label: &str) -> &'a str {
    let found = log.rsplit_once(label);
    let word = found.and_then(|(_, rest)| rest.split_whitespace().next());
    word.unwrap_or("?")
}
