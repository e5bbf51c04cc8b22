//! How long a sensor's answer is waited for.
//!
//! At first as long as the setting says. A sensor that needs longer, such as one that converts for
//! 750 ms, answers late once, and that teaches how long it takes. A heartbeat may also name it
//! (`answer_within`). No timeout is longer than [`TIMEOUT_MAX`] or than most of the sensor's interval, nor
//! shorter than the setting.

/// The longest timeout, in microseconds. A sensor that is waited for takes the place of another poll.
pub(crate) const TIMEOUT_MAX: u64 = 10_000_000;

/// The part of its interval that a sensor may take, in tenths, so that a poll ends before the next.
const INTERVAL_TENTHS: u64 = 9;

/// What is added to the slowest answer, as a part of it: the next one may take longer.
const MARGIN_PART: u64 = 2;

/// With each quicker answer the slowest is forgotten by this part of the difference.
const FORGETTING_PART: u64 = 16;

/// What a sensor has shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Patience {
    /// How long the slowest answer took, in microseconds.
    pub(crate) slowest: Option<u64>,
}

impl Patience {
    /// Notes how long an answer took.
    pub(crate) fn answered_after(&mut self, taken: u64) {
        let slowest = self.slowest.unwrap_or(taken);
        let fading = slowest - slowest.saturating_sub(taken) / FORGETTING_PART;
        self.slowest = Some(fading.max(taken).min(TIMEOUT_MAX));
    }

    /// How long the next one is waited for: `setting` at least. `named` is what the heartbeat says.
    pub(crate) fn timeout(self, setting: u64, named: Option<u64>, interval: u64) -> u64 {
        let learned = self.slowest.map(|slowest| slowest + slowest / MARGIN_PART);
        let wanted = learned.into_iter().chain(named).max().unwrap_or(setting);
        let most = TIMEOUT_MAX.min(interval / 10 * INTERVAL_TENTHS);
        wanted.min(most).max(setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    #[test]
    fn a_slow_answer_is_learned_at_once_and_forgotten_slowly() {
        let mut patience = Patience::default();
        let timeout = |patience: Patience| patience.timeout(500 * MS, None, 60_000 * MS);
        patience.answered_after(20 * MS);
        assert_eq!(timeout(patience), 500 * MS);
        patience.answered_after(760 * MS);
        assert_eq!(timeout(patience), 1_140 * MS);
        for _ in 0..100 {
            patience.answered_after(760 * MS);
        }
        assert_eq!(timeout(patience), 1_140 * MS);
        patience.answered_after(20 * MS);
        assert!((1_000 * MS..1_140 * MS).contains(&timeout(patience)));
        for _ in 0..100 {
            patience.answered_after(20 * MS);
        }
        assert_eq!(timeout(patience), 500 * MS);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut patience = Patience::default();
        patience.answered_after(u64::MAX);
        assert_eq!(patience.timeout(500 * MS, None, 60_000 * MS), TIMEOUT_MAX);
        assert_eq!(patience.timeout(500 * MS, None, 1_000 * MS), 900 * MS);
        assert_eq!(patience.timeout(500 * MS, None, 100 * MS), 500 * MS);
        let fresh = Patience::default();
        assert_eq!(
            fresh.timeout(500 * MS, Some(800 * MS), 60_000 * MS),
            800 * MS
        );
        assert_eq!(
            fresh.timeout(500 * MS, Some(100 * MS), 60_000 * MS),
            500 * MS
        );
    }
}
