//! Batches into the stream, one lane after its own order.
//!
//! A lane waits for each acknowledgement before it publishes the next batch: were two under way, a
//! failed first and a stored second would change places. With the acknowledgement after fsync that
//! is some hundred batches a second and lane, and a batch holds up to a thousand results.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use fieldledger_polling::{Receipt, Sealed, StoredAnswer, chain};
use fieldledger_wire::batch::PollBatch;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::backoff::pauses;
use crate::connection::Connections;
use crate::progress::Progress;
use crate::storage::Storage;

/// A receipt that the connection does not take within this time is not sent.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Spool {
    pub(crate) client: Client,
    pub(crate) storage: Storage,
    pub(crate) lane: u32,
    pub(crate) progress: Arc<Progress>,
    pub(crate) connections: Connections,
    /// Where it says which answers are stored, a batch at a time.
    pub(crate) stored: mpsc::UnboundedSender<Vec<StoredAnswer>>,
    /// Once cancelled, a batch that cannot be stored is given up.
    pub(crate) deadline: CancellationToken,
}

impl Spool {
    /// Stores batches until there will be no more, for as long as it takes.
    pub(crate) async fn run(self, mut batches: mpsc::UnboundedReceiver<Sealed>) {
        while let Some(Sealed { batch, receipts }) = batches.recv().await {
            if self.store(&batch).await {
                self.acknowledge(receipts).await;
            } else {
                error!(
                    lane = self.lane,
                    batch = batch.id,
                    results = batch.sensor.len(),
                    "results lost: JetStream could not be reached before the shutdown's deadline"
                );
            }
        }
    }

    /// Tells devices what is stored. One that does not hear it sends its readings again, and the log
    /// knows those it has.
    async fn acknowledge(&self, receipts: Vec<Receipt>) {
        let mut answers = Vec::new();
        for receipt in receipts {
            match receipt {
                Receipt::Answer(answer) => answers.push(answer),
                Receipt::History { subject, ack } => {
                    let payload = serde_json::to_vec(&ack).expect("a text and a number are JSON");
                    let publish = self.client.publish(subject.to_string(), payload.into());
                    let _ = tokio::time::timeout(RECEIPT_PATIENCE, publish).await;
                }
            }
        }
        if !answers.is_empty() {
            // At a stop nobody polls any more.
            let _ = self.stored.send(answers);
        }
    }

    async fn store(&self, batch: &PollBatch) -> bool {
        let payload = serde_json::to_vec(batch).expect("columns of texts and numbers are JSON");
        let payload = Bytes::from(payload);
        let mut pauses = pauses();
        loop {
            let connected = self.connections.next();
            let attempt = self
                .storage
                .store_batch(self.lane, &batch.id, payload.clone());
            let stored = tokio::select! {
                stored = attempt => stored,
                // The acknowledgement went with the connection. To wait out its time would keep what
                // comes after in memory for seconds, and lose it to a stop that comes in between.
                () = connected => continue,
                () = self.deadline.cancelled() => return false,
            };
            let Err(error) = stored else {
                self.progress.batch_stored(batch.sensor.len());
                return true;
            };
            let pause = pauses.pause();
            warn!(
                lane = self.lane,
                batch = batch.id,
                buffered = self.progress.buffered(),
                retry_ms = pause.as_millis(),
                error = chain(error.as_ref()),
                "batch not stored; it stays in memory"
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.deadline.cancelled() => return false,
            }
        }
    }
}
