//! Readings that nobody has taken yet, in a ring of fixed size.

use fieldledger_attest::reading::Clock;
use heapless::Deque;

use crate::sensor::Text;

/// A reading that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number within the boot.
    pub sequence: u64,
    /// When it was taken.
    pub clock: Clock,
    /// What was read.
    pub value: Text,
}

/// The last `N` readings, oldest first; a new one takes the place of the oldest where it is full.
#[derive(Debug, Clone)]
pub struct Ring<const N: usize> {
    readings: Deque<Waiting, N>,
    lost: u64,
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self {
            readings: Deque::new(),
            lost: 0,
        }
    }
}

impl<const N: usize> Ring<N> {
    /// Keeps a reading, whose number is above all that were kept before.
    pub fn push(&mut self, reading: Waiting) {
        if self.readings.is_full() && self.readings.pop_front().is_some() {
            self.lost += 1;
        }
        // A ring without any room loses each.
        if self.readings.push_back(reading).is_err() {
            self.lost += 1;
        }
    }

    /// Drops what is stored elsewhere: all up to and with number `sequence`.
    pub fn drop_through(&mut self, sequence: u64) {
        while self
            .readings
            .front()
            .is_some_and(|oldest| oldest.sequence <= sequence)
        {
            self.readings.pop_front();
        }
    }

    /// Readings that gave way to newer ones before anyone acknowledged them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Readings that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.readings.len()
    }

    /// True where none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// Those that wait, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.readings.iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn waiting(sequence: u64) -> Waiting {
        let value = Text::try_from("1").unwrap();
        Waiting {
            sequence,
            clock: Clock::Uptime(sequence),
            value,
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_reading_takes_56_bytes() {
        assert_eq!(size_of::<Waiting>(), 56);
    }

    proptest! {
        // None as acknowledgement, a number as a reading.
        #[test]
        fn nothing_is_lost_without_being_counted(
            steps in proptest::collection::vec(proptest::option::weighted(0.8, Just(())), 0..60),
            acknowledged in proptest::collection::vec(0..60_u64, 60),
        ) {
            let mut ring = Ring::<5>::default();
            let mut model: Vec<u64> = Vec::new();
            let mut lost = 0;
            let mut next = 0;
            for (step, through) in steps.iter().zip(acknowledged) {
                if step.is_some() {
                    ring.push(waiting(next));
                    model.push(next);
                    next += 1;
                    if model.len() > 5 {
                        model.remove(0);
                        lost += 1;
                    }
                } else {
                    ring.drop_through(through);
                    model.retain(|sequence| *sequence > through);
                }
                let kept: Vec<u64> = ring.iter().map(|reading| reading.sequence).collect();
                prop_assert_eq!(&kept, &model);
                prop_assert_eq!((ring.lost(), ring.len()), (lost, model.len()));
            }
        }
    }
}
