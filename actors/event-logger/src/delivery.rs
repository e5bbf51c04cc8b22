//! How often a write is tried, and what its end means.
//!
//! Nobody keeps a message for this component: what it does not write is lost. So it rides out a
//! restart of the ledger or the audit API, which takes a second or two, but not an outage.

use std::time::Duration;

/// Pauses between the attempts, 8 s in all. A call that nobody takes fails at once, so a message is
/// lost after 8 s and as long occupies one of the component's `instances`; more wait in the host.
/// A call that was taken and is never answered fails only when the host ends the invocation.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1_000),
    Duration::from_millis(2_500),
    Duration::from_millis(4_000),
];

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The next attempt can succeed.
    Passing(String),
    /// No other attempt can.
    Final(String),
}

/// Writes until it succeeds, fails for good, or the pauses are used up; returns the last reason.
pub(crate) fn deliver(
    mut write: impl FnMut() -> Result<(), Failure>,
    mut pause: impl FnMut(Duration),
) -> Result<(), String> {
    for length in PAUSES {
        match write() {
            Ok(()) => return Ok(()),
            Err(Failure::Final(reason)) => return Err(reason),
            Err(Failure::Passing(_)) => pause(length),
        }
    }
    write().map_err(|failure| match failure {
        Failure::Final(reason) => reason,
        Failure::Passing(reason) => {
            format!("{reason}, nor in {} earlier attempts", PAUSES.len())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers against these answers; returns the outcome, and the attempts and pauses it took.
    fn delivered(
        answers: impl IntoIterator<Item = Result<(), Failure>>,
    ) -> (Result<(), String>, usize, Duration) {
        let mut answers = answers.into_iter();
        let (mut attempts, mut paused) = (0, Duration::ZERO);
        let outcome = deliver(
            || {
                attempts += 1;
                answers
                    .next()
                    .unwrap_or(Err(Failure::Final("asked too often".into())))
            },
            |length| paused += length,
        );
        (outcome, attempts, paused)
    }

    fn away() -> Result<(), Failure> {
        Err(Failure::Passing("away".into()))
    }

    #[test]
    fn a_write_that_succeeds_is_not_repeated() {
        assert_eq!(delivered([Ok(())]), (Ok(()), 1, Duration::ZERO));
        let paused = Duration::from_millis(500);
        assert_eq!(delivered([away(), away(), Ok(())]), (Ok(()), 3, paused));
    }

    #[test]
    fn a_final_failure_ends_it() {
        let refused = Err(Failure::Final("refused".into()));
        let (outcome, attempts, _) = delivered([away(), refused, Ok(())]);
        assert_eq!((outcome, attempts), (Err("refused".into()), 2));
    }

    #[test]
    fn it_gives_up_after_eight_seconds_of_pauses() {
        let (outcome, attempts, paused) = delivered(vec![away(); 6]);
        assert_eq!((attempts, paused), (6, Duration::from_secs(8)));
        assert_eq!(outcome, Err("away, nor in 5 earlier attempts".into()));
    }
}
