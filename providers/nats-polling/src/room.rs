//! How much room the stream of batches has, and that polling stops before there is none.
//!
//! While the log takes nothing, batches gather in the stream. It has a bound (`STORED_BYTES_MAX`), and beyond
//! it nothing is dropped: polling stops, what was polled until then is stored, and polling goes on once
//! batches were delivered. Devices that keep their readings send them then. The bound is this provider's, not
//! the stream's: a stream that refuses would leave in memory what is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fieldledger_polling::chain;
use tracing::debug;

use crate::progress::Progress;
use crate::storage::Storage;

/// How often JetStream is asked. What is stored in between is little beside any bound.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many of a hundred bytes of the stream's own bound are left for what is under way, where it has one.
const SPARE_PERCENT: u64 = 10;

/// Polling that has stopped goes on below so many of a hundred bytes of the bound, lest it stop and go with
/// every batch.
const GO_ON_PERCENT: u64 = 90;

/// What is stored, and what may be.
#[derive(Debug, Default)]
pub(crate) struct Room {
    stored_bytes: AtomicU64,
    /// Zero before it is known.
    stored_bytes_max: AtomicU64,
}

/// A stream as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// Bytes of what is in it.
    pub(crate) bytes: u64,
    /// Most bytes that it takes, if it has a bound of its own.
    pub(crate) bound: Option<u64>,
}

impl Room {
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored_bytes.load(Relaxed)
    }

    pub(crate) fn stored_bytes_max(&self) -> u64 {
        self.stored_bytes_max.load(Relaxed)
    }

    /// Whether polling is to stop, or, where it `has_stopped`, is not yet to go on.
    pub(crate) fn is_used_up(&self, has_stopped: bool) -> bool {
        let bound = match (self.stored_bytes_max(), has_stopped) {
            (0, _) => return false,
            (bound, false) => bound,
            (bound, true) => percent(GO_ON_PERCENT, bound),
        };
        self.stored_bytes() >= bound
    }

    /// The stream is at this level, and may be filled up to `bound`, or its own if that is lower.
    fn note(&self, level: Level, bound: u64) {
        let own = level.bound.map(|own| percent(100 - SPARE_PERCENT, own));
        self.stored_bytes.store(level.bytes, Relaxed);
        self.stored_bytes_max
            .store(own.unwrap_or(bound).min(bound), Relaxed);
    }
}

/// Without an overflow.
fn percent(percent: u64, of: u64) -> u64 {
    of / 100 * percent + of % 100 * percent / 100
}

/// Keeps an eye on the stream, forever.
pub(crate) async fn watch(storage: Storage, progress: Arc<Progress>, bound: u64) {
    loop {
        match storage.level().await {
            Ok(level) => progress.room.note(level, bound),
            // As of before then. Polling pauses anyway where the connection is gone.
            Err(error) => debug!(
                error = chain(error.as_ref()),
                "the stream does not say how full it is"
            ),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bytes: u64) -> Level {
        Level { bytes, bound: None }
    }

    #[test]
    fn polling_stops_at_the_bound_and_goes_on_below_nine_tenths_of_it() {
        let room = Room::default();
        assert!(!room.is_used_up(false), "nothing is known yet");
        for (bytes, has_stopped, is_used_up) in [
            (0, false, false),
            (999, false, false),
            (1_000, false, true),
            (1_000, true, true),
            (900, true, true),
            (899, true, false),
            (950, false, false),
        ] {
            room.note(at(bytes), 1_000);
            assert_eq!(
                room.is_used_up(has_stopped),
                is_used_up,
                "{bytes} {has_stopped}"
            );
        }
    }

    #[test]
    fn the_streams_own_bound_counts_where_it_is_lower_and_leaves_room_for_what_is_under_way() {
        let room = Room::default();
        for (own, expected) in [
            (None, 1_000),
            (Some(5_000), 1_000),
            (Some(1_000), 900),
            (Some(u64::MAX), 1_000),
        ] {
            let level = Level {
                bytes: 7,
                bound: own,
            };
            room.note(level, 1_000);
            assert_eq!(
                (room.stored_bytes(), room.stored_bytes_max()),
                (7, expected)
            );
        }
        room.note(at(0), u64::MAX);
        assert_eq!(room.stored_bytes_max(), u64::MAX);
    }
}
