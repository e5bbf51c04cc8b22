//! The time, as the engine wants it told.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fieldledger_polling::Moment;

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

/// Microseconds since the Unix epoch.
pub(crate) fn wall_now() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}
