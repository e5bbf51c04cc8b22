//! How often a write is tried, and what its end means.
//!
//! A call that nobody takes fails at once, and a restart of the ledger or the audit API takes a second or
//! two. An attempt that waits occupies one of the component's `instances`; more messages wait in the host.
//! A call that was taken and is never answered ends only with the invocation, which the host ends.

use std::fmt;
use std::time::Duration;

use fieldledger_contract::InvalidField;

/// Pauses between the attempts with a message that nobody else keeps, 8 s in all: what is not written then
/// is lost.
pub(crate) const LAST_CHANCE: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1_000),
    Duration::from_millis(2_500),
    Duration::from_millis(4_000),
];

/// Pauses with one that is delivered again.
pub(crate) const ANOTHER_CHANCE: [Duration; 2] =
    [Duration::from_millis(100), Duration::from_millis(400)];

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The next attempt can succeed.
    Passing(String),
    /// The log takes nothing more at present. A successor may.
    Ended(String),
    /// No other attempt can with all of these events: the log names those that it does not take.
    Invalid(Vec<InvalidField>),
    /// No other attempt can.
    Final(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passing(reason) | Self::Ended(reason) | Self::Final(reason) => {
                f.write_str(reason)
            }
            Self::Invalid(faults) => match faults.first() {
                Some(fault) => {
                    write!(f, "event {} {} {}", fault.item, fault.field, fault.problem)
                }
                None => f.write_str("the audit log calls them invalid"),
            },
        }
    }
}

/// Writes until it succeeds, fails for good, or the pauses are used up; returns the last failure.
pub(crate) fn deliver(
    mut write: impl FnMut() -> Result<(), Failure>,
    pauses: &[Duration],
    mut pause: impl FnMut(Duration),
) -> Result<(), Failure> {
    for length in pauses {
        match write() {
            Err(Failure::Passing(_)) => pause(*length),
            done => return done,
        }
    }
    write().map_err(|failure| match failure {
        Failure::Passing(reason) => Failure::Passing(format!(
            "{reason}, nor in {} earlier attempts",
            pauses.len()
        )),
        hopeless => hopeless,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers against these answers; returns the outcome, and the attempts and pauses it took.
    fn delivered(
        answers: impl IntoIterator<Item = Result<(), Failure>>,
    ) -> (Result<(), Failure>, usize, Duration) {
        let mut answers = answers.into_iter();
        let (mut attempts, mut paused) = (0, Duration::ZERO);
        let outcome = deliver(
            || {
                attempts += 1;
                answers
                    .next()
                    .unwrap_or(Err(Failure::Final("asked too often".into())))
            },
            &LAST_CHANCE,
            |length| paused += length,
        );
        (outcome, attempts, paused)
    }

    fn away() -> Result<(), Failure> {
        Err(Failure::Passing("away".into()))
    }

    #[test]
    fn a_log_that_has_ended_is_asked_once() {
        let ended = || Err(Failure::Ended("frozen".into()));
        let (outcome, attempts, _) = delivered([ended(), Ok(())]);
        assert_eq!((outcome, attempts), (ended(), 1));
    }

    #[test]
    fn a_write_that_succeeds_is_not_repeated() {
        assert_eq!(delivered([Ok(())]), (Ok(()), 1, Duration::ZERO));
        let paused = Duration::from_millis(500);
        assert_eq!(delivered([away(), away(), Ok(())]), (Ok(()), 3, paused));
    }

    #[test]
    fn a_final_failure_ends_it() {
        let refused = || Err(Failure::Final("refused".into()));
        let (outcome, attempts, _) = delivered([away(), refused(), Ok(())]);
        assert_eq!((outcome, attempts), (refused(), 2));
    }

    #[test]
    fn it_gives_up_after_eight_seconds_of_pauses() {
        let (outcome, attempts, paused) = delivered(vec![away(); 6]);
        assert_eq!((attempts, paused), (6, Duration::from_secs(8)));
        let reason = "away, nor in 5 earlier attempts".to_owned();
        assert_eq!(outcome, Err(Failure::Passing(reason)));
    }
}
