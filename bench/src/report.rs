//! The tables and the JSON file.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::growth::Cost;
use crate::latency::Latency;
use crate::store::Rate;

/// All figures of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rates: Vec<Rate>,
    pub(crate) latencies: Vec<Latency>,
    pub(crate) costs: Vec<Cost>,
}

impl Report {
    /// Takes a figure in, and shows that there is one more.
    pub(crate) fn add_rate(&mut self, rate: Rate) {
        println!(
            "{} by {}: {:.0}/s (disk {:.2} ms)",
            rate.store, rate.batch, rate.entries_per_second, rate.sync_ms
        );
        self.rates.push(rate);
    }

    /// Takes a figure in, and shows that there is one more.
    pub(crate) fn add_latency(&mut self, latency: Latency) {
        println!(
            "{:?} at {}/s, index {}: p99 {:.1} ms (disk {:.2} ms)",
            latency.way,
            latency.offered_per_second,
            latency.index,
            latency.write.p99_ms,
            latency.sync_ms
        );
        self.latencies.push(latency);
    }

    /// Prints the tables.
    pub(crate) fn print(&self) {
        self.print_rates();
        self.print_latencies();
        self.print_costs();
    }

    fn print_rates(&self) {
        if self.rates.is_empty() {
            return;
        }
        println!("\ndurable entries a second, by batch size");
        println!(
            "{:26} {:>6} {:>10} {:>11} {:>10} {:>10} {:>10} {:>9}",
            "store",
            "batch",
            "entries/s",
            "searchable",
            "of SQLite",
            "call p50",
            "call p99",
            "disk"
        );
        for rate in &self.rates {
            let sqlite = self
                .rates
                .iter()
                .find(|other| other.store == "SQLite" && other.batch == rate.batch);
            let ratio = sqlite.map(|sqlite| rate.entries_per_second / sqlite.entries_per_second);
            println!(
                "{:26} {:>6} {:>10.0} {:>11} {:>9} {:>7.1} ms {:>7.1} ms {:>6.2} ms",
                rate.store,
                rate.batch,
                rate.entries_per_second,
                rate.searchable_per_second
                    .map_or_else(String::new, |rate| format!("{rate:.0}/s")),
                ratio.map_or_else(String::new, |ratio| format!("{ratio:.1} x")),
                rate.call.p50_ms,
                rate.call.p99_ms,
                rate.sync_ms,
            );
        }
    }

    fn print_latencies(&self) {
        if self.latencies.is_empty() {
            return;
        }
        println!("\none write, from the time it was due to its durable answer, under an open load");
        println!(
            "{:10} {:>6} {:>9} {:>10} {:>7} {:>10} {:>10} {:>10} {:>9}",
            "way", "index", "offered/s", "answered/s", "failed", "p50", "p99", "max", "disk"
        );
        for latency in &self.latencies {
            println!(
                "{:10} {:>6} {:>9} {:>10.0} {:>7} {:>7.1} ms {:>7.1} ms {:>7.0} ms {:>6.2} ms",
                format!("{:?}", latency.way),
                latency.index,
                latency.offered_per_second,
                latency.answered_per_second,
                latency.failed,
                latency.write.p50_ms,
                latency.write.p99_ms,
                latency.write.max_ms,
                latency.sync_ms,
            );
        }
    }

    fn print_costs(&self) {
        let Some(first) = self.costs.first() else {
            return;
        };
        println!("\ncosts as the log grows; searches and proofs p50 / p99");
        println!(
            "{:>10} {:>12} {:>14} {:>12} {:>6} {:>15} {:>15} {:>15} {:>15} {:>8}",
            "entries",
            "append",
            "its processor",
            "log alone",
            "ratio",
            "inclusion",
            "consistency",
            "rare word",
            "common words",
            "bytes"
        );
        for cost in &self.costs {
            let pair = |times: &crate::measure::Percentiles| {
                format!("{:.2} / {:.2} ms", times.p50_ms, times.p99_ms)
            };
            println!(
                "{:>10} {:>9.2} us {:>11.2} us {:>9.2} us {:>6.2} {:>15} {:>15} {:>15} {:>15} {:>8.0}",
                cost.entries,
                cost.append_us,
                cost.append_processor_us,
                cost.log_processor_us,
                cost.log_processor_us / first.log_processor_us,
                pair(&cost.inclusion),
                pair(&cost.consistency),
                pair(&cost.search_rare),
                pair(&cost.search_common),
                cost.bytes_per_entry,
            );
        }
    }

    /// Writes all of it as JSON.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, format!("{text}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("\nwritten to {}", path.display());
        Ok(())
    }
}
