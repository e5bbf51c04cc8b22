//! The table and the JSON file.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use crate::bench::measure::Outcome;

/// Prints a table, a line for each case.
pub(crate) fn print(raw: f64, outcomes: &[Outcome]) {
    println!();
    println!(
        "{:>8} {:>9} {:>10} {:>10} {:>7} {:>10} {:>9} {:>9} {:>8} {:>9}",
        "sensors",
        "interval",
        "offered/s",
        "audited/s",
        "of raw",
        "unanswered",
        "p50",
        "p99",
        "pending",
        "memory"
    );
    for outcome in outcomes {
        println!(
            "{:>8} {:>6} ms {:>10.0} {:>10.0} {:>6.1}% {:>9.2}% {:>6.0} ms {:>6.0} ms {:>8.0} {:>5.0} MiB",
            outcome.sensors,
            outcome.interval_ms,
            outcome.offered_per_second,
            outcome.audited_per_second,
            100.0 * outcome.audited_per_second / raw,
            100.0 * outcome.unanswered,
            outcome.latency_p50_ms,
            outcome.latency_p99_ms,
            outcome.batches_pending,
            outcome.system_memory(),
        );
    }
    println!("\ncores kept busy, memory in MiB:");
    for outcome in outcomes {
        let parts: Vec<String> = outcome
            .processes
            .iter()
            .map(|(name, usage)| format!("{name} {:.2} / {:.0}", usage.cores, usage.memory_mib))
            .collect();
        println!(
            "{:>8} {:>6} ms  {}",
            outcome.sensors,
            outcome.interval_ms,
            parts.join(",  ")
        );
    }
}

/// Writes all of it as JSON.
pub(crate) fn write(path: &Path, raw: f64, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let document = json!({"raw_requests_per_second": raw, "cases": outcomes});
    fs::write(path, format!("{document:#}\n"))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}
