//! A limit on how often something may happen.

/// Holds up to `burst` tokens and gains `per_second` of them; an event takes one.
#[derive(Debug, Clone)]
pub(crate) struct TokenBucket {
    per_second: u32,
    /// In millionths of a token, so that no fraction is lost between events.
    capacity: u64,
    available: u64,
    refilled_at: u64,
}

const TOKEN: u64 = 1_000_000;

impl TokenBucket {
    pub(crate) fn full(per_second: u32, burst: u32, steady_now: u64) -> Self {
        let capacity = u64::from(burst) * TOKEN;
        Self {
            per_second,
            capacity,
            available: capacity,
            refilled_at: steady_now,
        }
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, steady_now: u64) -> bool {
        self.take_many(1, steady_now)
    }

    /// Whether as many events may happen at once as ever.
    pub(crate) fn is_full(&mut self, steady_now: u64) -> bool {
        self.refill(steady_now);
        self.available == self.capacity
    }

    fn refill(&mut self, steady_now: u64) {
        let elapsed = steady_now.saturating_sub(self.refilled_at);
        let gained = elapsed.saturating_mul(u64::from(self.per_second));
        self.available = self.available.saturating_add(gained).min(self.capacity);
        self.refilled_at = self.refilled_at.max(steady_now);
    }

    /// Takes so many tokens if there are as many.
    pub(crate) fn take_many(&mut self, tokens: u32, steady_now: u64) -> bool {
        self.take_leaving(tokens, 0, steady_now)
    }

    /// Takes so many tokens if `kept` are there beside them.
    pub(crate) fn take_leaving(&mut self, tokens: u32, kept: u32, steady_now: u64) -> bool {
        self.refill(steady_now);
        let Some(rest) = self.available.checked_sub(u64::from(tokens) * TOKEN) else {
            return false;
        };
        if rest < u64::from(kept) * TOKEN {
            return false;
        }
        self.available = rest;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = TokenBucket::full(2, 3, 0);
        let at_once = (0..10).filter(|_| bucket.take(0)).count();
        assert_eq!(at_once, 3);
        // One event each 100 ms for ten seconds, two tokens a second.
        let later = (1..=100).filter(|n| bucket.take(n * 100_000)).count();
        assert_eq!(later, 20);
    }

    #[test]
    fn a_long_silence_fills_no_more_than_the_burst() {
        let mut bucket = TokenBucket::full(1, 2, 0);
        let passed = (0..10).filter(|_| bucket.take(u64::MAX / 2)).count();
        assert_eq!(passed, 2);
    }
}
