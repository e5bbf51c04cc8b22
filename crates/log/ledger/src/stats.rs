//! What the ledger counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::growth::Growth;

/// The time to durable is summed up over so many commits at least, once there are, and over less than
/// twice as many.
const WINDOW: u64 = 512;

/// Longer times than an hour count as one, microseconds.
const LONGEST: u64 = 3_600 * 1_000_000;

/// Digits of a time that are told apart.
const DIGITS: u8 = 3;

/// Counters since the ledger was opened.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) appended: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) commits: AtomicU64,
    latencies: Mutex<Latencies>,
    growth: Mutex<Growth>,
}

/// Microseconds from request to durable of the newest commits.
#[derive(Debug)]
struct Latencies {
    newest: Histogram<u32>,
    /// The [`WINDOW`] before those.
    before: Histogram<u32>,
}

impl Default for Latencies {
    fn default() -> Self {
        let empty = Histogram::new_with_bounds(1, LONGEST, DIGITS)
            .expect("an hour is more than a microsecond, and three digits are few");
        Self {
            newest: empty.clone(),
            before: empty,
        }
    }
}

impl Latencies {
    fn record(&mut self, micros: u64) {
        if self.newest.len() == WINDOW {
            std::mem::swap(&mut self.newest, &mut self.before);
            self.newest.reset();
        }
        self.newest.saturating_record(micros);
    }

    fn all(&self) -> Histogram<u32> {
        let mut all = self.newest.clone();
        all.add(&self.before).expect("both have the same bounds");
        all
    }
}

impl Stats {
    /// Counts from now on, microseconds since the Unix epoch.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            appended: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            latencies: Mutex::default(),
            growth: Mutex::new(Growth::new(now)),
        }
    }

    /// Notes what was appended to the log's file.
    pub(crate) fn grown(&self, now: u64, bytes: u64) {
        self.growth.lock().add(now, bytes);
    }

    /// See [`Growth::bytes_per_day`].
    pub(crate) fn bytes_per_day(&self, now: u64) -> u64 {
        self.growth.lock().bytes_per_day(now)
    }

    /// Notes what a commit has done, and how long its first caller waited.
    pub(crate) fn committed(&self, appended: u64, duplicates: u64, waited: Duration) {
        self.appended.fetch_add(appended, Ordering::Relaxed);
        self.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        if appended == 0 {
            return;
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.latencies.lock().record(micros);
    }

    /// Median and 99th percentile of the time to durable, microseconds; 0 without commits.
    pub(crate) fn percentiles(&self) -> (u64, u64) {
        let latencies = self.latencies.lock().all();
        (
            latencies.value_at_quantile(0.5),
            latencies.value_at_quantile(0.99),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_over_the_newest_commits() {
        let stats = Stats::new(0);
        assert_eq!(stats.percentiles(), (0, 0));
        let newest = 5_000_u64;
        for micros in 0..newest {
            stats.committed(1, 0, Duration::from_micros(micros));
        }
        // Nine windows were full; the last of them counts, and what came after.
        let first = 8 * WINDOW;
        let count = newest - first;
        let (median, highest) = stats.percentiles();
        for (found, exact) in [
            (median, first + count / 2),
            (highest, first + count * 99 / 100),
        ] {
            let error = found.abs_diff(exact);
            assert!(error <= exact / 500, "{found} instead of {exact}");
        }
    }

    #[test]
    fn a_commit_of_duplicates_writes_nothing() {
        let stats = Stats::new(0);
        stats.committed(0, 3, Duration::from_micros(9));
        assert_eq!(stats.commits.load(Ordering::Relaxed), 0);
        assert_eq!(stats.duplicates.load(Ordering::Relaxed), 3);
    }
}
