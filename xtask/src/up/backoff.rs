//! How long to wait before something that ended is started again.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// What has run this long has recovered.
const RECOVERED: Duration = Duration::from_secs(120);

/// Doubles the pause from 1 s to 60 s, and begins anew after two good minutes.
#[derive(Debug)]
pub(super) struct Backoff {
    pauses: ExponentialBackoff,
    last: Option<Instant>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            pauses: pauses(),
            last: None,
        }
    }
}

impl Backoff {
    /// The pause before the next start, `now` that something has ended.
    pub(super) fn pause(&mut self, now: Instant) -> Duration {
        let recovered = |last: Instant| now.duration_since(last) >= RECOVERED;
        if self.last.is_some_and(recovered) {
            self.pauses = pauses();
        }
        self.last = Some(now);
        self.pauses.next().unwrap_or(LONGEST)
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST)
        .with_factor(2.0)
        .with_max_delay(LONGEST)
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_recover() {
        let mut backoff = Backoff::default();
        let start = Instant::now();
        let seconds: Vec<u64> = (0..8).map(|_| backoff.pause(start).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.pause(start + RECOVERED), FIRST);
    }
}
