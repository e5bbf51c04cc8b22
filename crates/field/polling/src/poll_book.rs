//! Polls under way, and polls lately given up whose answer would still be recognised.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use fieldledger_wire::reply::Reply;
use uuid::Uuid;

use crate::moment::Moment;

/// Answers that are kept at most: those of two seconds at 10,000 polls a second.
const MOST_ANSWERS: usize = 20_000;

/// A poll that was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    pub(crate) number: u64,
    pub(crate) sensor: Uuid,
    /// Wall clock.
    pub(crate) polled_at: u64,
    /// The same on the steady clock.
    pub(crate) sent_at: u64,
}

/// One timer for all polls. Their late windows are equally long, so those stand in a queue.
#[derive(Debug)]
pub(crate) struct PollBook {
    late_window: u64,
    next_number: u64,
    flying: HashMap<u64, Flight>,
    /// (deadline, number) of polls sent; those answered meanwhile are skipped.
    deadlines: BinaryHeap<Reverse<(u64, u64)>>,
    given_up: HashMap<u64, Flight>,
    /// (end of the late window, number) of polls given up.
    windows: VecDeque<(u64, u64)>,
    /// Polls answered within the late window, each with its answer until a second one that differs came.
    answered: HashMap<u64, (Flight, Reply)>,
    /// (when to forget it, number) of these.
    answers: VecDeque<(u64, u64)>,
}

impl PollBook {
    /// `late_window` in microseconds.
    pub(crate) fn new(late_window: u64) -> Self {
        Self {
            late_window,
            next_number: 1,
            flying: HashMap::new(),
            deadlines: BinaryHeap::new(),
            given_up: HashMap::new(),
            windows: VecDeque::new(),
            answered: HashMap::new(),
            answers: VecDeque::new(),
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.flying.len()
    }

    /// Notes a poll that is sent now, waits `timeout` microseconds, and gets this number.
    pub(crate) fn start(&mut self, sensor: Uuid, timeout: u64, now: Moment) -> u64 {
        let number = self.number_without_poll();
        let flight = Flight {
            number,
            sensor,
            polled_at: now.wall,
            sent_at: now.steady,
        };
        self.flying.insert(number, flight);
        self.deadlines.push(Reverse((now.steady + timeout, number)));
        number
    }

    /// A number for what no poll asked for.
    pub(crate) fn number_without_poll(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// The number given last.
    pub(crate) fn last_number(&self) -> u64 {
        self.next_number - 1
    }

    /// Ends a poll under way.
    pub(crate) fn finish(&mut self, number: u64) -> Option<Flight> {
        self.flying.remove(&number)
    }

    /// Takes a poll that was given up and whose late window is open.
    pub(crate) fn take_late(&mut self, number: u64) -> Option<Flight> {
        self.given_up.remove(&number)
    }

    /// Keeps the answer of a poll that has ended, so that another one is known for what it is.
    pub(crate) fn keep_answer(&mut self, flight: Flight, reply: &Reply, steady_now: u64) {
        while let Some((end, number)) = self.answers.front().copied()
            && (end <= steady_now || self.answers.len() >= MOST_ANSWERS)
        {
            self.answers.pop_front();
            self.answered.remove(&number);
        }
        let number = flight.number;
        self.answered.insert(number, (flight, reply.clone()));
        self.answers
            .push_back((steady_now + self.late_window, number));
    }

    /// The poll that has an answer which says something else; once for each poll.
    pub(crate) fn take_differing(&mut self, number: u64, reply: &Reply) -> Option<Flight> {
        let (_, first) = self.answered.get(&number)?;
        // A copy may name the poll or leave it to the subject, and may be signed anew.
        let copy = Reply {
            poll: first.poll,
            sig: first.sig,
            ..reply.clone()
        };
        if *first == copy {
            return None;
        }
        self.answered.remove(&number).map(|(flight, _)| flight)
    }

    /// The sensor of a poll that is under way, or may still be answered late or once more.
    pub(crate) fn sensor_of(&self, number: u64) -> Option<Uuid> {
        let flight = self
            .flying
            .get(&number)
            .or_else(|| self.given_up.get(&number))
            .or_else(|| self.answered.get(&number).map(|(flight, _)| flight));
        flight.map(|flight| flight.sensor)
    }

    /// Gives up one poll whose time has run out, and opens its late window.
    pub(crate) fn give_up(&mut self, steady_now: u64) -> Option<Flight> {
        self.give_up_due(steady_now, steady_now)
    }

    /// Gives up one poll, whether its time has run out or not.
    pub(crate) fn give_up_any(&mut self, steady_now: u64) -> Option<Flight> {
        self.give_up_due(u64::MAX, steady_now)
    }

    fn give_up_due(&mut self, due_by: u64, steady_now: u64) -> Option<Flight> {
        while let Some(Reverse((deadline, number))) = self.deadlines.peek().copied() {
            let answered = !self.flying.contains_key(&number);
            if !answered && deadline > due_by {
                return None;
            }
            self.deadlines.pop();
            if let Some(flight) = self.flying.remove(&number) {
                self.given_up.insert(number, flight);
                self.windows
                    .push_back((steady_now + self.late_window, number));
                return Some(flight);
            }
        }
        None
    }

    /// Forgets one poll whose late window has ended.
    pub(crate) fn close_window(&mut self, steady_now: u64) -> Option<Flight> {
        while let Some((end, number)) = self.windows.front().copied() {
            let answered = !self.given_up.contains_key(&number);
            if !answered && end > steady_now {
                return None;
            }
            self.windows.pop_front();
            if let Some(flight) = self.given_up.remove(&number) {
                return Some(flight);
            }
        }
        None
    }

    /// When to look again, on the steady clock.
    pub(crate) fn next_at(&self) -> Option<u64> {
        let deadline = self.deadlines.peek().map(|Reverse((at, _))| *at);
        let window = self.windows.front().map(|(at, _)| *at);
        deadline.into_iter().chain(window).min()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(steady: u64) -> Moment {
        Moment {
            steady,
            wall: steady,
        }
    }

    #[test]
    fn a_poll_is_answered_or_given_up_but_never_both() {
        let mut book = PollBook::new(2_000);
        let answered = book.start(Uuid::nil(), 500, at(0));
        let silent = book.start(Uuid::nil(), 500, at(10));
        assert!(book.finish(answered).is_some());
        assert!(book.give_up(509).is_none());
        assert_eq!(book.give_up(510).unwrap().number, silent);
        assert!(book.finish(silent).is_none());
        assert!(book.give_up(10_000).is_none());
        assert_eq!(book.outstanding(), 0);
    }

    #[test]
    fn each_poll_has_its_own_time() {
        let mut book = PollBook::new(2_000);
        let slow = book.start(Uuid::nil(), 900, at(0));
        let quick = book.start(Uuid::nil(), 500, at(10));
        assert_eq!(book.next_at(), Some(510));
        assert_eq!(book.give_up(899).unwrap().number, quick);
        assert!(book.give_up(899).is_none());
        assert_eq!(book.give_up(900).unwrap().number, slow);
    }

    #[test]
    fn a_late_answer_is_recognised_once_and_within_the_window() {
        let mut book = PollBook::new(2_000);
        let (first, second) = (
            book.start(Uuid::nil(), 500, at(0)),
            book.start(Uuid::nil(), 500, at(0)),
        );
        while book.give_up(500).is_some() {}
        assert!(book.take_late(first).is_some());
        assert!(book.take_late(first).is_none());
        assert!(book.close_window(2_499).is_none());
        assert_eq!(book.close_window(2_500).unwrap().number, second);
        assert!(book.take_late(second).is_none());
        assert_eq!(book.next_at(), None);
    }
}
