//! Which events the log has already: every pair of producer and sequence, exactly and forever.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use foldhash::quality::RandomState;
use rangemap::RangeInclusiveSet;

/// The sequences seen of every producer. Sequences without gaps take no room.
#[derive(Debug, Default)]
pub(crate) struct Producers(HashMap<String, Seen, RandomState>);

/// Nearly all producers have one range: that fits without a tree of its own.
#[derive(Debug)]
enum Seen {
    One(RangeInclusive<u64>),
    Many(RangeInclusiveSet<u64>),
}

impl Producers {
    /// Notes the pair; false if it was there.
    pub(crate) fn insert(&mut self, producer: &str, sequence: u64) -> bool {
        match self.0.get_mut(producer) {
            Some(seen) => seen.insert(sequence),
            None => {
                let seen = Seen::One(sequence..=sequence);
                self.0.insert(producer.to_owned(), seen);
                true
            }
        }
    }

    /// Whether the pair is there.
    pub(crate) fn contains(&self, producer: &str, sequence: u64) -> bool {
        match self.0.get(producer) {
            None => false,
            Some(Seen::One(range)) => range.contains(&sequence),
            Some(Seen::Many(ranges)) => ranges.contains(&sequence),
        }
    }

    /// Forgets a pair that did not get into the log after all.
    pub(crate) fn remove(&mut self, producer: &str, sequence: u64) {
        let Some(seen) = self.0.get_mut(producer) else {
            return;
        };
        let mut ranges = seen.to_set();
        ranges.remove(sequence..=sequence);
        if ranges.is_empty() {
            self.0.remove(producer);
        } else {
            *seen = Seen::Many(ranges);
        }
    }

    /// Every producer with the first and last number of each of its ranges.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (&str, Vec<(u64, u64)>)> {
        self.0.iter().map(|(producer, seen)| {
            let ranges = match seen {
                Seen::One(range) => vec![(*range.start(), *range.end())],
                Seen::Many(ranges) => ranges
                    .iter()
                    .map(|range| (*range.start(), *range.end()))
                    .collect(),
            };
            (producer.as_str(), ranges)
        })
    }

    /// Takes over what [`Producers::ranges`] gave; ranges that end before they start are skipped.
    pub(crate) fn restore(&mut self, producer: String, ranges: &[(u64, u64)]) {
        let ranges = ranges.iter().filter(|(first, last)| first <= last);
        let mut ranges: RangeInclusiveSet<u64> =
            ranges.map(|&(first, last)| first..=last).collect();
        if let Some(seen) = self.0.get(&producer) {
            ranges.extend(seen.to_set());
        }
        let mut iterator = ranges.iter();
        let seen = match (iterator.next(), iterator.next()) {
            (None, _) => return,
            (Some(only), None) => Seen::One(only.clone()),
            (Some(_), Some(_)) => Seen::Many(ranges),
        };
        self.0.insert(producer, seen);
    }
}

impl Seen {
    fn insert(&mut self, sequence: u64) -> bool {
        match self {
            Seen::One(range) if range.contains(&sequence) => false,
            Seen::One(range) if range.end().checked_add(1) == Some(sequence) => {
                *range = *range.start()..=sequence;
                true
            }
            Seen::One(_) => {
                let mut ranges = self.to_set();
                ranges.insert(sequence..=sequence);
                *self = Seen::Many(ranges);
                true
            }
            Seen::Many(ranges) if ranges.contains(&sequence) => false,
            Seen::Many(ranges) => {
                ranges.insert(sequence..=sequence);
                true
            }
        }
    }

    fn to_set(&self) -> RangeInclusiveSet<u64> {
        match self {
            Seen::One(range) => std::iter::once(range.clone()).collect(),
            Seen::Many(ranges) => ranges.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    #[test]
    fn a_pair_is_new_once() {
        let mut producers = Producers::default();
        assert!(producers.insert("a", 5));
        assert!(!producers.insert("a", 5));
        assert!(producers.insert("b", 5));
    }

    #[test]
    fn numbers_without_gaps_are_one_range() {
        let mut producers = Producers::default();
        for sequence in 0..10_000 {
            assert!(producers.insert("a", sequence));
        }
        let ranges: Vec<_> = producers.ranges().collect();
        assert_eq!(ranges, [("a", vec![(0, 9_999)])]);
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn it_remembers_like_a_set(
            steps in proptest::collection::vec((any::<bool>(), 0_u8..3, 0_u64..24), 0..200)
        ) {
            let mut producers = Producers::default();
            let mut model = HashSet::new();
            for (insert, producer, sequence) in steps {
                let name = producer.to_string();
                prop_assert_eq!(producers.contains(&name, sequence), model.contains(&(producer, sequence)));
                if insert {
                    prop_assert_eq!(producers.insert(&name, sequence), model.insert((producer, sequence)));
                } else {
                    producers.remove(&name, sequence);
                    model.remove(&(producer, sequence));
                }
            }
            let mut restored = Producers::default();
            for (producer, ranges) in producers.ranges() {
                restored.restore(producer.to_owned(), &ranges);
            }
            for producer in 0..3 {
                for sequence in 0..24 {
                    let known = model.contains(&(producer, sequence));
                    prop_assert_eq!(!producers.insert(&producer.to_string(), sequence), known);
                    prop_assert_eq!(!restored.insert(&producer.to_string(), sequence), known);
                }
            }
        }
    }
}
