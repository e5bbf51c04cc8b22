//! Collects the first entries of a result that is ordered by a column of the event.

use fieldledger_audit::event::FIELDS;
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::schema::{self, INDEX, VALUE, VALUE_COLUMNS, number_name};

/// What entries are ordered by: numbers, and texts by the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// See [`rank`].
    Number(u64),
    /// A whole text.
    Text(String),
}

/// The first entries of a result.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ordered {
    /// Those with a key, in order.
    pub(crate) keyed: Vec<(Key, u64)>,
    /// Those whose text the index does not have.
    pub(crate) texts: Vec<u64>,
    /// How many of these there are; more than are listed where they are too many.
    pub(crate) text_count: u64,
    /// Those without the column, in order.
    pub(crate) without: Vec<u64>,
}

/// Collects the first `wanted` entries with a key, the first `wanted` without the column, and at most
/// `most_texts` of the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrderCollector {
    /// Position in [`FIELDS`].
    pub(crate) column: usize,
    pub(crate) descending: bool,
    pub(crate) wanted: usize,
    pub(crate) most_texts: usize,
}

/// A number whose order is that of the double.
pub(crate) fn rank(number: f64) -> u64 {
    let bits = number.to_bits();
    match bits >> 63 {
        0 => bits | 1 << 63,
        _ => !bits,
    }
}

/// The double of a [`rank`].
pub(crate) fn number_of_rank(rank: u64) -> f64 {
    f64::from_bits(match rank >> 63 {
        0 => !rank,
        _ => rank & !(1 << 63),
    })
}

/// Where the keys of a segment come from.
enum Keys {
    /// Numbers of texts in the segment, in the order of the texts.
    Texts(StrColumn),
    Times(Column<u64>),
    /// The number of the column; or the value of a reading, which is the same.
    Values(Column<f64>, Option<Column<f64>>),
    /// No entry of this segment has the column.
    Absent,
    /// The index does not have them.
    Unknown,
}

/// The key of one entry in its segment.
enum Found {
    Key(u64),
    Text,
    Nothing,
}

impl Keys {
    fn of(&self, document: DocId) -> Found {
        let key = match self {
            Self::Texts(texts) => texts.ords().first(document),
            Self::Times(times) => times.first(document),
            Self::Values(numbers, values) => {
                let value = || values.as_ref().and_then(|values| values.first(document));
                match numbers.first(document).or_else(value) {
                    Some(number) if number.is_nan() => return Found::Text,
                    number => number.map(rank),
                }
            }
            Self::Absent => None,
            Self::Unknown => return Found::Text,
        };
        key.map_or(Found::Nothing, Found::Key)
    }
}

/// Keeps the smallest of what is added.
pub(super) struct Smallest<T> {
    wanted: usize,
    items: Vec<T>,
}

impl<T: Ord> Smallest<T> {
    pub(super) fn new(wanted: usize) -> Self {
        Self {
            wanted,
            items: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, item: T) {
        self.items.push(item);
        if self.items.len() >= self.wanted.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.items.sort_unstable();
        self.items.truncate(self.wanted);
    }

    pub(super) fn finish(mut self) -> Vec<T> {
        self.cut();
        self.items
    }
}

/// Collects from one segment of the index.
pub(crate) struct SegmentOrder {
    collector: OrderCollector,
    index: Column<u64>,
    keys: Keys,
    /// Keys and entries, each turned round where the order descends.
    keyed: Smallest<(u64, u64)>,
    texts: Vec<u64>,
    text_count: u64,
    without: Smallest<u64>,
}

impl OrderCollector {
    /// The same order as ascending one.
    pub(super) fn turned(&self, number: u64) -> u64 {
        match self.descending {
            true => !number,
            false => number,
        }
    }
}

impl OrderCollector {
    /// The first entries of several results.
    pub(super) fn merge(&self, parts: impl IntoIterator<Item = Ordered>) -> Ordered {
        let mut all = Ordered::default();
        for part in parts {
            all.keyed.extend(part.keyed);
            all.texts.extend(part.texts);
            all.text_count += part.text_count;
            all.without.extend(part.without);
        }
        all.keyed.sort_unstable();
        all.texts.sort_unstable();
        all.without.sort_unstable();
        if self.descending {
            all.keyed.reverse();
            all.texts.reverse();
            all.without.reverse();
        }
        all.keyed.truncate(self.wanted);
        all.texts.truncate(self.most_texts);
        all.without.truncate(self.wanted);
        all
    }
}

impl Collector for OrderCollector {
    type Fruit = Ordered;
    type Child = SegmentOrder;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentOrder> {
        let columns = segment.fast_fields();
        let name = FIELDS[self.column].name;
        let keys = if VALUE_COLUMNS.contains(&name) {
            let values = (name == "new").then(|| columns.f64(VALUE)).transpose()?;
            Keys::Values(columns.f64(&number_name(name))?, values)
        } else if name == "timestamp" {
            Keys::Times(columns.u64(schema::EVENT_TIME)?)
        } else if schema::is_short(self.column) {
            match columns.str(name)? {
                Some(texts) => Keys::Texts(texts),
                None => Keys::Absent,
            }
        } else {
            Keys::Unknown
        };
        Ok(SegmentOrder {
            collector: *self,
            index: columns.u64(INDEX)?,
            keys,
            keyed: Smallest::new(self.wanted),
            texts: Vec::new(),
            text_count: 0,
            without: Smallest::new(self.wanted),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Ordered>) -> tantivy::Result<Ordered> {
        Ok(self.merge(segments))
    }
}

impl SegmentCollector for SegmentOrder {
    type Fruit = Ordered;

    fn collect(&mut self, document: DocId, _: Score) {
        let Some(index) = self.index.first(document) else {
            return;
        };
        let turned = |number| self.collector.turned(number);
        match self.keys.of(document) {
            Found::Key(key) => self.keyed.add((turned(key), turned(index))),
            Found::Nothing => self.without.add(turned(index)),
            Found::Text => {
                self.text_count += 1;
                if self.texts.len() < self.collector.most_texts {
                    self.texts.push(index);
                }
            }
        }
    }

    fn harvest(self) -> Ordered {
        let turned = |number| self.collector.turned(number);
        let mut keyed = Vec::new();
        let mut text = String::new();
        let mut known = None;
        for (key, index) in self.keyed.finish() {
            let (key, index) = (turned(key), turned(index));
            let key = match &self.keys {
                Keys::Texts(texts) => {
                    if known != Some(key) {
                        known = Some(key);
                        if let Err(error) = texts.ord_to_str(key, &mut text) {
                            tracing::warn!(%error, "the index has a text without its letters");
                        }
                    }
                    Key::Text(text.clone())
                }
                Keys::Times(_) | Keys::Values(..) | Keys::Absent | Keys::Unknown => {
                    Key::Number(key)
                }
            };
            keyed.push((key, index));
        }
        Ordered {
            keyed,
            texts: self.texts,
            text_count: self.text_count,
            without: self.without.finish().into_iter().map(turned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn ranks_are_ordered_as_numbers(one: f64, other: f64) {
            prop_assume!(!one.is_nan() && !other.is_nan());
            let (one, other) = (one + 0.0, other + 0.0);
            prop_assert_eq!(rank(one).cmp(&rank(other)), one.total_cmp(&other));
            prop_assert_eq!(number_of_rank(rank(one)), one);
        }

        #[test]
        fn the_smallest_are_kept(numbers: Vec<u32>, wanted in 0_usize..50) {
            let mut smallest = Smallest::new(wanted);
            for &number in &numbers {
                smallest.add(number);
            }
            let mut expected = numbers;
            expected.sort_unstable();
            expected.truncate(wanted);
            prop_assert_eq!(smallest.finish(), expected);
        }
    }
}
