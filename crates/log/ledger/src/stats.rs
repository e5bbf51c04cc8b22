//! What the ledger counts.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Commits over which the time to durable is summed up.
const WINDOW: usize = 1_024;

/// Counters since the ledger was opened.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) appended: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) commits: AtomicU64,
    /// Microseconds from request to durable of the newest commits.
    latencies: Mutex<VecDeque<u64>>,
}

impl Stats {
    /// Notes what a commit has done, and how long its first caller waited.
    pub(crate) fn committed(&self, appended: u64, duplicates: u64, waited: Duration) {
        self.appended.fetch_add(appended, Ordering::Relaxed);
        self.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        if appended == 0 {
            return;
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let mut latencies = self
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if latencies.len() == WINDOW {
            latencies.pop_front();
        }
        latencies.push_back(micros);
    }

    /// Median and 99th percentile of the time to durable, microseconds; 0 without commits.
    pub(crate) fn percentiles(&self) -> (u64, u64) {
        let latencies = self
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<u64> = latencies.iter().copied().collect();
        drop(latencies);
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            rank.checked_sub(1).map_or(0, |position| sorted[position])
        };
        (at(50), at(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_over_the_newest_commits() {
        let stats = Stats::default();
        assert_eq!(stats.percentiles(), (0, 0));
        for micros in 0..5_000 {
            stats.committed(1, 0, Duration::from_micros(micros));
        }
        assert_eq!(stats.percentiles(), (5_000 - 1_024 + 511, 5_000 - 11));
    }

    #[test]
    fn a_commit_of_duplicates_writes_nothing() {
        let stats = Stats::default();
        stats.committed(0, 3, Duration::from_micros(9));
        assert_eq!(stats.commits.load(Ordering::Relaxed), 0);
        assert_eq!(stats.duplicates.load(Ordering::Relaxed), 3);
    }
}
