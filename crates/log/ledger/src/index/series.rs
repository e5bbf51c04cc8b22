//! Collects the readings of a sensor: each of them while they are few, sums over spans of time
//! once they are many.

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::schema::{INDEX, POLLED_AT, VALUE};
use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::Bucket;

/// A reading as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    polled_at: u64,
    index: u64,
    value: Option<f64>,
}

/// What was collected.
#[derive(Debug, PartialEq)]
pub(crate) enum Summary {
    /// The entries that hold them, oldest reading first.
    Entries(Vec<u64>),
    /// Sums over spans of equal length, oldest first.
    Buckets(Vec<Bucket>),
}

/// How readings are spread over buckets.
#[derive(Debug, Clone, Copy)]
struct Spans {
    start: u64,
    /// Length of a span, microseconds.
    width: u64,
    /// Readings, and buckets, in a result at most.
    limit: usize,
}

/// Collects at most `limit` readings or buckets.
#[derive(Debug)]
pub(crate) struct SeriesCollector(Spans);

impl SeriesCollector {
    /// For readings polled in `start..end`; `limit` is at least 1.
    pub(crate) fn new(start: u64, end: u64, limit: u32) -> Self {
        Self(Spans {
            start,
            width: end.saturating_sub(start).div_ceil(u64::from(limit)).max(1),
            limit: limit as usize,
        })
    }
}

/// Readings as they come: single ones up to the limit, sums beyond.
#[derive(Debug)]
struct Gathered {
    spans: Spans,
    points: Vec<Point>,
    /// Empty as long as `points` suffice.
    sums: Vec<Option<Sum>>,
}

#[derive(Debug, Clone)]
struct Sum {
    count: u32,
    bad: u32,
    min: f64,
    max: f64,
    total: f64,
    /// When, and as which entry, the last value came.
    last: Option<(u64, u64, f64)>,
}

impl Gathered {
    fn new(spans: Spans) -> Self {
        Self {
            spans,
            points: Vec::new(),
            sums: Vec::new(),
        }
    }

    fn add(&mut self, point: Point) {
        if !self.sums.is_empty() {
            return self.add_to_sum(point);
        }
        self.points.push(point);
        if self.points.len() > self.spans.limit {
            self.sum_up();
        }
    }

    fn sum_up(&mut self) {
        self.sums = vec![None; self.spans.limit];
        for point in std::mem::take(&mut self.points) {
            self.add_to_sum(point);
        }
    }

    fn add_to_sum(&mut self, point: Point) {
        let span = point.polled_at.saturating_sub(self.spans.start) / self.spans.width;
        let Some(slot) = usize::try_from(span)
            .ok()
            .and_then(|span| self.sums.get_mut(span))
        else {
            return;
        };
        slot.get_or_insert_with(Sum::empty).add(point);
    }

    fn merge(&mut self, other: Gathered) {
        if !other.sums.is_empty() && self.sums.is_empty() {
            self.sum_up();
        }
        for point in other.points {
            self.add(point);
        }
        for (slot, sum) in self.sums.iter_mut().zip(other.sums) {
            if let Some(sum) = sum {
                slot.get_or_insert_with(Sum::empty).merge(&sum);
            }
        }
    }

    fn finish(mut self) -> Summary {
        if self.sums.is_empty() {
            self.points
                .sort_by_key(|point| (point.polled_at, point.index));
            return Summary::Entries(self.points.iter().map(|point| point.index).collect());
        }
        let spans = self.spans;
        let starts = (0..).map(|span| spans.start + span * spans.width);
        let buckets = starts
            .zip(self.sums)
            .filter_map(|(start, sum)| Some(sum?.bucket(start)));
        Summary::Buckets(buckets.collect())
    }
}

impl Sum {
    fn empty() -> Self {
        Self {
            count: 0,
            bad: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            total: 0.0,
            last: None,
        }
    }

    fn add(&mut self, point: Point) {
        self.count = self.count.saturating_add(1);
        let Some(value) = point.value else {
            self.bad = self.bad.saturating_add(1);
            return;
        };
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.total += value;
        self.take_last((point.polled_at, point.index, value));
    }

    fn merge(&mut self, other: &Sum) {
        self.count = self.count.saturating_add(other.count);
        self.bad = self.bad.saturating_add(other.bad);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.total += other.total;
        if let Some(last) = other.last {
            self.take_last(last);
        }
    }

    fn take_last(&mut self, candidate: (u64, u64, f64)) {
        let (polled_at, index, _) = candidate;
        if self
            .last
            .is_none_or(|(known_at, known_index, _)| (known_at, known_index) <= (polled_at, index))
        {
            self.last = Some(candidate);
        }
    }

    fn bucket(&self, start: u64) -> Bucket {
        let values = self.count - self.bad;
        let known = |number: f64| (values > 0).then_some(number);
        Bucket {
            start: WallTime::from_micros(start),
            count: self.count,
            bad: self.bad,
            min: known(self.min),
            max: known(self.max),
            mean: known(self.total / f64::from(values)),
            last: self.last.map(|(_, _, value)| value),
        }
    }
}

impl Collector for SeriesCollector {
    type Fruit = Summary;
    type Child = SegmentSeries;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentSeries> {
        let columns = segment.fast_fields();
        Ok(SegmentSeries {
            index: columns.u64(INDEX)?,
            polled_at: columns.u64(POLLED_AT)?,
            value: columns.f64(VALUE)?,
            gathered: Gathered::new(self.0),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<SegmentFruit>) -> tantivy::Result<Summary> {
        let mut all = Gathered::new(self.0);
        for SegmentFruit(segment) in segments {
            all.merge(segment);
        }
        Ok(all.finish())
    }
}

/// Collects from one segment of the index.
pub(crate) struct SegmentSeries {
    index: Column<u64>,
    polled_at: Column<u64>,
    value: Column<f64>,
    gathered: Gathered,
}

/// What one segment of the index yields.
pub(crate) struct SegmentFruit(Gathered);

impl SegmentCollector for SegmentSeries {
    type Fruit = SegmentFruit;

    fn collect(&mut self, document: DocId, _: Score) {
        let (Some(polled_at), Some(index)) =
            (self.polled_at.first(document), self.index.first(document))
        else {
            return;
        };
        self.gathered.add(Point {
            polled_at,
            index,
            value: self.value.first(document),
        });
    }

    fn harvest(self) -> SegmentFruit {
        SegmentFruit(self.gathered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    fn gather(limit: u32, points: &[Point], parts: usize) -> Summary {
        let collector = SeriesCollector::new(1_000, 2_000, limit);
        let segments = points
            .chunks(points.len().div_ceil(parts).max(1))
            .map(|points| {
                let mut gathered = Gathered::new(collector.0);
                for &point in points {
                    gathered.add(point);
                }
                SegmentFruit(gathered)
            });
        let segments = segments.collect();
        collector
            .merge_fruits(segments)
            .unwrap_or(Summary::Entries(Vec::new()))
    }

    fn point(polled_at: u64, value: Option<f64>) -> Point {
        Point {
            polled_at,
            index: polled_at,
            value,
        }
    }

    #[test]
    fn few_readings_come_one_by_one_oldest_first() {
        let points = [point(1_500, Some(2.0)), point(1_100, None)];
        assert_eq!(gather(2, &points, 1), Summary::Entries(vec![1_100, 1_500]));
        assert_eq!(gather(2, &[], 1), Summary::Entries(Vec::new()));
    }

    #[test]
    fn many_readings_are_summed_up() {
        let points = [
            point(1_999, Some(4.0)),
            point(1_000, Some(1.0)),
            point(1_200, Some(3.0)),
            point(1_100, None),
            point(1_600, None),
        ];
        let first = Bucket {
            start: WallTime::from_micros(1_000),
            count: 3,
            bad: 1,
            min: Some(1.0),
            max: Some(3.0),
            mean: Some(2.0),
            last: Some(3.0),
        };
        let second = Bucket {
            start: WallTime::from_micros(1_500),
            count: 2,
            bad: 1,
            min: Some(4.0),
            max: Some(4.0),
            mean: Some(4.0),
            last: Some(4.0),
        };
        assert_eq!(gather(2, &points, 1), Summary::Buckets(vec![first, second]));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn nothing_is_lost_however_the_index_is_cut(
            offsets in proptest::collection::vec((0_u64..1_000, any::<bool>()), 1..80),
            limit in 1_u32..20,
            parts in 1_usize..6,
        ) {
            let points: Vec<Point> = offsets
                .iter()
                .map(|&(offset, good)| point(1_000 + offset, good.then_some(1.0)))
                .collect();
            let expected = (points.len(), points.iter().filter(|point| point.value.is_none()).count());
            let (shown, found) = match gather(limit, &points, parts) {
                Summary::Entries(indices) => (indices.len(), (indices.len(), expected.1)),
                Summary::Buckets(buckets) => {
                    let count = buckets.iter().map(|bucket| bucket.count as usize).sum();
                    let bad = buckets.iter().map(|bucket| bucket.bad as usize).sum();
                    (buckets.len(), (count, bad))
                }
            };
            prop_assert_eq!(found, expected);
            prop_assert!(shown <= limit as usize);
        }
    }
}
