//! Whether the server's clock can be believed: it is held against a steady clock, which never steps, and
//! against the time of the last entry.
//!
//! A clock that steps moves away from the steady one by more than [`TOLERANCE`] at once. One that is corrected
//! slowly, as over a network, does not. And where the clock is behind the last entry, entries get times that it
//! does not show, because no two have the same time and none goes back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::ClockProblem;
use parking_lot::Mutex;

use crate::clock::{Clock, Shown};

/// A step by less is none, microseconds: a second is what a leap second takes.
pub(crate) const TOLERANCE: u64 = 1_500_000;

/// A clock that has stayed where it stepped to for so long is believed again, microseconds. Nobody here knows
/// which side of a step was right, and a clock that was corrected does not go back.
const SETTLES_AFTER: u64 = 600_000_000;

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The clock stepped, or is found to be behind the last entry.
    Began(ClockProblem),
    /// It stepped once more.
    Stepped(ClockProblem),
    /// It can be believed again.
    Ended(ClockProblem),
}

/// What is known of the clock. Clones would each know something else, so there are none.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    clock: Clock,
    /// When the last entry was received.
    last_entry: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Shown>,
    /// How far the clock is from where it would be without its steps, microseconds.
    offset: i64,
    /// By the steady clock, when it stepped last.
    stepped_at: u64,
    problem: Option<ClockProblem>,
    /// What is yet to be recorded.
    changes: Vec<Change>,
}

/// Changes that wait to be recorded, at most: a clock that steps at each look is told of often enough.
const CHANGES: usize = 16;

impl ClockWatch {
    /// Watches this clock over a log whose last entry was received then.
    pub(crate) fn new(clock: Clock, last_entry: u64) -> Self {
        Self {
            clock,
            last_entry: AtomicU64::new(last_entry),
            state: Mutex::default(),
        }
    }

    /// Looks at the clock; what it shows.
    pub(crate) fn look(&self) -> u64 {
        // One after the other, so that what is found is in the order of the times.
        let mut state = self.state.lock();
        let shown = self.clock.shown();
        state.look(shown, self.last_entry.load(Relaxed));
        shown.wall
    }

    /// An entry was received then.
    pub(crate) fn note_entry(&self, received_at: u64) {
        self.last_entry.store(received_at, Relaxed);
    }

    /// What is wrong with the clock, if anything is.
    pub(crate) fn problem(&self) -> Option<ClockProblem> {
        self.state.lock().problem
    }

    /// What is to be recorded; asked again, it is gone.
    pub(crate) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.state.lock().changes)
    }

    /// Takes back what could not be recorded.
    pub(crate) fn put_back(&self, mut changes: Vec<Change>) {
        let mut state = self.state.lock();
        changes.append(&mut state.changes);
        changes.truncate(CHANGES);
        state.changes = changes;
    }
}

impl State {
    fn look(&mut self, shown: Shown, last_entry: u64) {
        let step = self.last.map_or(0, |last| step(last, shown));
        self.last = Some(shown);
        let has_stepped = step.unsigned_abs() > TOLERANCE;
        if has_stepped {
            self.offset = self.offset.saturating_add(step);
            self.stepped_at = shown.steady;
        }
        let behind = last_entry.saturating_sub(shown.wall);
        let is_behind = behind > TOLERANCE;
        let has_settled =
            !is_behind && shown.steady.saturating_sub(self.stepped_at) > SETTLES_AFTER;
        if has_settled {
            self.offset = 0;
        }
        let is_off = is_behind || self.offset.unsigned_abs() > TOLERANCE;
        let since = match self.problem {
            Some(problem) => problem.since,
            None => WallTime::from_micros(shown.wall),
        };
        let found = ClockProblem {
            since,
            offset_micros: self.offset,
            behind_micros: behind,
        };
        let change = match (self.problem, is_off) {
            (None, false) => None,
            (None, true) => Some(Change::Began(found)),
            (Some(_), true) if has_stepped => Some(Change::Stepped(found)),
            (Some(_), true) => None,
            (Some(_), false) => Some(Change::Ended(found)),
        };
        if !is_off {
            self.offset = 0;
        }
        self.problem = is_off.then_some(found);
        if self.changes.len() < CHANGES {
            self.changes.extend(change);
        }
    }
}

/// By how much the wall clock moved more than the steady one.
fn step(last: Shown, now: Shown) -> i64 {
    let passed = |from: u64, to: u64| i128::from(to) - i128::from(from);
    let step = passed(last.wall, now.wall) - passed(last.steady, now.steady);
    i64::try_from(step).unwrap_or(if step < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_767_323_045_000_000;
    const SECOND: u64 = 1_000_000;
    const HOUR: u64 = 3_600 * SECOND;

    fn look(state: &mut State, wall: u64, steady: u64, last_entry: u64) -> Vec<Change> {
        state.look(Shown { wall, steady }, last_entry);
        std::mem::take(&mut state.changes)
    }

    #[test]
    fn a_clock_that_runs_is_believed() {
        let mut state = State::default();
        for second in 0..3_600 {
            // A tenth of a second off each second: corrected as over a network.
            let wall = START + second * (SECOND + SECOND / 10);
            assert_eq!(look(&mut state, wall, second * SECOND, wall - 5), []);
        }
        assert_eq!(state.problem, None);
    }

    #[test]
    fn an_hour_ahead_for_a_minute_is_one_incident_until_the_log_has_caught_up() {
        let mut state = State::default();
        assert_eq!(look(&mut state, START, 0, START - 1), []);
        let began = look(&mut state, START + HOUR + SECOND, SECOND, START);
        let ahead = ClockProblem {
            since: WallTime::from_micros(START + HOUR + SECOND),
            offset_micros: 3_600_000_000,
            behind_micros: 0,
        };
        assert_eq!(began, [Change::Began(ahead)]);
        let last = START + HOUR + 60 * SECOND;
        assert_eq!(look(&mut state, last, 60 * SECOND, last - 1), []);
        // Put right: what follows is behind the last entry.
        let back = look(&mut state, START + 61 * SECOND, 61 * SECOND, last);
        let behind = ClockProblem {
            offset_micros: 0,
            behind_micros: HOUR - SECOND,
            ..ahead
        };
        assert_eq!(back, [Change::Stepped(behind)]);
        assert_eq!(look(&mut state, START + HOUR, HOUR, last), []);
        assert_eq!(
            state.problem.map(|found| found.behind_micros),
            Some(60 * SECOND)
        );
        let ended = look(&mut state, last, HOUR + 60 * SECOND, last);
        let over = ClockProblem {
            behind_micros: 0,
            ..behind
        };
        assert_eq!(ended, [Change::Ended(over)]);
        assert_eq!(state.problem, None);
        assert_eq!(
            look(&mut state, last + SECOND, HOUR + 61 * SECOND, last),
            []
        );
    }

    #[test]
    fn a_last_entry_in_the_future_is_found_at_the_start() {
        let mut state = State::default();
        let began = look(&mut state, START, 0, START + 10 * SECOND);
        assert!(matches!(began[..], [Change::Began(found)] if found.behind_micros == 10 * SECOND));
        // An entry a moment ahead is none: as many as come in a microsecond get times of their own.
        let mut other = State::default();
        assert_eq!(look(&mut other, START, 0, START + SECOND), []);
    }

    #[test]
    fn a_clock_that_stays_where_it_stepped_to_is_believed_again() {
        let mut state = State::default();
        look(&mut state, START, 0, START - 1);
        let began = look(&mut state, START + 30 * SECOND, SECOND, START);
        assert!(matches!(began[..], [Change::Began(_)]));
        let still = look(&mut state, START + 329 * SECOND, 300 * SECOND, START);
        assert_eq!(still, []);
        let ended = look(&mut state, START + 731 * SECOND, 702 * SECOND, START);
        assert!(matches!(ended[..], [Change::Ended(_)]), "{ended:?}");
        assert_eq!(state.problem, None);
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn begins_and_ends_alternate(
            moments in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 1..50)
        ) {
            let mut state = State::default();
            let mut is_off = false;
            for (wall, steady, last_entry) in moments {
                for change in look(&mut state, wall, steady, last_entry) {
                    let before = is_off;
                    is_off = !matches!(change, Change::Ended(_));
                    prop_assert_eq!(before, !matches!(change, Change::Began(_)));
                }
                prop_assert_eq!(state.problem.is_some(), is_off);
            }
        }
    }
}
