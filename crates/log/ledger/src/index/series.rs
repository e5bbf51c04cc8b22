//! Collects the readings of a sensor: each of them while they are few, sums over spans of time
//! once they are many.

use std::collections::BTreeMap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::schema::{INDEX, POLLED_AT, UNCERTAIN, UNIT, VALUE};

/// Microseconds in a second.
const SECOND: u64 = 1_000_000;

/// Lengths that spans have. Each is a multiple of the one before, and people count in them; they
/// begin at multiples of their length since 1970.
const WIDTHS: [u64; 18] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    SECOND,
    5 * SECOND,
    15 * SECOND,
    60 * SECOND,
    5 * 60 * SECOND,
    15 * 60 * SECOND,
    3_600 * SECOND,
    3 * 3_600 * SECOND,
    6 * 3_600 * SECOND,
    12 * 3_600 * SECOND,
    86_400 * SECOND,
    7 * 86_400 * SECOND,
];

/// Units of one sensor that are told apart. A device that names more is broken: its further ones are
/// counted, but not summed up.
const MOST_UNITS: usize = 16;

/// A value, and when and as which entry it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extreme {
    pub(crate) value: f64,
    pub(crate) polled_at: u64,
    pub(crate) index: u64,
}

/// Readings of a span in one unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sum {
    /// Start of the span, microseconds since the Unix epoch.
    pub(crate) start: u64,
    pub(crate) unit: String,
    pub(crate) good: u32,
    pub(crate) uncertain: u32,
    pub(crate) bad: u32,
    pub(crate) total: f64,
    /// None where nothing has a value, or there were too many units.
    pub(crate) min: Option<Extreme>,
    pub(crate) max: Option<Extreme>,
    pub(crate) last: Option<Extreme>,
}

/// How readings are spread over spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spans {
    /// Start of the first, microseconds since the Unix epoch.
    pub(crate) start: u64,
    /// End of the last.
    pub(crate) end: u64,
    /// Length of each.
    pub(crate) width: u64,
}

impl Spans {
    /// At most `limit` spans over `start..end`. Their length depends on how long that is and not on
    /// when it begins, so that a chart which goes on shows the same history each time.
    pub(crate) fn over(start: u64, end: u64, limit: u32) -> Self {
        let length = end.saturating_sub(start);
        let fits = |width: u64| match limit {
            1 => start / width == end.saturating_sub(1).max(start) / width,
            // Where it begins within a span it touches one more.
            limit => length.div_ceil(width) < u64::from(limit),
        };
        let longest = WIDTHS[WIDTHS.len() - 1];
        let mut width = WIDTHS.into_iter().find(|&width| fits(width));
        let mut longer = longest;
        while width.is_none() {
            longer = longer.saturating_mul(2);
            width = (fits(longer) || longer == u64::MAX).then_some(longer);
        }
        let width = width.unwrap_or(longest);
        Self {
            start: start / width * width,
            end: end.div_ceil(width).saturating_mul(width),
            width,
        }
    }
}

/// Collects when the single readings were polled, and where they are; more than `limit` where there are more.
#[derive(Debug)]
pub(crate) struct EntriesCollector {
    pub(crate) limit: usize,
}

/// Collects sums over spans.
#[derive(Debug)]
pub(crate) struct SumsCollector {
    pub(crate) spans: Spans,
}

/// When a reading was polled, and its entry.
pub(crate) type Place = (u64, u64);

impl Collector for EntriesCollector {
    type Fruit = Vec<Place>;
    type Child = SegmentEntries;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentEntries> {
        let columns = segment.fast_fields();
        Ok(SegmentEntries {
            index: columns.u64(INDEX)?,
            polled_at: columns.u64(POLLED_AT)?,
            limit: self.limit,
            places: Vec::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Vec<Place>>) -> tantivy::Result<Vec<Place>> {
        Ok(segments.concat())
    }
}

/// Collects from one segment of the index.
pub(crate) struct SegmentEntries {
    index: Column<u64>,
    polled_at: Column<u64>,
    limit: usize,
    places: Vec<Place>,
}

impl SegmentCollector for SegmentEntries {
    type Fruit = Vec<Place>;

    fn collect(&mut self, document: DocId, _: Score) {
        // One more than the limit says that there are more.
        if self.places.len() > self.limit {
            return;
        }
        let place = self
            .polled_at
            .first(document)
            .zip(self.index.first(document));
        self.places.extend(place);
    }

    fn harvest(self) -> Vec<Place> {
        self.places
    }
}

/// Readings of a span in a unit, before their unit has a name.
#[derive(Debug, Clone, Default)]
struct Gathered {
    good: u32,
    uncertain: u32,
    total: f64,
    min: Option<Extreme>,
    max: Option<Extreme>,
    last: Option<Extreme>,
}

impl Gathered {
    fn add(&mut self, value: Extreme, is_uncertain: bool) {
        let counted = match is_uncertain {
            true => &mut self.uncertain,
            false => &mut self.good,
        };
        *counted = counted.saturating_add(1);
        self.total += value.value;
        self.take(value, value, value);
    }

    fn merge(&mut self, other: &Self) {
        self.good = self.good.saturating_add(other.good);
        self.uncertain = self.uncertain.saturating_add(other.uncertain);
        self.total += other.total;
        if let (Some(min), Some(max), Some(last)) = (other.min, other.max, other.last) {
            self.take(min, max, last);
        }
    }

    fn take(&mut self, min: Extreme, max: Extreme, last: Extreme) {
        let better =
            |known: Option<Extreme>, new: Extreme, is_better: fn(Extreme, Extreme) -> bool| {
                known.filter(|known| !is_better(new, *known)).or(Some(new))
            };
        self.min = better(self.min, min, |new, known| new.value < known.value);
        self.max = better(self.max, max, |new, known| new.value > known.value);
        self.last = better(self.last, last, |new, known| {
            (new.polled_at, new.index) >= (known.polled_at, known.index)
        });
    }
}

/// Sums of one segment, or of several.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// By span and unit. None for the readings in units beyond the bound.
    valued: BTreeMap<(u64, Option<String>), Gathered>,
    bad: BTreeMap<u64, u32>,
}

impl Sums {
    pub(super) fn merge(&mut self, other: Self) {
        let known = |valued: &BTreeMap<(u64, Option<String>), Gathered>| {
            let units = valued.keys().filter_map(|(_, unit)| unit.clone());
            units.collect::<std::collections::BTreeSet<String>>()
        };
        let mut units = known(&self.valued);
        for ((span, unit), gathered) in other.valued {
            let unit = unit.filter(|unit| {
                units.contains(unit) || (units.len() < MOST_UNITS && units.insert(unit.clone()))
            });
            self.valued
                .entry((span, unit))
                .or_default()
                .merge(&gathered);
        }
        for (span, bad) in other.bad {
            let known = self.bad.entry(span).or_default();
            *known = known.saturating_add(bad);
        }
    }

    /// What has no value has no unit of its own: it is counted with the first unit of its span.
    pub(super) fn finish(mut self, spans: Spans) -> Vec<Sum> {
        let mut sums: Vec<Sum> = Vec::with_capacity(self.valued.len());
        for ((span, unit), gathered) in self.valued {
            let is_known = unit.is_some();
            sums.push(Sum {
                start: spans.start.saturating_add(span.saturating_mul(spans.width)),
                unit: unit.unwrap_or_default(),
                good: gathered.good,
                uncertain: gathered.uncertain,
                bad: self.bad.remove(&span).unwrap_or(0),
                total: gathered.total,
                min: gathered.min.filter(|_| is_known),
                max: gathered.max.filter(|_| is_known),
                last: gathered.last.filter(|_| is_known),
            });
        }
        for (span, bad) in self.bad {
            sums.push(Sum {
                start: spans.start.saturating_add(span.saturating_mul(spans.width)),
                unit: String::new(),
                good: 0,
                uncertain: 0,
                bad,
                total: 0.0,
                min: None,
                max: None,
                last: None,
            });
        }
        sums.sort_by(|one, other| (one.start, &one.unit).cmp(&(other.start, &other.unit)));
        sums
    }
}

impl Collector for SumsCollector {
    type Fruit = Sums;
    type Child = SegmentSums;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentSums> {
        let columns = segment.fast_fields();
        Ok(SegmentSums {
            index: columns.u64(INDEX)?,
            polled_at: columns.u64(POLLED_AT)?,
            value: columns.f64(VALUE)?,
            uncertain: columns.u64(UNCERTAIN)?,
            unit: columns.str(UNIT)?,
            sums: BlockSums::of(self.spans),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Sums>) -> tantivy::Result<Sums> {
        let mut all = Sums::default();
        for segment in segments {
            all.merge(segment);
        }
        Ok(all)
    }
}

/// Collects from one segment of the index.
pub(crate) struct SegmentSums {
    index: Column<u64>,
    polled_at: Column<u64>,
    value: Column<f64>,
    uncertain: Column<u64>,
    unit: Option<StrColumn>,
    /// By the unit's number in the segment; none for no unit.
    sums: BlockSums<Option<u64>>,
}

impl SegmentCollector for SegmentSums {
    type Fruit = Sums;

    fn collect(&mut self, document: DocId, _: Score) {
        let place = self
            .polled_at
            .first(document)
            .zip(self.index.first(document));
        let Some((polled_at, index)) = place else {
            return;
        };
        let Some(value) = self.value.first(document) else {
            self.sums.add_bad(polled_at);
            return;
        };
        let unit = self.unit.as_ref();
        let unit = unit.and_then(|unit| unit.ords().first(document));
        let value = Extreme {
            value,
            polled_at,
            index,
        };
        let is_uncertain = self.uncertain.first(document).is_some();
        self.sums.add(value, unit, is_uncertain);
    }

    fn harvest(self) -> Sums {
        self.sums.named(|number| {
            let mut name = String::new();
            if let (Some(units), Some(number)) = (&self.unit, number)
                && let Err(error) = units.ord_to_str(number, &mut name)
            {
                tracing::warn!(%error, "the index has a unit without a name");
            }
            name
        })
    }
}

/// Sums of a part of the index, in which each unit has one number or several.
#[derive(Debug)]
pub(crate) struct BlockSums<U> {
    spans: Spans,
    /// By span and unit.
    valued: BTreeMap<(u64, U), Gathered>,
    bad: BTreeMap<u64, u32>,
}

impl<U: Ord + Copy> BlockSums<U> {
    pub(super) fn of(spans: Spans) -> Self {
        Self {
            spans,
            valued: BTreeMap::new(),
            bad: BTreeMap::new(),
        }
    }

    fn span(&self, polled_at: u64) -> u64 {
        polled_at.saturating_sub(self.spans.start) / self.spans.width
    }

    /// Takes a reading without a value into account.
    pub(super) fn add_bad(&mut self, polled_at: u64) {
        let bad = self.bad.entry(self.span(polled_at)).or_default();
        *bad = bad.saturating_add(1);
    }

    /// Takes a value into account.
    pub(super) fn add(&mut self, value: Extreme, unit: U, is_uncertain: bool) {
        let span = self.span(value.polled_at);
        let gathered = self.valued.entry((span, unit)).or_default();
        gathered.add(value, is_uncertain);
    }

    /// The sums with the names of their units, which are empty for none; of no more units than are told
    /// apart.
    pub(super) fn named(self, mut name: impl FnMut(U) -> String) -> Sums {
        let mut named = Sums {
            valued: BTreeMap::new(),
            bad: self.bad,
        };
        for ((span, unit), gathered) in self.valued {
            let unit = Some(name(unit));
            named
                .valued
                .entry((span, unit))
                .or_default()
                .merge(&gathered);
        }
        let mut sums = Sums::default();
        // Bounds the units.
        sums.merge(named);
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    const HOUR: u64 = 3_600 * SECOND;

    fn value(polled_at: u64, value: f64) -> Extreme {
        Extreme {
            value,
            polled_at,
            index: polled_at,
        }
    }

    fn sums_of(points: &[(u64, &str, f64, bool)]) -> Sums {
        let mut sums = Sums::default();
        for &(span, unit, number, is_uncertain) in points {
            let gathered = sums
                .valued
                .entry((span, Some(unit.to_owned())))
                .or_default();
            gathered.add(value(span, number), is_uncertain);
        }
        sums
    }

    #[test]
    fn spans_are_round_and_do_not_hang_on_now() {
        let start = 1_767_323_045_000_006;
        let spans = Spans::over(start, start + HOUR, 500);
        assert_eq!(spans.width, 15 * SECOND);
        assert_eq!((spans.start % spans.width, spans.end % spans.width), (0, 0));
        assert!(spans.start <= start && spans.end >= start + HOUR);
        for later in 0..100 {
            let start = start + later * 1_234_567;
            assert_eq!(Spans::over(start, start + HOUR, 500).width, 15 * SECOND);
        }
        assert_eq!(Spans::over(0, 100 * SECOND, 11).width, 15 * SECOND);
        assert_eq!(Spans::over(0, u64::MAX, 2).start, 0);
    }

    #[test]
    fn units_are_never_mixed() {
        let mut all = Sums::default();
        all.merge(sums_of(&[
            (0, "Cel", 20.0, false),
            (0, "[degF]", 68.0, true),
        ]));
        let mut more = sums_of(&[(0, "Cel", 22.0, true), (1, "Cel", 5.0, false)]);
        more.bad.insert(0, 2);
        more.bad.insert(7, 1);
        all.merge(more);
        let spans = Spans {
            start: 100,
            end: 200,
            width: 10,
        };
        let found = all.finish(spans);
        let summary: Vec<_> = found
            .iter()
            .map(|sum| {
                (
                    sum.start,
                    sum.unit.as_str(),
                    sum.good,
                    sum.uncertain,
                    sum.bad,
                    sum.total,
                )
            })
            .collect();
        assert_eq!(
            summary,
            [
                (100, "Cel", 1, 1, 2, 42.0),
                (100, "[degF]", 0, 1, 0, 68.0),
                (110, "Cel", 1, 0, 0, 5.0),
                (170, "", 0, 0, 1, 0.0),
            ]
        );
        assert_eq!(found[0].min.map(|min| min.value), Some(20.0));
        assert_eq!(found[0].max.map(|max| max.value), Some(22.0));
        assert_eq!(found[3].last, None);
    }

    #[test]
    fn too_many_units_are_counted_and_not_mixed() {
        let mut all = Sums::default();
        for unit in 0..100 {
            all.merge(sums_of(&[(0, &format!("u{unit:03}"), 1.0, false)]));
        }
        let spans = Spans {
            start: 0,
            end: 10,
            width: 10,
        };
        let found = all.finish(spans);
        assert_eq!(found.len(), MOST_UNITS + 1);
        assert_eq!(
            (found[0].unit.as_str(), found[0].good, found[0].min),
            ("", 84, None)
        );
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn spans_cover_what_was_asked_for(start: u64, length: u64, limit in 1_u32..1_000) {
            let end = start.saturating_add(length);
            let spans = Spans::over(start, end, limit);
            prop_assert!(spans.start <= start);
            prop_assert!(spans.end >= end || spans.end == u64::MAX / spans.width * spans.width);
            let count = (end.saturating_sub(1).max(start) - spans.start) / spans.width + 1;
            prop_assert!(count <= u64::from(limit).max(1), "{count}");
        }
    }
}
