//! How long to wait before something that ended is started again.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// What has run this long has recovered.
const RECOVERED: Duration = Duration::from_secs(120);

/// Doubles the pause from 1 s to 60 s, and begins anew after two good minutes.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Option<(Instant, Duration)>,
}

impl Backoff {
    /// The pause before the next start, `now` that something has ended.
    pub(crate) fn pause(&mut self, now: Instant) -> Duration {
        let pause = match self.last {
            Some((at, pause)) if now.duration_since(at) < RECOVERED => (pause * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some((now, pause));
        pause
    }
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
