//! Which readings are missing: what a proof of integrity does not show.
//!
//! A device that counts its readings gives each a number, and counts anew at each boot; both stand
//! in the reading and in its producer, `reading/<sensor>/<boot>`. Numbers that lie between two that
//! the log has, and that it has not itself, are a **gap**. So
//!
//! - a poll without an answer is not a gap: it is an entry of its own (`COMM_ERROR`). A reading is
//!   missing only where the device used up a number for it;
//! - an answer that could not be read has lost its number, and shows as a gap beside its entry;
//! - what a device numbered before the first number known of a boot is not a gap: nobody knows where it
//!   began to count;
//! - a new boot is a gap of its own kind, because what was lost around it cannot be counted;
//! - a number further away than the device can have counted in the time is a *jump* (`numbering`), a
//!   kind of its own too: what it leapt over is not counted as missing;
//! - readings without a number are in no gap. Their completeness rests on the number of their poll,
//!   counted over all sensors of a polling run. So does that of readings under a number that the device
//!   had used before; those are of a kind of their own, *reused*, so that somebody sees them.
//!
//! Somebody can close a gap with a reason, which is an entry of the log as well.
//!
//! Holes of one boot that show within [`BURST`] are one gap, as they have one cause. A gap that
//! stays open for the time of grace gets an entry of the log (`gap_recorder`), and another once it is
//! filled. All of this follows from the log's entries alone, so that a replay finds the same.
//!
//! Devices are not trusted, so memory is bounded: a gap tells at most [`MOST_RANGES`] ranges apart
//! and beyond that only counts, and the oldest gaps are forgotten here, never in the log.

mod gap;
#[cfg(test)]
mod model;
mod numbering;
mod record;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use foldhash::quality::RandomState;
use serde::{Deserialize, Serialize};

use fieldledger_contract::ledger::{GapKind, GapQuery, GapState, GapTotals};
pub(crate) use gap::{Gap, MissingRange};
pub(crate) use numbering::{Numbered, Numbering};
pub(crate) use record::{Noted, noted_in, noted_in_erased, numbering_of};

use crate::error::QueryError;
use fieldledger_formats::own::Details;
use numbering::Step;
use record::{Closing, GapRecord};

/// Holes that show within this time of the first, microseconds, are one gap.
const BURST: u64 = 60_000_000;

/// Readings under numbers used before are one gap while they follow each other within this time,
/// microseconds: a device that does so does it all day.
const REUSE_QUIET: u64 = 3_600_000_000;

/// Ranges that a gap tells apart.
const MOST_RANGES: usize = 64;

/// Ranges of all gaps together, from which on gaps tell nothing apart.
const MOST_RANGES_IN_ALL: usize = 500_000;

/// Boots of a sensor whose numbers are followed. One that speaks again after as many others counts
/// as a new one.
const MOST_BOOTS: usize = 8;

/// Open gaps of a sensor.
const MOST_OPEN: usize = 4_096;

/// Closed gaps and restarts that are listed.
const MOST_SETTLED: usize = 10_000;

/// Gaps filled before they were recorded: kept because an entry about one may be under way.
const MOST_FLEETING: usize = 1_000;

/// Gaps in all.
const MOST_GAPS: usize = 100_000;

/// Gaps on a page.
pub(crate) const MOST_LISTED: u32 = 1_000;

/// Some gaps, the newest first.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) gaps: Vec<Gap>,
    /// Cursor of the next page, if there is one.
    pub(crate) next: Option<u64>,
}

/// All gaps, and what is needed to find more.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gaps {
    sensors: HashMap<String, Sensor, RandomState>,
    gaps: BTreeMap<u64, Gap>,
    /// Gaps about which the log may need one more entry.
    #[serde(rename = "untold")]
    unrecorded: BTreeSet<u64>,
    /// Closed gaps and restarts, in the order they became so.
    settled: VecDeque<u64>,
    fleeting: VecDeque<u64>,
    /// Ranges of all gaps.
    ranges: usize,
    /// Number of the next entry about a gap.
    next_record: u64,
    forgotten: u64,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Sensor {
    /// The one heard of last at the end.
    boots: Vec<Numbering>,
    /// Its open gaps.
    open: BTreeSet<u64>,
    restart: Option<u64>,
    #[serde(default)]
    jump: Option<u64>,
    #[serde(default)]
    reused: Option<u64>,
}

/// Where in the log an entry is, and when it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) index: u64,
    pub(crate) received_at: u64,
}

impl Gaps {
    /// Takes a new entry of the log into account.
    pub(crate) fn note(&mut self, origin: (&str, u64), noted: &Noted, place: Place) {
        match noted {
            Noted::Number {
                said,
                polled_at,
                device_at,
            } => {
                let (producer, number) = origin;
                let Some((sensor, boot)) = numbering_of(producer) else {
                    return;
                };
                let numbered = Numbered {
                    number,
                    index: place.index,
                    polled_at: *polled_at,
                    device_at: *device_at,
                };
                self.count(sensor, boot, numbered, place.received_at);
                if let Some(said) = said {
                    let known = self.sensors.get_mut(sensor);
                    if let Some(numbering) = known.and_then(|known| known.numbering_mut(boot)) {
                        numbering.note_said(*said, number);
                    }
                }
            }
            Noted::Reused {
                sensor,
                boot,
                number,
                polled_at,
                device_at,
            } => {
                let numbered = Numbered {
                    number: *number,
                    index: place.index,
                    polled_at: *polled_at,
                    device_at: *device_at,
                };
                self.reused(sensor, boot, numbered, place.received_at);
            }
            Noted::Record(record) => self.recorded(origin.1, *record, place.index),
            Noted::Closing(closing) => self.closed(closing, place),
        }
    }

    /// What is known of the numbers of one boot.
    pub(crate) fn numbering(&self, sensor: &str, boot: &str) -> Option<&Numbering> {
        self.sensors.get(sensor)?.numbering(boot)
    }

    /// One gap.
    pub(crate) fn get(&self, id: u64) -> Option<&Gap> {
        self.gaps.get(&id).filter(|gap| is_shown(gap))
    }

    /// A device's reading has come.
    fn count(&mut self, sensor: &str, boot: &str, reading: Numbered, received_at: u64) {
        let Some(known) = self.sensors.get_mut(sensor) else {
            let numbering = Numbering::new(boot, reading);
            let known = Sensor {
                boots: vec![numbering],
                ..Sensor::default()
            };
            self.sensors.insert(sensor.to_owned(), known);
            return;
        };
        let Some(position) = known.boots.iter().rposition(|known| known.boot == boot) else {
            return self.restart(sensor, boot, reading, received_at);
        };
        match known.boots[position].advance(reading) {
            Step::Next => {}
            Step::Hole(ends) => self.open(sensor, boot, ends, received_at, reading.index),
            Step::Jump(ends) => self.jump(sensor, boot, ends, received_at),
            Step::Inside => self.fill(sensor, boot, reading, received_at),
        }
    }

    /// The numbers leapt: `ends` are the readings before and after.
    fn jump(&mut self, sensor: &str, boot: &str, ends: [Numbered; 2], received_at: u64) {
        let [before, after] = ends;
        let Some(known) = self.sensors.get_mut(sensor) else {
            return;
        };
        if let Some(id) = known.jump
            && let Some(gap) = self.gaps.get_mut(&id)
            && gap.boot == boot
            && gap.is_young_and_untold(received_at)
        {
            gap.extend(&after);
            return;
        }
        known.jump = Some(after.index);
        let place = Place {
            index: after.index,
            received_at,
        };
        let [low, high] = match before.number < after.number {
            true => [before, after],
            false => [after, before],
        };
        let leapt_over = MissingRange {
            first: low.number + 1,
            last: (high.number - 1).max(low.number + 1),
            missing: 0,
            start: before.polled_at.min(after.polled_at),
            end: before.polled_at.max(after.polled_at),
        };
        let gap = Gap {
            restarts: 1,
            ranges: vec![leapt_over],
            ..gap_of(sensor, boot, GapKind::Jump, ends, place)
        };
        self.ranges += gap.ranges.len();
        self.insert(gap);
        self.settle(after.index);
    }

    /// A number was used again, for another reading.
    fn reused(&mut self, sensor: &str, boot: &str, reading: Numbered, received_at: u64) {
        let known = self.sensors.entry(sensor.to_owned()).or_default();
        if let Some(id) = known.reused
            && let Some(gap) = self.gaps.get_mut(&id)
            && gap.boot == boot
            && gap.state == GapState::Unknown
            && reading.polled_at.saturating_sub(gap.end) < REUSE_QUIET
        {
            gap.extend(&reading);
            if gap.extent() > gap.recorded_extent {
                self.unrecorded.insert(id);
            }
            return;
        }
        known.reused = Some(reading.index);
        let before = known.numbering(boot).map_or(reading, |known| known.last);
        let place = Place {
            index: reading.index,
            received_at,
        };
        let gap = Gap {
            restarts: 1,
            ..gap_of(sensor, boot, GapKind::Reused, [before, reading], place)
        };
        self.insert(gap);
        self.settle(reading.index);
    }

    /// Somebody closed a gap.
    fn closed(&mut self, closing: &Closing, place: Place) {
        let Some(gap) = self.gaps.get_mut(&closing.gap) else {
            return;
        };
        let was = std::mem::replace(&mut gap.state, GapState::Closed);
        if was == GapState::Closed {
            return;
        }
        gap.closed_at = Some(place.received_at);
        gap.closed_entry = Some(place.index);
        gap.closed_by.clone_from(&closing.actor);
        gap.closed_reason.clone_from(&closing.reason);
        if let Some(known) = self.sensors.get_mut(&gap.sensor) {
            known.open.remove(&closing.gap);
        }
        self.unrecorded.remove(&closing.gap);
        if was == GapState::Open {
            self.settle(closing.gap);
        }
    }

    /// The numbers between two readings are missing.
    fn open(
        &mut self,
        sensor: &str,
        boot: &str,
        [before, after]: [Numbered; 2],
        received_at: u64,
        shown_by: u64,
    ) {
        let hole = MissingRange {
            first: before.number + 1,
            last: after.number - 1,
            missing: after.number - before.number - 1,
            start: before.polled_at.min(after.polled_at),
            end: before.polled_at.max(after.polled_at),
        };
        let most_ranges = self.most_ranges();
        if let Some(gap) = self.burst(sensor, boot, received_at) {
            let had = gap.ranges.len();
            gap.add(hole, most_ranges);
            if after.index == shown_by {
                gap.after = after.index;
                gap.device_end = after.device_at;
            } else {
                gap.before = before.index;
                gap.device_start = before.device_at;
            }
            let has = gap.ranges.len();
            self.ranges = self.ranges - had + has;
            return;
        }
        let mut gap = gap_of(
            sensor,
            boot,
            GapKind::Numbers,
            [before, after],
            Place {
                index: shown_by,
                received_at,
            },
        );
        gap.add(hole, most_ranges);
        self.ranges += gap.ranges.len();
        self.insert(gap);
        let Some(known) = self.sensors.get_mut(sensor) else {
            return;
        };
        known.open.insert(shown_by);
        if known.open.len() > MOST_OPEN
            && let Some(oldest) = known.open.first().copied()
        {
            self.forget(oldest);
        }
    }

    /// The gap that another hole of this boot belongs to: the newest one, if it is young, and the
    /// log does not tell of it yet.
    fn burst(&mut self, sensor: &str, boot: &str, received_at: u64) -> Option<&mut Gap> {
        let newest = *self.sensors.get(sensor)?.open.last()?;
        let gap = self.gaps.get_mut(&newest)?;
        (gap.boot == boot && gap.is_young_and_untold(received_at)).then_some(gap)
    }

    /// A boot was not known before.
    fn restart(&mut self, sensor: &str, boot: &str, reading: Numbered, received_at: u64) {
        let Some(known) = self.sensors.get_mut(sensor) else {
            return;
        };
        let before = known
            .boots
            .last()
            .map(|known| (known.boot.clone(), known.last));
        if known.boots.len() == MOST_BOOTS {
            known.boots.remove(0);
        }
        known.boots.push(Numbering::new(boot, reading));
        let Some((previous_boot, last)) = before else {
            return;
        };
        if let Some(id) = known.restart
            && let Some(gap) = self.gaps.get_mut(&id)
            && gap.is_young_and_untold(received_at)
        {
            boot.clone_into(&mut gap.boot);
            gap.extend(&reading);
            return;
        }
        known.restart = Some(reading.index);
        let place = Place {
            index: reading.index,
            received_at,
        };
        let gap = Gap {
            previous_boot,
            restarts: 1,
            ..gap_of(sensor, boot, GapKind::Restart, [last, reading], place)
        };
        self.insert(gap);
        self.settle(reading.index);
    }

    fn insert(&mut self, gap: Gap) {
        self.unrecorded.insert(gap.id);
        self.gaps.insert(gap.id, gap);
        if self.gaps.len() > MOST_GAPS
            && let Some(oldest) = self.gaps.keys().next().copied()
        {
            self.forget(oldest);
        }
    }

    /// A number came after all.
    fn fill(&mut self, sensor: &str, boot: &str, reading: Numbered, received_at: u64) {
        let most_ranges = self.most_ranges();
        let Some(known) = self.sensors.get_mut(sensor) else {
            return;
        };
        for id in known.open.iter().rev().copied() {
            let Some(gap) = self.gaps.get_mut(&id).filter(|gap| gap.boot == boot) else {
                continue;
            };
            let had = gap.ranges.len();
            if !gap.fill(reading.number, reading.polled_at, most_ranges) {
                continue;
            }
            self.ranges = self.ranges - had + gap.ranges.len();
            if gap.ranges.is_empty() {
                gap.state = GapState::Closed;
                gap.closed_at = Some(received_at);
                let is_recorded = gap.opened_entry.is_some();
                known.open.remove(&id);
                if is_recorded {
                    self.unrecorded.insert(id);
                    self.settle(id);
                } else {
                    self.unrecorded.remove(&id);
                    push_bounded(&mut self.fleeting, id, MOST_FLEETING)
                        .and_then(|oldest| self.gaps.remove(&oldest));
                }
            }
            return;
        }
    }

    /// The log has an entry about a gap.
    fn recorded(&mut self, sequence: u64, record: GapRecord, index: u64) {
        self.next_record = self.next_record.max(sequence.saturating_add(1));
        let Some(gap) = self.gaps.get_mut(&record.gap) else {
            return;
        };
        match record.state {
            GapState::Closed => gap.closed_entry = Some(index),
            GapState::Open | GapState::Unknown => {
                gap.recorded_extent = record.extent;
                let is_first = gap.opened_entry.replace(index).is_none();
                if is_first && gap.state == GapState::Closed && gap.closed_by.is_empty() {
                    // It was filled while the entry was under way.
                    self.fleeting.retain(|&id| id != record.gap);
                    self.settle(record.gap);
                }
            }
        }
        let more_to_record = self
            .gaps
            .get(&record.gap)
            .is_some_and(|gap| gap.is_unrecorded(u64::MAX, 0));
        if more_to_record {
            self.unrecorded.insert(record.gap);
        } else {
            self.unrecorded.remove(&record.gap);
        }
    }

    /// No more numbers of this gap are waited for.
    fn settle(&mut self, id: u64) {
        if let Some(oldest) = push_bounded(&mut self.settled, id, MOST_SETTLED) {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: u64) {
        let Some(gap) = self.gaps.remove(&id) else {
            return;
        };
        self.unrecorded.remove(&id);
        self.ranges -= gap.ranges.len();
        self.forgotten += 1;
        if let Some(known) = self.sensors.get_mut(&gap.sensor) {
            known.open.remove(&id);
        }
    }

    fn most_ranges(&self) -> usize {
        if self.ranges < MOST_RANGES_IN_ALL {
            MOST_RANGES
        } else {
            1
        }
    }

    /// The entries that the log should have about gaps by now, with their numbers, at most `most`.
    pub(crate) fn unrecorded(&self, now: u64, grace: u64, most: usize) -> Vec<(u64, Details)> {
        let gaps = self.unrecorded.iter().filter_map(|id| self.gaps.get(id));
        let due = gaps.filter(|gap| gap.is_unrecorded(now, grace)).take(most);
        (self.next_record..).zip(due.map(record::details)).collect()
    }

    /// Lists gaps.
    pub(crate) fn list(&self, query: &GapQuery) -> Result<Listed, QueryError> {
        if !(1..=MOST_LISTED).contains(&query.limit) {
            let problem = format!("is {}; it must be 1 to {MOST_LISTED}", query.limit);
            return Err(QueryError::parameter("limit", problem));
        }
        if let (Some(start), Some(end)) = (query.start, query.end)
            && start >= end
        {
            let (start, end) = (start.micros, end.micros);
            let problem = format!("is {start}; it must be less than end, {end}");
            return Err(QueryError::parameter("start", problem));
        }
        let limit = query.limit as usize;
        let older = self.gaps.range(..query.cursor.unwrap_or(u64::MAX)).rev();
        let wanted = older.filter(|(_, gap)| is_shown(gap) && matches(gap, query));
        let mut gaps: Vec<Gap> = wanted.take(limit + 1).map(|(_, gap)| gap.clone()).collect();
        let next = (gaps.len() > limit).then(|| {
            gaps.truncate(limit);
            gaps[limit - 1].id
        });
        Ok(Listed { gaps, next })
    }

    /// Sums over all gaps.
    pub(crate) fn totals(&self) -> GapTotals {
        let mut totals = GapTotals {
            forgotten: self.forgotten,
            ..GapTotals::default()
        };
        for gap in self.gaps.values().filter(|gap| is_shown(gap)) {
            match gap.state {
                GapState::Open => {
                    totals.open += 1;
                    let missing = gap.missing().unwrap_or(0);
                    totals.missing = totals.missing.saturating_add(missing);
                }
                GapState::Closed => totals.closed += 1,
                GapState::Unknown => totals.unknown += 1,
            }
        }
        totals
    }
}

impl Sensor {
    fn numbering(&self, boot: &str) -> Option<&Numbering> {
        self.boots.iter().rfind(|known| known.boot == boot)
    }

    fn numbering_mut(&mut self, boot: &str) -> Option<&mut Numbering> {
        self.boots.iter_mut().rfind(|known| known.boot == boot)
    }
}

fn gap_of(
    sensor: &str,
    boot: &str,
    kind: GapKind,
    [before, after]: [Numbered; 2],
    place: Place,
) -> Gap {
    Gap {
        id: place.index,
        sensor: sensor.to_owned(),
        boot: boot.to_owned(),
        previous_boot: String::new(),
        kind,
        state: match kind {
            GapKind::Numbers => GapState::Open,
            GapKind::Restart | GapKind::Jump | GapKind::Reused => GapState::Unknown,
        },
        lost: 0,
        restarts: 0,
        ranges: Vec::new(),
        start: before.polled_at.min(after.polled_at),
        end: before.polled_at.max(after.polled_at),
        device_start: before.device_at,
        device_end: after.device_at,
        before: before.index,
        after: after.index,
        opened_at: place.received_at,
        closed_at: None,
        opened_entry: None,
        closed_entry: None,
        closed_by: String::new(),
        closed_reason: String::new(),
        recorded_extent: 0,
    }
}

/// A gap that was filled before the log recorded it is not one.
fn is_shown(gap: &Gap) -> bool {
    gap.state != GapState::Closed || gap.opened_entry.is_some() || !gap.closed_by.is_empty()
}

fn matches(gap: &Gap, query: &GapQuery) -> bool {
    query
        .sensor
        .as_ref()
        .is_none_or(|sensor| gap.sensor == *sensor)
        && query.state.is_none_or(|state| gap.state == state)
        && query.start.is_none_or(|start| gap.end >= start.micros)
        && query.end.is_none_or(|end| gap.start < end.micros)
}

/// Appends; returns the oldest one if there are more than `most` then.
fn push_bounded(ids: &mut VecDeque<u64>, id: u64, most: usize) -> Option<u64> {
    ids.push_back(id);
    (ids.len() > most).then(|| ids.pop_front()).flatten()
}
