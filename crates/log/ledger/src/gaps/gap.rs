//! A gap: what it is made of, and how it grows and shrinks.

use serde::{Deserialize, Serialize};

/// Why readings are missing, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GapKind {
    /// The device's numbers within one boot lack some.
    Numbers,
    /// The device began to count anew: what it read between its last known number and the first of
    /// the new boot, and did not deliver, nobody can count.
    Restart,
}

/// Whether readings are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GapState {
    /// They are.
    Open,
    /// They were, and came later.
    Closed,
    /// Nobody can tell: a restart.
    Unknown,
}

/// Numbers that follow each other, and are not in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingRange {
    /// First number.
    pub first: u64,
    /// Last number.
    pub last: u64,
    /// How many of `first..=last` are missing. All of them, unless the gap has so many holes that
    /// the ledger keeps no account of each.
    pub missing: u64,
    /// When the device was polled for the reading before, microseconds since the Unix epoch.
    pub start: u64,
    /// When it was polled for the reading after.
    pub end: u64,
}

/// Readings that a device has numbered, or may have, and that are not in the log.
///
/// Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The entry that showed it: the first reading after the gap. No other gap has the same.
    pub id: u64,
    /// The sensor's id.
    pub sensor: String,
    /// The device's boot id.
    pub boot: String,
    /// The boot before, where the kind is [`GapKind::Restart`]; else empty.
    pub previous_boot: String,
    /// Why readings are missing.
    pub kind: GapKind,
    /// Whether they still are.
    pub state: GapState,
    /// How many numbers were found missing, those that came later included; 0 for a restart.
    pub lost: u64,
    /// Boots that began in it; 0 unless it is a restart.
    pub restarts: u64,
    /// What is missing now, in order of the numbers.
    pub ranges: Vec<MissingRange>,
    /// When the device was polled for the last reading before the gap.
    pub start: u64,
    /// When it was polled for the first reading after the gap.
    pub end: u64,
    /// The device's own time of the last reading before the gap, where it gave one.
    pub device_start: Option<u64>,
    /// The device's own time of the first reading after the gap, where it gave one.
    pub device_end: Option<u64>,
    /// Entry of the last reading before the gap.
    pub before: u64,
    /// Entry of the first reading after the gap.
    pub after: u64,
    /// When the ledger received the entry that showed it.
    pub opened_at: u64,
    /// When the ledger received the last missing reading.
    pub closed_at: Option<u64>,
    /// The log's entry that tells of the gap; none before it has stayed open for the time of grace.
    pub opened_entry: Option<u64>,
    /// The log's entry that tells of its end.
    pub closed_entry: Option<u64>,
    /// How large the gap was in the entry that tells of it.
    pub(crate) recorded_extent: u64,
}

impl Gap {
    /// How many numbers are missing now; none where nobody can tell.
    #[must_use]
    pub fn missing(&self) -> Option<u64> {
        (self.kind == GapKind::Numbers).then(|| {
            let missing = self.ranges.iter().map(|range| range.missing);
            missing.fold(0, u64::saturating_add)
        })
    }

    /// How large the gap has been, in numbers or boots: what must be told again once it grows.
    pub(crate) fn extent(&self) -> u64 {
        match self.kind {
            GapKind::Numbers => self.lost,
            GapKind::Restart => self.restarts,
        }
    }

    /// Whether the log should have one more entry about it.
    pub(crate) fn is_unrecorded(&self, now: u64, grace: u64) -> bool {
        match (self.state, self.opened_entry) {
            // It was filled before it was recorded.
            (GapState::Closed, None) => false,
            (GapState::Closed, Some(_)) => self.closed_entry.is_none(),
            (_, None) => now.saturating_sub(self.opened_at) >= grace,
            (_, Some(_)) => self.extent() > self.recorded_extent,
        }
    }

    /// Takes in another hole. At most `most_ranges` are told apart.
    pub(crate) fn add(&mut self, hole: MissingRange, most_ranges: usize) {
        self.lost = self.lost.saturating_add(hole.missing);
        self.start = self.start.min(hole.start);
        self.end = self.end.max(hole.end);
        let position = self
            .ranges
            .partition_point(|range| range.first < hole.first);
        self.ranges.insert(position, hole);
        while self.ranges.len() > most_ranges.max(1) {
            self.merge_closest();
        }
    }

    /// Takes out a number that came after all; false where it was not missing.
    pub(crate) fn fill(&mut self, number: u64, polled_at: u64, most_ranges: usize) -> bool {
        let after = self.ranges.partition_point(|range| range.first <= number);
        let Some(position) = after.checked_sub(1) else {
            return false;
        };
        let range = &mut self.ranges[position];
        if number > range.last {
            return false;
        }
        let is_exact = range.missing == range.last - range.first + 1;
        range.missing -= 1;
        if range.missing == 0 {
            self.ranges.remove(position);
            return true;
        }
        if !is_exact {
            return true;
        }
        let time = polled_at.clamp(range.start, range.end);
        if number == range.first {
            range.first += 1;
            range.start = time;
        } else if number == range.last {
            range.last -= 1;
            range.end = time;
        } else {
            let rest = MissingRange {
                first: number + 1,
                last: range.last,
                missing: range.last - number,
                start: time,
                end: range.end,
            };
            range.last = number - 1;
            range.missing -= rest.missing;
            range.end = time;
            self.ranges.insert(position + 1, rest);
            while self.ranges.len() > most_ranges.max(1) {
                self.merge_closest();
            }
        }
        true
    }

    /// Makes one of the two ranges with the fewest numbers between them.
    fn merge_closest(&mut self) {
        let pairs = self.ranges.windows(2).enumerate();
        let closest = pairs.min_by_key(|(_, pair)| pair[1].first - pair[0].last);
        let Some((position, _)) = closest else {
            return;
        };
        let right = self.ranges.remove(position + 1);
        let left = &mut self.ranges[position];
        left.last = right.last;
        left.missing = left.missing.saturating_add(right.missing);
        left.start = left.start.min(right.start);
        left.end = left.end.max(right.end);
    }
}
