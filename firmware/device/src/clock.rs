//! The time as a device is given it.

use fieldledger_attest::reading::Clock;

/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;

/// What time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Microseconds since this boot; never goes back.
    pub up: u64,
    /// Microseconds since the Unix epoch, once the device knows them.
    pub utc: Option<u64>,
}

impl Now {
    /// The time to date a reading with: UTC where it is known.
    #[must_use]
    pub fn clock(self) -> Clock {
        match self.utc {
            Some(utc) => Clock::Utc(utc),
            None => Clock::Uptime(self.up),
        }
    }
}
