//! Several batches of a backlog in one call.
//!
//! A call to the log takes about as long for a thousand results as for ten: it waits for the way there and
//! for the disk. After an outage what waits is batches of the size of live ones, so a lane that handed them
//! on one by one would be little faster than what is polled meanwhile. It looks into the stream for those
//! behind the one at hand, and hands them on with it.
//!
//! The stream's consumer does not know of this. It delivers them one after the other as ever, and they are
//! acknowledged without a call, because their ids are remembered. Should that be forgotten, in a crash, the
//! log appends nothing twice.

use std::collections::HashSet;

use async_nats::jetstream::Message;
use fieldledger_polling::BatchLimits;
use fieldledger_wire::batch::PollBatch;
use tracing::debug;

use crate::pacing::is_live;
use crate::reader::IngestError;
use crate::storage::Storage;

/// What a lane knows of the batches that it is about to be handed.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    recorded: HashSet<String>,
    /// So many more go alone, because a call with all of them failed: one of them may be why.
    alone: usize,
}

/// Batches for one call.
pub(crate) struct Together {
    pub(crate) batch: PollBatch,
    /// Ids of those behind the first one.
    followers: Vec<String>,
}

impl Together {
    /// How many batches these are.
    pub(crate) fn count(&self) -> usize {
        1 + self.followers.len()
    }
}

impl Ahead {
    /// Whether the batch was recorded with an earlier one.
    pub(crate) fn knows(&mut self, batch: &PollBatch) -> bool {
        self.recorded.remove(&batch.id)
    }

    /// They were recorded in one call.
    pub(crate) fn recorded(&mut self, together: Together) {
        self.recorded.extend(together.followers);
    }

    /// A call with all of them failed.
    pub(crate) fn failed(&mut self, together: &Together, error: &IngestError) {
        // That the log is away, or has ended, is no batch's fault.
        if !error.is_of_every_batch() {
            self.alone = together.followers.len();
        }
    }

    /// The batch with those behind it that may go in the same call, if there are any.
    pub(crate) async fn gather(
        &mut self,
        (message, first): (&Message, &PollBatch),
        (storage, lane): (&Storage, u32),
        limits: BatchLimits,
    ) -> Option<Together> {
        if self.alone > 0 {
            self.alone -= 1;
            return None;
        }
        // Those behind an earlier one were delivered before this one, if they are still there.
        self.recorded.clear();
        let mut bytes = message.payload.len();
        let mut last = message.info().ok()?.stream_sequence;
        let mut together = Together {
            batch: first.clone(),
            followers: Vec::new(),
        };
        loop {
            let next = match storage.next_batch(lane, last).await {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(error) => {
                    debug!(lane, error, "cannot look at what is behind a batch");
                    break;
                }
            };
            last = next.sequence;
            bytes += next.payload.len();
            // What is no batch shows that when it is delivered.
            let Ok(batch) = decode(&next.payload) else {
                break;
            };
            let results = together.batch.sensor.len() + batch.sensor.len();
            if bytes > limits.bytes || results > limits.count || is_live(&batch) {
                break;
            }
            let id = batch.id.clone();
            if together.batch.append(batch).is_err() {
                break;
            }
            together.followers.push(id);
        }
        (together.count() > 1).then_some(together)
    }
}

/// A batch as it is stored.
pub(crate) fn decode(payload: &[u8]) -> Result<PollBatch, serde_json::Error> {
    serde_json::from_slice(payload).map(PollBatch::with_new_columns)
}
