//! A gap: what it is made of, and how it grows and shrinks.

use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::{self as contract, GapKind, GapState};
use serde::{Deserialize, Serialize};

use super::numbering::Numbered;

/// Numbers that follow each other, and are not in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MissingRange {
    /// First number.
    pub(crate) first: u64,
    /// Last number.
    pub(crate) last: u64,
    /// How many of `first..=last` are missing. All of them, unless the gap has so many holes that
    /// the ledger keeps no account of each.
    pub(crate) missing: u64,
    /// When the device was polled for the reading before, microseconds since the Unix epoch.
    pub(crate) start: u64,
    /// When it was polled for the reading after.
    pub(crate) end: u64,
}

/// Readings that a device has numbered, or may have, and that are not in the log.
///
/// Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// The entry that showed it: the first reading after the gap. No other gap has the same.
    pub(crate) id: u64,
    /// The sensor's id.
    pub(crate) sensor: String,
    /// The device's boot id.
    pub(crate) boot: String,
    /// The boot before, where the kind is [`GapKind::Restart`]; else empty.
    pub(crate) previous_boot: String,
    /// Why readings are missing.
    pub(crate) kind: GapKind,
    /// Whether they still are.
    pub(crate) state: GapState,
    /// How many numbers were found missing, those that came later included; 0 for a restart.
    pub(crate) lost: u64,
    /// Boots that began in it, leaps, or readings under a number used before; 0 of missing numbers.
    pub(crate) restarts: u64,
    /// What is missing now, in order of the numbers.
    pub(crate) ranges: Vec<MissingRange>,
    /// When the device was polled for the last reading before the gap.
    pub(crate) start: u64,
    /// When it was polled for the first reading after the gap.
    pub(crate) end: u64,
    /// The device's own time of the last reading before the gap, where it gave one.
    pub(crate) device_start: Option<u64>,
    /// The device's own time of the first reading after the gap, where it gave one.
    pub(crate) device_end: Option<u64>,
    /// Entry of the last reading before the gap.
    pub(crate) before: u64,
    /// Entry of the first reading after the gap.
    pub(crate) after: u64,
    /// When the ledger received the entry that showed it.
    pub(crate) opened_at: u64,
    /// When the ledger received the last missing reading.
    pub(crate) closed_at: Option<u64>,
    /// The log's entry that tells of the gap; none before it has stayed open for the time of grace.
    pub(crate) opened_entry: Option<u64>,
    /// The log's entry that tells of its end.
    pub(crate) closed_entry: Option<u64>,
    /// Who closed it; empty unless somebody did.
    #[serde(default)]
    pub(crate) closed_by: String,
    /// Why they did.
    #[serde(default)]
    pub(crate) closed_reason: String,
    /// How large the gap was in the entry that tells of it.
    pub(crate) recorded_extent: u64,
}

impl From<&MissingRange> for contract::MissingRange {
    fn from(range: &MissingRange) -> Self {
        Self {
            first: range.first,
            last: range.last,
            missing: range.missing,
            start: WallTime::from_micros(range.start),
            end: WallTime::from_micros(range.end),
        }
    }
}

/// What is kept on the disk of a gap, as it is shown.
impl From<&Gap> for contract::Gap {
    fn from(gap: &Gap) -> Self {
        Self {
            id: gap.id,
            sensor: gap.sensor.clone(),
            boot: gap.boot.clone(),
            previous_boot: gap.previous_boot.clone(),
            kind: gap.kind,
            state: gap.state,
            missing: gap.missing(),
            lost: gap.lost,
            restarts: gap.restarts,
            ranges: gap.ranges.iter().map(Into::into).collect(),
            start: WallTime::from_micros(gap.start),
            end: WallTime::from_micros(gap.end),
            device_start: gap.device_start.map(WallTime::from_micros),
            device_end: gap.device_end.map(WallTime::from_micros),
            before: gap.before,
            after: gap.after,
            opened_at: WallTime::from_micros(gap.opened_at),
            closed_at: gap.closed_at.map(WallTime::from_micros),
            opened_entry: gap.opened_entry,
            closed_entry: gap.closed_entry,
            closed_by: gap.closed_by.clone(),
            closed_reason: gap.closed_reason.clone(),
        }
    }
}

impl Gap {
    /// How many numbers are missing now; none where nobody can tell.
    pub(crate) fn missing(&self) -> Option<u64> {
        (self.kind == GapKind::Numbers).then(|| {
            let missing = self.ranges.iter().map(|range| range.missing);
            missing.fold(0, u64::saturating_add)
        })
    }

    /// How large the gap has been, in numbers or boots: what must be told again once it grows.
    pub(crate) fn extent(&self) -> u64 {
        match self.kind {
            GapKind::Numbers => self.lost,
            GapKind::Restart | GapKind::Jump => self.restarts,
            // It grows with every reading; the log is told each time it has doubled.
            GapKind::Reused => u64::from(u64::BITS - self.restarts.leading_zeros()),
        }
    }

    /// Whether what shows now still belongs to it: its time is not over, and the log does not tell of
    /// it yet.
    pub(crate) fn is_young_and_untold(&self, received_at: u64) -> bool {
        let young = received_at.saturating_sub(self.opened_at) < super::BURST;
        young && self.opened_entry.is_none() && self.state != GapState::Closed
    }

    /// The same happened once more.
    pub(crate) fn extend(&mut self, after: &Numbered) {
        self.restarts = self.restarts.saturating_add(1);
        self.after = after.index;
        self.end = self.end.max(after.polled_at);
        self.device_end = after.device_at;
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
