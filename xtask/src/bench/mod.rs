//! `cargo xtask bench`: what this machine reaches, from a sensor's answer to a durable, signed
//! entry, next to what plain NATS reaches on the same machine in the same run.

mod devices;
mod ledger;
mod measure;
mod plant;
mod profile;
mod report;
mod restart;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::build;

/// What to measure.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    part: Option<Part>,
    /// Seconds that each case is measured, after as many to warm up.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(2..=7_200))]
    seconds: u64,
    /// Only the cases with that many sensors.
    #[arg(long)]
    sensors: Option<u32>,
    /// Where the JSON file goes.
    #[arg(long, default_value = "bench.json")]
    json: PathBuf,
}

/// A part measured by itself, instead of the whole way from a sensor on.
#[derive(Debug, Subcommand)]
enum Part {
    /// The log, beside SQLite and PostgreSQL doing the same.
    #[command(disable_help_flag = true)]
    Ledger(ledger::LedgerArgs),
    /// The NATS client for devices, beside async-nats, and its size.
    #[command(disable_help_flag = true)]
    Devices(devices::DevicesArgs),
    /// Where the processor's time goes: a flame graph of each process of a site at work.
    Profile(profile::ProfileArgs),
    /// How long the start of a site with a long log takes.
    Restart(restart::RestartArgs),
}

/// A field and how often each of its sensors is polled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) sensors: u32,
    pub(crate) interval_ms: u32,
}

/// A plant's usual second, and the shortest interval the polling provider allows: with forty and
/// a thousand sensors that bounds the rate, with ten thousand the machine does.
const CASES: [Case; 8] = [
    Case {
        sensors: 40,
        interval_ms: 1_000,
    },
    Case {
        sensors: 40,
        interval_ms: 100,
    },
    Case {
        sensors: 1_000,
        interval_ms: 1_000,
    },
    Case {
        sensors: 1_000,
        interval_ms: 100,
    },
    Case {
        sensors: 10_000,
        interval_ms: 1_000,
    },
    Case {
        sensors: 10_000,
        interval_ms: 400,
    },
    Case {
        sensors: 10_000,
        interval_ms: 200,
    },
    Case {
        sensors: 10_000,
        interval_ms: 100,
    },
];

/// Builds, measures every case on a site of its own, prints a table and writes the JSON file.
pub(crate) async fn run(args: &BenchArgs) -> anyhow::Result<()> {
    match &args.part {
        Some(Part::Ledger(args)) => return ledger::run(args),
        Some(Part::Devices(args)) => return devices::run(args),
        Some(Part::Profile(args)) => return profile::run(args).await,
        Some(Part::Restart(args)) => return restart::run(args).await,
        None => {}
    }
    let artifacts = build::build_site().await?;
    let raw = measure::raw_rate(args.seconds)
        .await
        .context("cannot measure plain NATS")?;
    println!("plain NATS request/reply, 500 under way: {raw:.0} a second");
    let mut results = Vec::new();
    for case in CASES {
        if args.sensors.is_some_and(|sensors| sensors != case.sensors) {
            continue;
        }
        println!("{} sensors every {} ms ...", case.sensors, case.interval_ms);
        let result = measure::case(artifacts.clone(), case, args.seconds)
            .await
            .with_context(|| format!("{} sensors every {} ms", case.sensors, case.interval_ms))?;
        results.push(result);
    }
    report::print(raw, &results);
    report::write(&args.json, raw, &results)
}
