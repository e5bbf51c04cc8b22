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
        "{:>8} {:>9} {:>10} {:>10} {:>7} {:>10} {:>9} {:>9} {:>8} {:>9} {:>10}",
        "sensors",
        "interval",
        "offered/s",
        "audited/s",
        "of raw",
        "unanswered",
        "p50",
        "p99",
        "pending",
        "memory",
        "us/reading"
    );
    for outcome in outcomes {
        println!(
            "{:>8} {:>6} ms {:>10.0} {:>10.0} {:>6.1}% {:>9.2}% {:>6.0} ms {:>6.0} ms {:>8.0} {:>5.0} MiB {:>10.1}",
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
            outcome.system_micros(),
        );
    }
    print_overload(outcomes);
    println!(
        "\nof each process: cores kept busy, microseconds of processor a reading; MiB resident, of"
    );
    println!("which mapped files, and how many more than at the first look");
    for outcome in outcomes {
        println!(
            "{} sensors every {} ms",
            outcome.sensors, outcome.interval_ms
        );
        for (name, usage) in &outcome.processes {
            println!(
                "{name:>16} {:>5.2} {:>6.1} us   {:>4.0} {:>4.0} {:>+6.1} MiB",
                usage.cores,
                usage.micros_per_reading,
                usage.memory_mib,
                usage.mapped_mib,
                usage.growth_mib,
            );
        }
    }
}

/// What is left of the best rate where most is offered.
fn print_overload(outcomes: &[Outcome]) {
    let rate = |outcome: &&Outcome| outcome.audited_per_second;
    let best = outcomes
        .iter()
        .max_by(|one, other| rate(one).total_cmp(&rate(other)));
    let offered = |outcome: &&Outcome| outcome.offered_per_second;
    let most = outcomes
        .iter()
        .max_by(|one, other| offered(one).total_cmp(&offered(other)));
    if let (Some(best), Some(most)) = (best, most)
        && outcomes.len() > 1
    {
        println!(
            "\nwith {:.0} a second offered, {:.0} % of the best rate of {:.0} a second",
            most.offered_per_second,
            100.0 * most.audited_per_second / best.audited_per_second,
            best.audited_per_second
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
