//! How long to wait after failures in a row.

use std::time::Duration;

/// The pause after so many failures in a row: `first`, doubled for each further one up to
/// `longest`, and of that a part between one half and all, which `part` (0 to 1) says. Sites that
/// failed together do not come back together.
pub(crate) fn pause(failures: u32, first: Duration, longest: Duration, part: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let whole = first.saturating_mul(1 << doublings).min(longest);
    whole.mul_f64(0.5 + part.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = (1..9).map(|failures| pause(failures, FIRST, LONGEST, 1.0).as_secs());
        assert_eq!(pauses.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX, FIRST, LONGEST, 1.0), LONGEST);
    }

    #[test]
    fn at_most_half_is_left_to_chance() {
        assert_eq!(pause(2, FIRST, LONGEST, 0.0), FIRST);
        assert_eq!(pause(2, FIRST, LONGEST, 7.0), FIRST * 2);
    }
}
