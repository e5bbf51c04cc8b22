//! Readings of which nobody has said that they are stored, in a ring of fixed size.
//!
//! Some were never sent; others went out as answers to polls, and the server says with a later poll
//! which of those it has. Where room is short an answer gives way first: most of them arrived.

use core::num::NonZeroU32;

use fieldledger_attest::reading::Clock;
use heapless::Deque;

use crate::clock::SECOND;
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
    /// When it was sent as an answer, if it was.
    pub answered: Option<Second>,
}

/// A second of this boot, the first one being 1. It takes four bytes, no more than padding would, and
/// lasts for 136 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Second(NonZeroU32);

impl Second {
    /// The second in which this time since boot lies, in microseconds.
    #[must_use]
    pub fn of(up: u64) -> Self {
        let before = u32::try_from(up / SECOND).unwrap_or(u32::MAX);
        Self(NonZeroU32::MIN.saturating_add(before))
    }

    /// When it ends, in microseconds since boot.
    #[must_use]
    pub fn end(self) -> u64 {
        u64::from(self.0.get()) * SECOND
    }
}

/// `N` readings, oldest first. Where it is full, a new one takes the place of the oldest answer, or of
/// the oldest where none was an answer.
#[derive(Debug, Clone)]
pub struct Ring<const N: usize> {
    readings: Deque<Waiting, N>,
    lost: u64,
    unconfirmed: u64,
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self {
            readings: Deque::new(),
            lost: 0,
            unconfirmed: 0,
        }
    }
}

impl<const N: usize> Ring<N> {
    /// Keeps a reading, whose number is above all that were kept before.
    pub fn push(&mut self, reading: Waiting) {
        let is_answer = reading.answered.is_some();
        if self.readings.is_full() {
            self.make_room(is_answer);
        }
        // A ring without any room keeps none, and one that is full of what was never sent no answer.
        if self.readings.push_back(reading).is_err() {
            self.gave_way(is_answer);
        }
    }

    /// Drops the oldest answer, or else the oldest of all, unless the room is for an answer.
    fn make_room(&mut self, for_answer: bool) {
        let mut answers = self.readings.iter().filter(|one| one.answered.is_some());
        if let Some(sequence) = answers.next().map(|one| one.sequence) {
            self.readings.retain(|one| one.sequence != sequence);
            self.gave_way(true);
        } else if !for_answer && self.readings.pop_front().is_some() {
            self.gave_way(false);
        }
    }

    fn gave_way(&mut self, was_answer: bool) {
        match was_answer {
            true => self.unconfirmed += 1,
            false => self.lost += 1,
        }
    }

    /// Drops the answers with these numbers, which are stored elsewhere. What was never sent stays: no
    /// server can have it.
    pub fn drop_answers(&mut self, sequences: &[u64]) {
        if !sequences.is_empty() {
            let is_stored =
                |one: &Waiting| one.answered.is_some() && sequences.contains(&one.sequence);
            self.readings.retain(|one| !is_stored(one));
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

    /// Readings that were no answers and gave way before anyone acknowledged them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Answers that gave way before anyone said that they are stored. Of one that got lost on its way,
    /// only its missing number tells.
    #[must_use]
    pub fn unconfirmed(&self) -> u64 {
        self.unconfirmed
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
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Waiting> + ExactSizeIterator {
        self.readings.iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::vec::Vec;

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn waiting(sequence: u64) -> Waiting {
        let value = Text::try_from("1").unwrap();
        Waiting {
            sequence,
            clock: Clock::Uptime(sequence),
            value,
            answered: None,
        }
    }

    fn answer(sequence: u64) -> Waiting {
        Waiting {
            answered: Some(Second::of(0)),
            ..waiting(sequence)
        }
    }

    fn numbers<const N: usize>(ring: &Ring<N>) -> Vec<u64> {
        ring.iter().map(|reading| reading.sequence).collect()
    }

    #[test]
    fn a_reading_takes_56_bytes() {
        assert_eq!(size_of::<Waiting>(), 56);
    }

    #[test]
    fn a_second_ends_after_all_of_its_times() {
        for (up, end) in [(0, 1), (999_999, 1), (1_000_000, 2), (5_500_000, 6)] {
            assert_eq!(Second::of(up).end(), end * SECOND);
        }
        assert_eq!(Second::of(u64::MAX).end(), u64::from(u32::MAX) * SECOND);
    }

    #[test]
    fn an_answer_gives_way_before_what_was_never_sent() {
        let mut ring = Ring::<4>::default();
        for reading in [waiting(0), answer(1), waiting(2), answer(3)] {
            ring.push(reading);
        }
        ring.push(waiting(4));
        assert_eq!(numbers(&ring), [0, 2, 3, 4]);
        ring.push(answer(5));
        assert_eq!(numbers(&ring), [0, 2, 4, 5]);
        ring.push(waiting(6));
        assert_eq!(numbers(&ring), [0, 2, 4, 6]);
        assert_eq!((ring.lost(), ring.unconfirmed()), (0, 3));
        // Now none of them was an answer.
        ring.push(answer(7));
        assert_eq!(numbers(&ring), [0, 2, 4, 6]);
        ring.push(waiting(8));
        assert_eq!(numbers(&ring), [2, 4, 6, 8]);
        assert_eq!((ring.lost(), ring.unconfirmed()), (1, 4));
    }

    #[test]
    fn stored_answers_are_dropped_one_by_one_and_nothing_else_is() {
        let mut ring = Ring::<4>::default();
        for reading in [answer(0), waiting(1), answer(2), answer(3)] {
            ring.push(reading);
        }
        ring.drop_answers(&[]);
        ring.drop_answers(&[1, 2, 7]);
        assert_eq!(numbers(&ring), [0, 1, 3]);
        ring.drop_through(1);
        assert_eq!(numbers(&ring), [3]);
        assert_eq!((ring.lost(), ring.unconfirmed()), (0, 0));
    }

    proptest! {
        #![proptest_config(proptest_config())]

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
                prop_assert_eq!(&numbers(&ring), &model);
                prop_assert_eq!((ring.lost(), ring.len()), (lost, model.len()));
            }
        }
    }
}
