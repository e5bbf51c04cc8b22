//! What the ledger reaches on this machine, beside SQLite and PostgreSQL doing the same in the same
//! run. `cargo xtask bench ledger` builds and runs it.
//!
//! Figures of a shared machine are worth little by themselves, so the stores take turns, every
//! figure stands beside what the disk did at that moment, and ratios within a run are what counts.
//!
//! | module | holds |
//! |---|---|
//! | `store`, `rows`, `sqlite`, `postgres` | what is compared, and the rows that databases are given |
//! | `workload` | the readings that every store is given |
//! | `latency` | how long one write takes while so many a second are offered |
//! | `growth` | what an append, a proof and a search cost as the log grows |
//! | `measure` | clocks: of the disk, of the processor, of a call |
//! | `report` | the tables and the JSON file |
#![forbid(unsafe_code)]

mod growth;
mod latency;
mod measure;
mod postgres;
mod report;
mod rows;
mod sqlite;
mod store;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use postgres::Server;
use report::Report;
use store::{BATCHES, Store};

/// What to measure.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench ledger")]
struct Arguments {
    /// Seconds for each figure.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', default_values = ["rates", "latency", "growth"])]
    parts: Vec<Part>,
    /// Only these batch sizes.
    #[arg(long, value_delimiter = ',', default_values_t = BATCHES)]
    batches: Vec<u64>,
    /// Writes a second that are offered one by one.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
    offered: Vec<u64>,
    /// Entries to which the log grows at most; ten million take a quarter of an hour.
    #[arg(long, default_value_t = 1_000_000)]
    grow_to: u64,
    /// Leave PostgreSQL out.
    #[arg(long)]
    without_postgres: bool,
    /// Folder on the disk to measure; a temporary one otherwise.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Where the JSON file goes.
    #[arg(long, default_value = "bench-ledger.json")]
    json: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Entries a second by batch size.
    Rates,
    /// Time of a single write under an open load.
    Latency,
    /// Costs as the log grows.
    Growth,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let temporary = match &arguments.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let temporary = temporary.context("cannot create a folder to measure in")?;
    // The database server is another user, who must get there.
    let mut permissions = std::fs::metadata(temporary.path())?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(temporary.path(), permissions)?;

    let mut report = Report::default();
    let duration = Duration::from_secs(arguments.seconds);
    if arguments.parts.contains(&Part::Rates) {
        let server = match arguments.without_postgres {
            true => None,
            false => Some(Server::start(temporary.path())?),
        };
        for &batch in &arguments.batches {
            for store in Store::ALL {
                if store == Store::Postgres && server.is_none() {
                    continue;
                }
                let rate = store::rate(store, batch, temporary.path(), server.as_ref(), duration);
                let rate = rate.with_context(|| format!("{} by {batch}", store.name()))?;
                report.add_rate(rate);
            }
        }
    }
    if arguments.parts.contains(&Part::Latency) {
        let runtime = tokio::runtime::Runtime::new()?;
        for &offered in &arguments.offered {
            for way in [latency::Way::InProcess, latency::Way::Http] {
                for index in [false, true] {
                    let measured =
                        latency::latency(way, index, offered, temporary.path(), duration * 2);
                    if let Some(latency) = runtime.block_on(measured)? {
                        report.add_latency(latency);
                    }
                }
            }
        }
    }
    if arguments.parts.contains(&Part::Growth) {
        let sizes = [10_000, 100_000, 1_000_000, 10_000_000];
        let sizes = sizes.into_iter().filter(|size| *size <= arguments.grow_to);
        let sizes: Vec<u64> = sizes.collect();
        report.costs = growth::costs(&sizes, temporary.path())?;
    }
    report.print();
    report.write(&arguments.json)
}
