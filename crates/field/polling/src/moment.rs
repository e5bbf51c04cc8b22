//! The time, as an engine is given it.

use std::time::Duration;

/// One moment on two clocks, in microseconds.
///
/// Waiting is measured on the steady clock, so that a corrected system clock neither stops polling
/// nor lets every poll under way time out. Records carry the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Never goes back. Its zero has no meaning, but lies far in the past.
    pub steady: u64,
    /// Since the Unix epoch, UTC.
    pub wall: u64,
}

/// A duration on either of them.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
