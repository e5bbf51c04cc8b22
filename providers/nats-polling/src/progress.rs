//! How far results have come on their way to the log: counters shared by an instance's tasks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use fieldledger_wire::batch::{Outcome, PollBatch};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::wall_now;
use crate::latency::Latency;
use crate::log_end::LogEnd;
use crate::room::Room;

#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Results in memory, not yet in the stream.
    buffered: AtomicUsize,
    /// Whether polling is to stand still for a moment.
    held: AtomicBool,
    /// Whether it does: no poll is under way, and none will be before it is let go.
    still: AtomicBool,
    /// Held by whoever moves to another server: one at a time.
    pub(crate) moves: tokio::sync::Mutex<()>,
    /// Told when that number falls.
    pub(crate) stored_some: Notify,
    batches_stored: AtomicU64,
    results_stored: AtomicU64,
    batches_delivered: AtomicU64,
    batches_retried: AtomicU64,
    batches_dead_lettered: AtomicU64,
    /// Results of which the log has only what could be kept.
    results_cut: AtomicU64,
    /// Calls with results that were recorded: of batches, and of parts of them.
    passed: AtomicU64,
    last_error: Mutex<String>,
    /// Lanes whose attempts fail, and since when.
    failing: Mutex<BTreeMap<u32, u64>>,
    /// Whether the log has ended, as far as is known.
    pub(crate) log_end: LogEnd,
    /// How much room the stream has.
    pub(crate) room: Room,
    latency: Mutex<Latency>,
}

/// A moment's view of [`Progress`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// Results in memory, not yet in the stream.
    pub results_buffered: u64,
    /// Batches that the stream has acknowledged.
    pub batches_stored: u64,
    /// Batches that the reader has taken.
    pub batches_delivered: u64,
    /// Deliveries that failed and were tried again.
    pub batches_retried: u64,
    /// Batches given up.
    pub batches_dead_lettered: u64,
    /// Results of which the log has only what could be kept.
    pub results_cut: u64,
    /// Why the last delivery failed, or empty.
    pub last_error: String,
    /// Since when a lane has delivered nothing because each attempt fails, microseconds since the Unix
    /// epoch; none while all deliver.
    pub failing_since: Option<u64>,
    /// Why the log takes no more entries, so that delivery pauses; empty while it does.
    pub ended: String,
    /// Bytes of the batches in the stream, as of a second ago: of all that store there.
    pub stored_bytes: u64,
    /// At so many polling stops.
    pub stored_bytes_max: u64,
    /// Poll to durable, microseconds, over the last minute: half stayed below.
    pub latency_p50: u64,
    /// Poll to durable, microseconds, over the last minute: 99 % stayed below.
    pub latency_p99: u64,
}

impl Progress {
    pub(crate) fn buffered(&self) -> usize {
        self.buffered.load(Relaxed)
    }

    /// Nothing is under way yet. What an earlier run could not store is lost, and was said to be.
    pub(crate) fn begin(&self) {
        self.buffered.store(0, Relaxed);
        self.failing.lock().clear();
        self.log_end.clear();
        self.hold(false);
    }

    /// Has polling stand still, or go on.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Relaxed);
        self.still.store(false, Relaxed);
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Relaxed)
    }

    pub(crate) fn stands_still(&self, still: bool) {
        self.still.store(still, Relaxed);
    }

    pub(crate) fn is_still(&self) -> bool {
        self.still.load(Relaxed)
    }

    pub(crate) fn result_buffered(&self) {
        self.buffered.fetch_add(1, Relaxed);
    }

    pub(crate) fn batch_stored(&self, results: usize) {
        self.buffered.fetch_sub(results, Relaxed);
        self.batches_stored.fetch_add(1, Relaxed);
        self.results_stored.fetch_add(results as u64, Relaxed);
        self.stored_some.notify_one();
    }

    pub(crate) fn results_stored(&self) -> u64 {
        self.results_stored.load(Relaxed)
    }

    /// Calls with results that were recorded so far.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Relaxed)
    }

    /// So many batches were recorded, with these results.
    pub(crate) fn batches_delivered(&self, count: u64, batch: &PollBatch) {
        self.batches_delivered.fetch_add(count, Relaxed);
        self.part_delivered(batch);
    }

    /// A batch was recorded that went in parts.
    pub(crate) fn batch_went_in_parts(&self) {
        self.batches_delivered.fetch_add(1, Relaxed);
    }

    /// Of a result only what can be kept was recorded.
    pub(crate) fn result_cut(&self) {
        self.results_cut.fetch_add(1, Relaxed);
    }

    /// These results were recorded.
    pub(crate) fn part_delivered(&self, batch: &PollBatch) {
        self.passed.fetch_add(1, Relaxed);
        let now = wall_now();
        let rows = batch.polled_at.iter().zip(&batch.outcome);
        // A poll given up lasts as long as the timeout says; that is no property of this system.
        let answered =
            rows.filter(|(_, outcome)| matches!(outcome, Outcome::Value | Outcome::Unparsable));
        let latencies = answered.map(|(polled_at, _)| now.saturating_sub(*polled_at));
        self.latency.lock().note(latencies, now);
    }

    pub(crate) fn batch_dead_lettered(&self) {
        self.batches_dead_lettered.fetch_add(1, Relaxed);
    }

    /// A lane has delivered something, or given it up.
    pub(crate) fn lane_goes_on(&self, lane: u32) {
        self.failing.lock().remove(&lane);
    }

    pub(crate) fn delivery_failed(&self, lane: u32, reason: &str) {
        self.failing.lock().entry(lane).or_insert_with(wall_now);
        self.batches_retried.fetch_add(1, Relaxed);
        self.set_last_error(reason);
    }

    pub(crate) fn set_last_error(&self, reason: &str) {
        reason.clone_into(&mut self.last_error.lock());
    }

    pub(crate) fn status(&self) -> DeliveryStatus {
        let (latency_p50, latency_p99) = self.latency.lock().percentiles(wall_now());
        DeliveryStatus {
            results_buffered: self.buffered() as u64,
            batches_stored: self.batches_stored.load(Relaxed),
            batches_delivered: self.batches_delivered.load(Relaxed),
            batches_retried: self.batches_retried.load(Relaxed),
            batches_dead_lettered: self.batches_dead_lettered.load(Relaxed),
            results_cut: self.results_cut.load(Relaxed),
            last_error: self.last_error.lock().clone(),
            failing_since: self.failing.lock().values().min().copied(),
            ended: self.log_end.reason().unwrap_or_default(),
            stored_bytes: self.room.stored_bytes(),
            stored_bytes_max: self.room.stored_bytes_max(),
            latency_p50,
            latency_p99,
        }
    }
}
