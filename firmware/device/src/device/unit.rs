//! One sensor of a device, and what is to be done about it.

use heapless::Deque;

use crate::clock::{Now, SECOND};
use crate::incoming;
use crate::kept::Progress;
use crate::messages;
use crate::ring::{Ring, Waiting};
use crate::sensor::{Fault, Profile, Sensor, is_decimal};
use crate::topics::Topic;

/// Polls of one sensor that wait for their answers; of more the oldest goes unanswered.
const MAX_POLLS: usize = 4;

/// How long an answer takes to be stored at most, with its batch and a server that is slow: a poll later
/// than that would name it.
const STORED_WITHIN: u64 = 5 * SECOND;

/// After so many intervals and [`STORED_WITHIN`] nobody will say any more that an answer is stored.
const HOPEFUL_INTERVALS: u64 = 2;

/// A sensor and what is to be done about it.
pub(super) struct Unit<S, const RING: usize> {
    pub(super) profile: Profile,
    pub(super) sensor: S,
    pub(super) next_sequence: u64,
    pub(super) ring: Ring<RING>,
    pub(super) progress: Progress,
    /// The highest number in any message of history, so that no acknowledgement goes beyond it.
    pub(super) sent_through: Option<u64>,
    pub(super) polls: Deque<Poll, MAX_POLLS>,
    pub(super) polled_at: u64,
    /// When a poll last said which answers are stored.
    pub(super) stored_named_at: u64,
    pub(super) read_at: u64,
    pub(super) beat_at: u64,
}

/// A poll that waits for its answer.
pub(super) struct Poll {
    pub(super) number: Option<u64>,
    pub(super) reply: Option<Topic>,
    /// Whether the poller says which answers are stored, so that this one is kept until then.
    pub(super) names_stored: bool,
}

impl<S: Sensor, const RING: usize> Unit<S, RING> {
    pub(super) fn new(profile: Profile, sensor: S) -> Self {
        Self {
            profile,
            sensor,
            next_sequence: 0,
            ring: Ring::default(),
            progress: Progress::default(),
            sent_through: None,
            polls: Deque::new(),
            polled_at: 0,
            stored_named_at: 0,
            read_at: 0,
            beat_at: 0,
        }
    }

    pub(super) fn interval(&self) -> u64 {
        self.profile.poll_interval_ms.saturating_mul(1_000)
    }

    /// Reads the sensor now, under the next number.
    pub(super) fn read(&mut self, now: Now) -> Result<Waiting, Fault> {
        self.read_at = now.up;
        let value = self.sensor.read()?;
        if !is_decimal(&value) {
            return Err(Fault("no decimal number"));
        }
        let waiting = Waiting {
            sequence: self.next_sequence,
            clock: now.clock(),
            value,
            answered: None,
        };
        if messages::reading(&waiting, &self.profile.unit).is_err() {
            return Err(Fault("reading cannot be signed"));
        }
        self.next_sequence += 1;
        Ok(waiting)
    }

    /// A poll arrived, which says perhaps which answers of this boot are stored.
    pub(super) fn polled(&mut self, now: Now, boot: &str, reply: Option<&str>, payload: &[u8]) {
        self.polled_at = now.up;
        let incoming::Poll { number, stored } = incoming::poll(payload);
        if let Some(stored) = &stored {
            self.stored_named_at = now.up;
            if stored.boot == boot {
                self.answers_stored(&stored.sequences);
            }
        }
        let poll = Poll {
            number,
            // An inbox longer than any topic is none that a server makes.
            reply: reply.and_then(|reply| Topic::try_from(reply).ok()),
            names_stored: stored.is_some(),
        };
        if self.polls.is_full() {
            self.polls.pop_front();
        }
        let has_room = self.polls.push_back(poll);
        debug_assert!(has_room.is_ok());
    }

    fn answers_stored(&mut self, sequences: &[u64]) {
        self.ring.drop_answers(sequences);
        let oldest = self.ring.iter().next().map(|waiting| waiting.sequence);
        if !oldest.is_some_and(|oldest| self.progress.is_kept(oldest)) {
            self.progress.all_stored();
        }
    }

    /// The server has the history of this boot up to this number; false where that was never sent.
    pub(super) fn acknowledged(&mut self, sequence: u64) -> bool {
        let was_sent = self.sent_through.is_some_and(|sent| sequence <= sent);
        if was_sent {
            self.ring.drop_through(sequence);
            self.progress.stored_through(sequence);
        }
        was_sent
    }

    /// From when on the first of its readings is to be sent as history.
    pub(super) fn history_at(&self) -> Option<u64> {
        let first = self.ring.iter().next()?;
        let has_unsent = self.ring.iter().any(|waiting| waiting.answered.is_none());
        Some(match has_unsent {
            true => 0,
            false => self.history_of_at(first),
        })
    }

    /// From when on this one is: at once where it was never sent, and as an answer where it should have
    /// been named as stored by then.
    pub(super) fn history_of_at(&self, waiting: &Waiting) -> u64 {
        let Some(answered) = waiting.answered else {
            return 0;
        };
        let stored_by = answered.end().saturating_add(STORED_WITHIN);
        if self.stored_named_at >= stored_by {
            return 0;
        }
        let hope = self.interval().saturating_mul(HOPEFUL_INTERVALS);
        stored_by.saturating_add(hope)
    }

    /// How many of its readings, from the oldest on, are to be sent as history now. An acknowledgement is
    /// for all up to a number, so none of those before the last is left out.
    pub(super) fn history_due(&self, up: u64) -> usize {
        let last = self
            .ring
            .iter()
            .rposition(|waiting| self.history_of_at(waiting) <= up);
        last.map_or(0, |place| place + 1)
    }

    /// The next of its readings to be kept, and from when on. An answer is kept where it is overdue, and
    /// where a later reading is: they are kept in the order of their numbers.
    pub(super) fn keep_at(&self) -> Option<(usize, u64)> {
        let is_kept = |waiting: &&Waiting| self.progress.is_kept(waiting.sequence);
        let first = self.ring.iter().take_while(is_kept).count();
        let others = self.ring.iter().skip(first);
        let due = others.map(|waiting| self.history_of_at(waiting)).min()?;
        Some((first, due))
    }

    /// When it samples by itself, unless it is polled before.
    pub(super) fn sample_at(&self, is_connected: bool, silent_intervals: u32) -> u64 {
        let interval = self.interval();
        let due = self.read_at.saturating_add(interval);
        if !is_connected {
            return due;
        }
        let silence = interval.saturating_mul(u64::from(silent_intervals));
        due.max(self.polled_at.saturating_add(silence))
    }
}
