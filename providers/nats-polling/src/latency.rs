//! Poll-to-durable latency over the last minute.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

/// A slice of the minute, in microseconds. What is older than a minute leaves slice by slice.
const SLICE: u64 = 5_000_000;
const SLICES: u64 = 12;

/// Up to an hour; more counts as an hour.
const HIGHEST: u64 = 3_600_000_000;

/// Latencies by the slice of time in which they were noted.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// (number of the slice, its latencies in microseconds), oldest first.
    slices: VecDeque<(u64, Histogram<u32>)>,
}

impl Latency {
    /// Notes latencies at `wall_now`.
    pub(crate) fn note(&mut self, latencies: impl Iterator<Item = u64>, wall_now: u64) {
        let number = wall_now / SLICE;
        self.forget(number);
        if self.slices.back().is_none_or(|(last, _)| *last != number) {
            // Bounds are constants that the histogram accepts: two digits need 26 KB.
            let Ok(histogram) = Histogram::new_with_bounds(1, HIGHEST, 2) else {
                return;
            };
            self.slices.push_back((number, histogram));
        }
        if let Some((_, histogram)) = self.slices.back_mut() {
            for latency in latencies {
                histogram.saturating_record(latency.max(1));
            }
        }
    }

    /// The latencies that 50 % and 99 % stayed below, in microseconds; zeros without data.
    pub(crate) fn percentiles(&mut self, wall_now: u64) -> (u64, u64) {
        self.forget(wall_now / SLICE);
        let mut histograms = self.slices.iter().map(|(_, histogram)| histogram);
        let Some(mut sum) = histograms.next().cloned() else {
            return (0, 0);
        };
        for histogram in histograms {
            // All have the same bounds, so there is nothing that the sum could not hold.
            let _ = sum.add(histogram);
        }
        (sum.value_at_quantile(0.5), sum.value_at_quantile(0.99))
    }

    fn forget(&mut self, present: u64) {
        self.slices
            .retain(|(number, _)| number.abs_diff(present) < SLICES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_cover_the_last_minute() {
        let mut latency = Latency::default();
        let now = 1_767_323_045_000_000;
        assert_eq!(latency.percentiles(now), (0, 0));
        latency.note(std::iter::repeat_n(10_000, 98), now);
        latency.note(std::iter::repeat_n(900_000, 2), now + 30_000_000);
        let (p50, p99) = latency.percentiles(now + 30_000_000);
        assert!(
            p50.abs_diff(10_000) < 200 && p99.abs_diff(900_000) < 9_000,
            "{p50} {p99}"
        );
        let (p50, _) = latency.percentiles(now + 70_000_000);
        assert!(p50.abs_diff(900_000) < 9_000, "{p50}");
        assert_eq!(latency.percentiles(now + 100_000_000), (0, 0));
    }
}
