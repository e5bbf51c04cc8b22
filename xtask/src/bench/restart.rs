//! `cargo xtask bench restart`: how long a site that has kept a long log takes from its start to the next
//! reading in it.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tokio::time::{Instant, sleep};

use crate::bench::Case;
use crate::bench::plant::Plant;
use crate::build;

/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How long a log may stand still while it is filled.
const STANDS: Duration = Duration::from_secs(60);

/// Options of `bench restart`.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// Entries that the log has before the site is stopped; ten million take some minutes.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
}

/// The field that fills the log: as much as the machine takes.
const FIELD: Case = Case {
    sensors: 10_000,
    interval_ms: 100,
};

/// Fills a log, stops the site, starts it, and prints what the start took.
pub(crate) async fn run(args: &RestartArgs) -> anyhow::Result<()> {
    let artifacts = build::build_site().await?;
    let mut plant = Plant::start(artifacts, FIELD).await?;
    let mut size = 0.0;
    let mut grown = Instant::now();
    while size < args.entries as f64 {
        sleep(LOOK * 20).await;
        let now = size_of_log(&plant).await?;
        if now > size {
            grown = Instant::now();
        } else if grown.elapsed() > STANDS {
            bail!("the log has stood at {size} entries for {STANDS:?}");
        }
        size = now;
    }
    println!("the log has {size} entries; the site stops and starts");
    let begun = plant.start_again().await?;
    let deployed = begun.elapsed();
    let kept = size_of_log(&plant).await?;
    // Whatever is appended after a start was polled, or delivered, after it.
    while size_of_log(&plant).await? <= kept {
        if begun.elapsed() > STANDS * 5 {
            bail!("no reading in {:?}", begun.elapsed());
        }
        sleep(LOOK).await;
    }
    println!(
        "deployed after {:.1} s, the next reading in the log after {:.1} s",
        deployed.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    plant.stop().await;
    Ok(())
}

async fn size_of_log(plant: &Plant) -> anyhow::Result<f64> {
    // The page may not answer yet.
    let metrics = plant.metrics().await.unwrap_or_default();
    Ok(metrics
        .get("fieldledger_ledger_tree_size")
        .copied()
        .unwrap_or(0.0))
}
