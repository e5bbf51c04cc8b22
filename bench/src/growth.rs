//! What things cost as the log grows: an append, a proof, a search.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fieldledger_ledger::{Config, Ledger, Order, SearchQuery};
use futures::executor::block_on;
use rand::Rng as _;
use serde::Serialize;

use crate::measure::{Percentiles, Times, processor_time, sync_ms};
use crate::store::wait_for_index;
use crate::workload::Workload;

/// Callers that make the log grow, and events in each of their calls.
const CALLERS: u64 = 4;
const BATCH: u64 = 1_024;

/// Entries over which the cost of one is taken.
const SAMPLE: u64 = 65_536;

/// Proofs and searches that are timed.
const PROOFS: usize = 1_000;
const SEARCHES: usize = 200;

/// What things cost at a size.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    pub(crate) entries: u64,
    /// Of one append among many, with what the index does beside it, microseconds.
    pub(crate) append_us: f64,
    /// Processor time of one append, all threads, microseconds.
    pub(crate) append_processor_us: f64,
    /// The same without an index: what the log and its trees cost.
    pub(crate) log_processor_us: f64,
    pub(crate) inclusion: Percentiles,
    pub(crate) consistency: Percentiles,
    /// Twenty entries by a word that one reading in 10,000 has, newest first.
    pub(crate) search_rare: Percentiles,
    /// Twenty entries by a word that every reading has and one that a seventh has.
    pub(crate) search_common: Percentiles,
    pub(crate) bytes_per_entry: f64,
    pub(crate) sync_ms: f64,
}

/// Grows a log with an index and one without through the sizes, and measures at each.
pub(crate) fn costs(sizes: &[u64], folder: &Path) -> anyhow::Result<Vec<Cost>> {
    let mut plain = Growing::new(&folder.join("growth-plain"), false)?;
    let mut growing = Growing::new(&folder.join("growth-indexed"), true)?;
    let indexed = growing.ledger.clone();
    let mut costs = Vec::new();
    for &size in sizes {
        println!("growing to {size} entries ...");
        plain.grow(size.saturating_sub(SAMPLE))?;
        growing.grow(size.saturating_sub(SAMPLE))?;
        wait_for_index(&indexed);
        let sync_ms = sync_ms(folder)?;
        let (_, log_processor_us) = plain.cost_of_growing(size)?;
        let (append_us, append_processor_us) = growing.cost_of_growing(size)?;
        wait_for_index(&indexed);
        let entries = indexed.checkpoint().tree_size;
        costs.push(Cost {
            entries,
            append_us,
            append_processor_us,
            log_processor_us,
            inclusion: timed(PROOFS, || {
                indexed.inclusion(rand::rng().random_range(0..entries))?;
                Ok(())
            })?,
            consistency: timed(PROOFS, || {
                indexed.consistency(rand::rng().random_range(1..=entries), entries)?;
                Ok(())
            })?,
            search_rare: timed(SEARCHES, || {
                let sensor = rand::rng().random_range(0..2_500);
                search(&indexed, &format!("actor:TempSensor{sensor:05}"))
            })?,
            search_common: timed(SEARCHES, || {
                let hall = rand::rng().random_range(0..7);
                search(&indexed, &format!("status:SUCCESS target:\"Hall {hall}\""))
            })?,
            bytes_per_entry: indexed.status().bytes_on_disk as f64 / entries as f64,
            sync_ms,
        });
    }
    plain.ledger.close();
    indexed.close();
    Ok(costs)
}

/// A log, and the callers that make it grow.
struct Growing {
    ledger: Ledger,
    callers: Vec<Workload>,
}

impl Growing {
    fn new(folder: &Path, index: bool) -> anyhow::Result<Self> {
        let mut config = Config::new(folder);
        config.index = index;
        Ok(Self {
            ledger: Ledger::open(config)?,
            callers: (0..CALLERS)
                .map(|caller| Workload::new(caller, CALLERS, 0))
                .collect(),
        })
    }

    /// Appends until the log has `size` entries.
    fn grow(&mut self, size: u64) -> anyhow::Result<()> {
        let present = self.ledger.checkpoint().tree_size;
        let each = size.saturating_sub(present) / CALLERS;
        grow(&self.ledger, &mut self.callers, each)
    }

    /// Wall clock and processor time for each entry, microseconds.
    fn cost_of_growing(&mut self, size: u64) -> anyhow::Result<(f64, f64)> {
        let before = self.ledger.checkpoint().tree_size;
        let (started, processor) = (Instant::now(), processor_time());
        self.grow(size)?;
        if self.ledger.status().indexed_size > 0 {
            wait_for_index(&self.ledger);
        }
        let grown = (self.ledger.checkpoint().tree_size - before).max(1) as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / grown;
        Ok((each(started.elapsed()), each(processor_time() - processor)))
    }
}

fn grow(ledger: &Ledger, callers: &mut [Workload], each: u64) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let callers: Vec<_> = callers
            .iter_mut()
            .map(|caller| scope.spawn(move || append(ledger, caller, each)))
            .collect();
        for caller in callers {
            match caller.join() {
                Ok(done) => done?,
                Err(_panicked) => anyhow::bail!("a caller panicked"),
            }
        }
        Ok(())
    })
}

fn append(ledger: &Ledger, workload: &mut Workload, mut left: u64) -> anyhow::Result<()> {
    while left > 0 {
        let count = left.min(BATCH);
        block_on(ledger.append(workload.readings(count)))?;
        left -= count;
    }
    Ok(())
}

fn timed(
    count: usize,
    mut call: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Percentiles> {
    let mut times = Times::new()?;
    for _ in 0..count {
        let started = Instant::now();
        call()?;
        times.add(started.elapsed());
    }
    Ok(times.percentiles())
}

fn search(ledger: &Ledger, query: &str) -> anyhow::Result<()> {
    let page = ledger.search(&SearchQuery {
        query: query.to_owned(),
        start: None,
        end: None,
        order: Order::Descending,
        order_by: None,
        limit: 20,
        max_results: 10_000,
        restriction: Vec::new(),
        verbose: false,
    })?;
    anyhow::ensure!(!page.entries.is_empty(), "{query} finds nothing");
    Ok(())
}
