//! Clocks: of the disk, of the processor, of a call.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Writes that are made durable to see how fast the disk is at this moment.
const PROBES: u32 = 50;

/// Times of many calls.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

/// What is shown of [`Times`], milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Times {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // From a tenth of a microsecond to ten minutes.
        let histogram = Histogram::new_with_bounds(100, 600_000_000_000, 3)?;
        Ok(Self(histogram))
    }

    pub(crate) fn add(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanoseconds);
    }

    pub(crate) fn merge(&mut self, other: &Self) -> anyhow::Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e6;
        Percentiles {
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            max_ms: self.0.max() as f64 / 1e6,
        }
    }
}

/// Median time to make eight kilobytes durable in this folder, milliseconds: it varies many times
/// over on a shared disk, so every figure stands beside its own.
pub(crate) fn sync_ms(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("sync-probe");
    let mut file =
        File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut times = Times::new()?;
    for _ in 0..PROBES {
        let start = Instant::now();
        file.write_all(&[7; 8_192])?;
        file.sync_data()?;
        times.add(start.elapsed());
    }
    std::fs::remove_file(&path)?;
    Ok(times.percentiles().p50_ms)
}

/// Processor time of this process so far, all threads.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
