//! Which answers of a sensor are stored, until the sensor knows.
//!
//! A device that signs holds each answer until a poll says that it is stored. What a poll said is said
//! again with the next one, until a poll is answered that said it: a poll can get lost as well. None of it
//! outlives a restart, nor more than [`MAX_STORED`] numbers. A device that has not heard sends its answer as
//! history, and the log knows the numbers it has.

use std::collections::VecDeque;

use fieldledger_wire::poll::{MAX_STORED, StoredAnswers};

#[derive(Debug, Default)]
pub(crate) struct Unheard {
    boot: String,
    sequences: VecDeque<u64>,
    /// How many of them, from the front, the last poll named.
    named: usize,
}

impl Unheard {
    /// An answer is stored.
    pub(crate) fn add(&mut self, boot: String, sequence: u64) {
        if self.boot != boot {
            *self = Self {
                boot,
                ..Self::default()
            };
        }
        if self.sequences.contains(&sequence) {
            return;
        }
        if self.sequences.len() == MAX_STORED {
            self.sequences.pop_front();
            self.named = self.named.saturating_sub(1);
        }
        self.sequences.push_back(sequence);
    }

    /// What a poll that is sent now says.
    pub(crate) fn for_poll(&mut self) -> StoredAnswers {
        self.named = self.sequences.len();
        StoredAnswers {
            boot: self.boot.clone(),
            stored: self.sequences.iter().copied().collect(),
        }
    }

    /// The last poll was answered, so the sensor has heard what it said.
    pub(crate) fn heard(&mut self) {
        self.sequences.drain(..self.named);
        self.named = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(answers: &mut Unheard) -> Vec<u64> {
        answers.for_poll().stored
    }

    #[test]
    fn what_is_stored_is_named_until_a_poll_is_answered() {
        let mut answers = Unheard::default();
        assert_eq!(answers.for_poll(), StoredAnswers::default());
        answers.add("a".to_owned(), 1);
        assert_eq!(named(&mut answers), [1]);
        answers.add("a".to_owned(), 2);
        // The poll got lost, or its answer did.
        assert_eq!(named(&mut answers), [1, 2]);
        answers.add("a".to_owned(), 3);
        answers.add("a".to_owned(), 3);
        answers.heard();
        let expected = StoredAnswers {
            boot: "a".to_owned(),
            stored: vec![3],
        };
        assert_eq!(answers.for_poll(), expected);
        answers.heard();
        answers.heard();
        assert!(named(&mut answers).is_empty());
    }

    #[test]
    fn only_the_newest_are_kept() {
        let mut answers = Unheard::default();
        for sequence in 0..10 {
            answers.add("a".to_owned(), sequence);
        }
        assert_eq!(named(&mut answers).len(), 10);
        for sequence in 10..30 {
            answers.add("a".to_owned(), sequence);
        }
        // None of those that were named is left.
        answers.heard();
        assert_eq!(named(&mut answers), (14..30).collect::<Vec<_>>());
    }

    #[test]
    fn another_boot_begins_anew() {
        let mut answers = Unheard::default();
        answers.add("a".to_owned(), 7);
        let _ = answers.for_poll();
        answers.add("b".to_owned(), 0);
        answers.heard();
        let expected = StoredAnswers {
            boot: "b".to_owned(),
            stored: vec![0],
        };
        assert_eq!(answers.for_poll(), expected);
    }
}
