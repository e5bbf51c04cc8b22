//! The time, as the engine wants it told.
//!
//! Waiting is measured on a steady clock. Times that are recorded come from the system's clock, but never go
//! back, and do not follow it where it steps: for ten minutes they go on as the steady clock does. A clock
//! that stepped and was put right in that time has left no trace in them.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fieldledger_polling::Moment;
use parking_lot::Mutex;
use tracing::warn;

/// A step by less is none, microseconds.
const TOLERANCE: u64 = 1_500_000;

/// After this time the system's clock is believed where it stepped to, microseconds.
const BELIEVED_AFTER: u64 = 600_000_000;

/// A steady clock that began at the wall clock's time, beside the wall clock itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    started_at: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            started_at: wall_now(),
        }
    }

    pub(crate) fn now(self) -> Moment {
        let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Moment {
            steady: self.started_at.saturating_add(elapsed),
            wall: wall_now(),
        }
    }

    /// The instant at which the steady clock shows `steady`.
    pub(crate) fn instant_of(self, steady: u64) -> Instant {
        let after = steady.saturating_sub(self.started_at);
        self.started + std::time::Duration::from_micros(after)
    }
}

/// Microseconds since the Unix epoch, for all that is recorded.
pub(crate) fn wall_now() -> u64 {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    static WALL: Mutex<Wall> = Mutex::new(Wall::new());
    let mut wall = WALL.lock();
    let steady = u64::try_from(STARTED.elapsed().as_micros()).unwrap_or(u64::MAX);
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let system = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
    wall.show(system, steady)
}

/// The system's clock without its steps. All in microseconds.
#[derive(Debug)]
struct Wall {
    /// What the system's clock and the steady one showed last.
    last: Option<(u64, u64)>,
    /// What is added to the system's clock.
    offset: i64,
    /// By the steady clock, when the system's stepped last.
    stepped_at: u64,
    /// What was shown last.
    shown: u64,
}

impl Wall {
    const fn new() -> Self {
        Self {
            last: None,
            offset: 0,
            stepped_at: 0,
            shown: 0,
        }
    }

    fn show(&mut self, system: u64, steady: u64) -> u64 {
        let (last_system, last_steady) = self
            .last
            .replace((system, steady))
            .unwrap_or((system, steady));
        let passed = steady.saturating_sub(last_steady);
        let moved = i128::from(system) - i128::from(last_system);
        let step = i64::try_from(moved - i128::from(passed)).unwrap_or(0);
        if step.unsigned_abs() > TOLERANCE {
            let milliseconds = step / 1_000;
            warn!(
                milliseconds,
                "the system's clock stepped; times of polls go on as before for ten minutes"
            );
            self.offset = self.offset.saturating_sub(step);
            self.stepped_at = steady;
            // What is left by the two readings of a clock that was put right is none.
            if self.offset.unsigned_abs() < TOLERANCE {
                self.offset = 0;
            }
        } else if self.offset != 0 && steady.saturating_sub(self.stepped_at) > BELIEVED_AFTER {
            self.offset = match self.offset {
                // The system's clock is behind: wait for it at half the speed, so that no time comes twice.
                ahead @ 1.. => {
                    let half = i64::try_from(passed / 2).unwrap_or(i64::MAX);
                    ahead.saturating_sub(half).max(0)
                }
                _ => 0,
            };
        }
        let shown = system.saturating_add_signed(self.offset);
        self.shown = self.shown.max(shown);
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_767_323_045_000_000;
    const SECOND: u64 = 1_000_000;
    const HOUR: u64 = 3_600 * SECOND;

    #[test]
    fn a_clock_that_steps_and_is_put_right_leaves_no_trace() {
        for step in [-3_600_000_000_i64, 3_600_000_000] {
            let mut wall = Wall::new();
            for second in 0..120 {
                let right = START + second * SECOND;
                let system = match (30..90).contains(&second) {
                    true => right.saturating_add_signed(step),
                    false => right,
                };
                assert_eq!(wall.show(system, second * SECOND), right, "{step} {second}");
            }
        }
    }

    #[test]
    fn a_clock_that_stays_where_it_stepped_to_is_followed() {
        let mut ahead = Wall::new();
        ahead.show(START, 0);
        assert_eq!(ahead.show(START + HOUR + SECOND, SECOND), START + SECOND);
        let later = 700 * SECOND;
        assert_eq!(
            ahead.show(START + HOUR + later, later),
            START + HOUR + later
        );

        // Behind: at half the speed until it has caught up.
        let mut behind = Wall::new();
        behind.show(START + 60 * SECOND, 0);
        let mut last = 0;
        for second in 1..900 {
            let shown = behind.show(START + second * SECOND, second * SECOND);
            assert!(shown > last, "{second}");
            last = shown;
        }
        assert_eq!(last, START + 899 * SECOND);
    }

    #[test]
    fn slow_corrections_are_followed_at_once() {
        let mut wall = Wall::new();
        for second in 0..1_000 {
            let system = START + second * (SECOND + SECOND / 2);
            assert_eq!(wall.show(system, second * SECOND), system);
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn no_time_goes_back(moments in proptest::collection::vec((any::<u64>(), 0_u64..1 << 50), 1..50)) {
            let mut wall = Wall::new();
            let (mut steady, mut last) = (0, 0);
            for (system, passed) in moments {
                steady += passed;
                let shown = wall.show(system, steady);
                prop_assert!(shown >= last);
                last = shown;
            }
        }
    }
}
