//! The time on a Linux machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fieldledger_device::Now;

/// A machine without a battery wakes up in 1970, or when its image was made. What is before 2025 is
/// not taken for the time.
const EARLIEST: Duration = Duration::from_secs(1_735_689_600);

/// Counts from the start of the program, which is what a boot is to the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        let utc = utc.filter(|utc| *utc >= EARLIEST);
        Now {
            up: self.start.elapsed().as_micros() as u64,
            utc: utc.map(|utc| utc.as_micros() as u64),
        }
    }

    /// When that many microseconds will have passed since the start.
    pub(crate) fn instant(&self, up: u64) -> Instant {
        // For ever is a day: the device is asked again then.
        let longest = self.start.elapsed() + Duration::from_secs(86_400);
        self.start + Duration::from_micros(up).min(longest)
    }
}
