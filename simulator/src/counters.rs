//! What the simulation counts.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::faults::Fault;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the start, shared by all connections.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        /// The counters at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            pub(crate) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Heartbeats sent.
    heartbeats,
    /// Polls heard by a sensor that was on; each uses up a sequence number.
    polls,
    /// Answers sent, the faulty ones included.
    answers,
    /// Polls not answered.
    dropped,
    /// Answers sent late.
    late,
    /// Answers that were no number.
    garbage,
    /// Answers out of the sensor's range.
    out_of_range,
    /// Polls not heard because the sensor was off.
    off,
    /// Polls not heard because the sensor had been polled as often as asked.
    beyond_limit,
    /// Polls for sensors that are not of this simulation.
    foreign,
    /// Times the broker was lost and found again.
    reconnects,
    /// Messages that the client library lost because the simulation was too slow.
    overruns,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    /// Counts an answer that was sent.
    pub(crate) fn count_answer(&self, fault: Option<Fault>) {
        count(&self.answers);
        match fault {
            Some(Fault::Late) => count(&self.late),
            Some(Fault::Garbage) => count(&self.garbage),
            Some(Fault::OutOfRange) => count(&self.out_of_range),
            Some(Fault::Drop) | None => {}
        }
    }
}
