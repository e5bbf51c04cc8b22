//! How fast the log grows.

use std::collections::VecDeque;

const HOUR: u64 = 3_600 * 1_000_000;
const HOURS_OF_A_DAY: usize = 24;
const DAY: u64 = HOUR * HOURS_OF_A_DAY as u64;

/// A ledger that has run for less has not shown yet how fast its log grows.
const SHORTEST_MEASURED: u64 = 60 * 1_000_000;

/// Bytes appended, hour by hour, over the last day. Times are microseconds since the Unix epoch.
#[derive(Debug)]
pub(crate) struct Growth {
    since: u64,
    /// The number of each hour in which something was appended, and how much.
    hours: VecDeque<(u64, u64)>,
}

impl Growth {
    /// Measures from now on.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            since: now,
            hours: VecDeque::with_capacity(HOURS_OF_A_DAY),
        }
    }

    /// Notes an append.
    pub(crate) fn add(&mut self, now: u64, bytes: u64) {
        let hour = now / HOUR;
        match self.hours.back_mut() {
            // A clock that was set back counts towards the newest hour.
            Some((newest, sum)) if hour <= *newest => *sum += bytes,
            _ => {
                if self.hours.len() == HOURS_OF_A_DAY {
                    self.hours.pop_front();
                }
                self.hours.push_back((hour, bytes));
            }
        }
    }

    /// Bytes appended a day: over this hour and the 23 before, or since the start where that is
    /// shorter; 0 in the first minute.
    pub(crate) fn bytes_per_day(&self, now: u64) -> u64 {
        let first_hour = (now / HOUR).saturating_sub(HOURS_OF_A_DAY as u64 - 1);
        let measured = now.saturating_sub(self.since.max(first_hour * HOUR));
        if measured < SHORTEST_MEASURED {
            return 0;
        }
        let counted = self.hours.iter().filter(|(hour, _)| *hour >= first_hour);
        let bytes: u64 = counted.map(|(_, bytes)| bytes).sum();
        let per_day = u128::from(bytes) * u128::from(DAY) / u128::from(measured);
        u64::try_from(per_day).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 500_000 * HOUR;

    #[test]
    fn what_came_in_a_part_of_a_day_is_scaled_to_a_day() {
        let mut growth = Growth::new(START);
        growth.add(START, 1_000);
        assert_eq!(growth.bytes_per_day(START + 1), 0);
        assert_eq!(growth.bytes_per_day(START + 6 * HOUR), 4_000);
        assert_eq!(growth.bytes_per_day(START + 12 * HOUR), 2_000);
    }

    #[test]
    fn what_came_earlier_than_a_day_ago_is_forgotten() {
        let mut growth = Growth::new(START);
        for hour in 0..100 {
            growth.add(START + hour * HOUR, 1_000_000);
            growth.add(START + hour * HOUR + 1, 10);
        }
        assert_eq!(growth.hours.len(), HOURS_OF_A_DAY);
        // 24 hours were full.
        assert_eq!(growth.bytes_per_day(START + 100 * HOUR - 1), 24 * 1_000_010);
        // Nothing came for a day.
        assert_eq!(growth.bytes_per_day(START + 124 * HOUR), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let mut growth = Growth::new(START);
        growth.add(START + 2 * HOUR, 5);
        growth.add(START + HOUR, 7);
        assert_eq!(growth.hours.len(), 1);
        assert_eq!(growth.bytes_per_day(START + 12 * HOUR), 24);
        assert_eq!(growth.bytes_per_day(START - HOUR), 0);
    }
}
