//! Pauses between attempts.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// 100 ms, then twice as long each time, up to 10 s, without an end.
pub(crate) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_factor(2.0)
        .with_max_delay(LONGEST)
        .without_max_times()
}

/// The pauses of [`backoff`], one by one.
pub(crate) struct Pauses(ExponentialBackoff);

pub(crate) fn pauses() -> Pauses {
    Pauses(backoff().build())
}

impl Pauses {
    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        self.0.next().expect("the pauses have no end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds() {
        let mut pauses = pauses();
        let pauses: Vec<u128> = (0..9).map(|_| pauses.pause().as_millis()).collect();
        assert_eq!(
            pauses,
            [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]
        );
    }
}
