//! Batches out of the stream: one lane hands them to the reader, one after the other.
//!
//! A batch is acknowledged after the reader has recorded it, so it may be delivered twice but never
//! lost; the ledger appends nothing twice. While the log is unavailable, or has ended, the lane waits: that
//! is not the batch's fault ([`crate::recording`]). A batch that fails while others pass goes
//! in parts ([`crate::apart`]); what cannot be recorded in any form is put aside as a dead letter.
//!
//! What waited for long goes with what is behind it ([`crate::backlog`]), and in its turn
//! ([`crate::pacing`]).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use backon::Retryable;
use bytes::Bytes;
use fieldledger_polling::{BatchLimits, chain};
use fieldledger_wire::batch::PollBatch;
use futures::StreamExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::apart::{self, Apart, Lost};
use crate::backlog::{Ahead, decode};
use crate::backoff::backoff;
use crate::connection::Connections;
use crate::dead_letters::DeadLetter;
use crate::pacing::{Pacing, is_live};
use crate::progress::Progress;
use crate::reader::{Ingested, Reader};
use crate::recording::{Patience, Recorder, Verdict};
use crate::storage::{Storage, StorageError};

/// While a batch is worked on, the server is told so this often. It would deliver it again after 10 s.
const PROGRESS_EVERY: Duration = Duration::from_secs(3);

/// An acknowledgement that cannot be sent is tried again this often, a second apart; after that the
/// batch is delivered once more, which does no harm but holds up its lane.
const ACKNOWLEDGEMENTS: u32 = 10;

/// How often the server shows that it is there while there is nothing to deliver.
const IDLE_HEARTBEAT: Duration = Duration::from_secs(5);

/// Pause before batches are asked for again, after the server could not be asked.
const FETCH_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long one request for batches stands.
const PULL_EXPIRES: Duration = Duration::from_secs(30);

/// What the deliveries of all lanes have in common.
pub(crate) struct Deliveries {
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) call_timeout: Duration,
    /// Of batches that go in one call.
    pub(crate) limits: BatchLimits,
    pub(crate) progress: Arc<Progress>,
    pub(crate) pacing: Arc<Pacing>,
}

impl Deliveries {
    /// For each lane of a stream the task that hands its batches to the reader, until told to stop.
    pub(crate) fn start(
        &self,
        storage: &Storage,
        lanes: u32,
        connections: &Connections,
        stop: &CancellationToken,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for lane in 0..lanes {
            let recorder = Recorder {
                lane,
                reader: Arc::clone(&self.reader),
                call_timeout: self.call_timeout,
                progress: Arc::clone(&self.progress),
                stop: stop.clone(),
            };
            let delivery = Delivery {
                storage: storage.clone(),
                recorder,
                limits: self.limits,
                pacing: Arc::clone(&self.pacing),
                connections: connections.clone(),
            };
            tasks.spawn(delivery.run());
        }
        tasks
    }
}

struct Delivery {
    storage: Storage,
    /// Hands the lane's batches to the reader. Once it is told to stop, the batch at hand is the last.
    recorder: Recorder,
    limits: BatchLimits,
    pacing: Arc<Pacing>,
    connections: Connections,
}

/// Why no more batches are taken.
enum End {
    Stopped,
    Reconnected,
}

impl Delivery {
    /// Delivers until told to stop.
    async fn run(self) {
        let mut afresh = true;
        let mut ahead = Ahead::default();
        while !self.stop().is_cancelled() {
            match self.consume(&mut afresh, &mut ahead).await {
                Ok(End::Stopped) => return,
                // The server waits for the acknowledgement of a batch that went with the connection:
                // ten seconds in which the lane would stand still.
                Ok(End::Reconnected) => afresh = true,
                Err(error) => {
                    let error = chain(error.as_ref());
                    warn!(
                        lane = self.lane(),
                        error, "batches cannot be fetched; trying again"
                    );
                    self.pause(FETCH_AGAIN_AFTER, None).await;
                }
            }
        }
    }

    async fn consume(&self, afresh: &mut bool, ahead: &mut Ahead) -> Result<End, StorageError> {
        let mut reconnected = std::pin::pin!(self.connections.next());
        let consumer = self.storage.consumer(self.lane(), *afresh).await?;
        *afresh = false;
        let mut messages = consumer
            .stream()
            .max_messages_per_batch(8)
            .heartbeat(IDLE_HEARTBEAT)
            .expires(PULL_EXPIRES)
            .messages()
            .await?;
        loop {
            let message = tokio::select! {
                () = self.stop().cancelled() => return Ok(End::Stopped),
                () = &mut reconnected => return Ok(End::Reconnected),
                message = messages.next() => message,
            };
            let message = message.ok_or("the stream of batches ended")??;
            self.deliver(&message, ahead).await?;
        }
    }

    async fn deliver(&self, message: &Message, ahead: &mut Ahead) -> Result<(), StorageError> {
        let batch = match decode(&message.payload) {
            Ok(batch) => batch,
            Err(error) => {
                let reason = format!("the stored message is no batch: {error}");
                let id = format!("undecodable-{}", sequence_of(message));
                return self.put_aside(message, &id, 0, &reason).await;
            }
        };
        if ahead.knows(&batch) {
            return self.acknowledge(message).await;
        }
        let caught_up = match is_live(&batch) || self.progress().log_end.has_ended() {
            true => None,
            false => self.catch_up(message, &batch, ahead).await,
        };
        let verdict = match caught_up {
            Some(verdict) => verdict,
            None => self.record(message, &batch).await,
        };
        match verdict {
            Verdict::Recorded(_) => self.acknowledge(message).await,
            Verdict::Hopeless { attempts, reason } => {
                self.take_apart(message, &batch, attempts, &reason).await
            }
            Verdict::Stopped => give_back(message).await,
        }
    }

    /// Records a batch in parts, and puts aside what cannot be recorded in any form.
    async fn take_apart(
        &self,
        message: &Message,
        batch: &PollBatch,
        attempts: u32,
        reason: &str,
    ) -> Result<(), StorageError> {
        let failure = (attempts, reason);
        let recorded = apart::record(&self.recorder, self.progress(), batch, failure);
        match with_progress(message, recorded).await {
            Apart::Whole => self.put_aside(message, &batch.id, attempts, reason).await,
            Apart::Stopped => give_back(message).await,
            Apart::Recorded { lost } => {
                for Lost {
                    part,
                    attempts,
                    reason,
                } in &lost
                {
                    let payload = Bytes::from(serde_json::to_vec(part)?);
                    let letter = DeadLetter {
                        id: &part.id,
                        reason,
                        attempts: *attempts,
                        subject: &message.subject,
                        sequence: sequence_of(message),
                        payload: &payload,
                    };
                    if !self.store_letter(message, letter).await? {
                        return give_back(message).await;
                    }
                }
                self.progress().batch_went_in_parts();
                self.acknowledge(message).await
            }
        }
    }

    /// Records a batch alone.
    async fn record(&self, message: &Message, batch: &PollBatch) -> Verdict {
        let verdict = with_progress(message, self.recorder.record(batch, Patience::WHOLE)).await;
        if let Verdict::Recorded(ingested) = verdict {
            self.note_recorded(batch, 1, ingested);
        }
        verdict
    }

    /// Waits for the turn of a batch of a backlog, and tries once to record it with those behind it. No
    /// verdict where it is to go alone.
    async fn catch_up(
        &self,
        message: &Message,
        batch: &PollBatch,
        ahead: &mut Ahead,
    ) -> Option<Verdict> {
        let gathered = ahead.gather((message, batch), (&self.storage, self.lane()), self.limits);
        let gathered = with_progress(message, gathered).await;
        let whole = gathered.as_ref().map_or(batch, |together| &together.batch);
        let turn = self.pacing.turn_of(whole);
        if !turn.is_zero() {
            self.pause(turn, Some(message)).await;
            if self.stop().is_cancelled() {
                return Some(Verdict::Stopped);
            }
        }
        let together = gathered?;
        match with_progress(message, self.recorder.call(&together.batch)).await {
            Ok(ingested) => {
                self.note_recorded(&together.batch, together.count(), ingested);
                ahead.recorded(together);
                Some(Verdict::Recorded(ingested))
            }
            Err(error) => {
                debug!(
                    batch = batch.id,
                    batches = together.count(),
                    %error,
                    "batches not recorded together; each goes alone"
                );
                ahead.failed(&together, &error);
                None
            }
        }
    }

    fn lane(&self) -> u32 {
        self.recorder.lane
    }

    fn progress(&self) -> &Progress {
        &self.recorder.progress
    }

    fn stop(&self) -> &CancellationToken {
        &self.recorder.stop
    }

    fn note_recorded(&self, batch: &PollBatch, count: usize, ingested: Ingested) {
        debug!(
            batch = batch.id,
            batches = count,
            appended = ingested.appended,
            duplicates = ingested.duplicates,
            "recorded"
        );
        self.progress().batches_delivered(count as u64, batch);
    }

    /// Moves a batch to the dead letters, for as long as it takes.
    async fn put_aside(
        &self,
        message: &Message,
        id: &str,
        attempts: u32,
        reason: &str,
    ) -> Result<(), StorageError> {
        let letter = DeadLetter {
            id,
            reason,
            attempts,
            subject: &message.subject,
            sequence: sequence_of(message),
            payload: &message.payload,
        };
        match self.store_letter(message, letter).await? {
            true => self.acknowledge(message).await,
            false => give_back(message).await,
        }
    }

    /// Stores a dead letter, for as long as it takes. False where we are asked to stop before.
    async fn store_letter(
        &self,
        message: &Message,
        letter: DeadLetter<'_>,
    ) -> Result<bool, StorageError> {
        let DeadLetter {
            id,
            reason,
            attempts,
            ..
        } = letter;
        error!(
            lane = self.lane(),
            batch = id,
            attempts,
            reason,
            "cannot be recorded in any form; it goes to the stream FIELDLEDGER_DEAD_LETTERS"
        );
        self.progress().set_last_error(reason);
        let stored = (|| self.storage.store_dead_letter(letter))
            .retry(backoff())
            .notify(|error, _pause| {
                let error = chain(error.as_ref());
                warn!(batch = id, error, "dead letter not stored; trying again");
            });
        tokio::select! {
            stored = with_progress(message, stored) => stored?,
            () = self.stop().cancelled() => return Ok(false),
        }
        self.progress().batch_dead_lettered();
        Ok(true)
    }

    /// Waits, but not beyond the request to stop, with a batch in hand or none.
    async fn pause(&self, pause: Duration, message: Option<&Message>) {
        let passed = async {
            let sleep = tokio::time::sleep(pause);
            match message {
                Some(message) => with_progress(message, sleep).await,
                None => sleep.await,
            }
        };
        tokio::select! {
            () = passed => {}
            () = self.stop().cancelled() => info!(lane = self.lane(), "delivery stops"),
        }
    }

    /// Acknowledges a batch and waits for the server to say that it has heard it.
    async fn acknowledge(&self, message: &Message) -> Result<(), StorageError> {
        let mut attempt = 1;
        loop {
            let Err(error) = message.double_ack().await else {
                return Ok(());
            };
            if attempt == ACKNOWLEDGEMENTS || self.stop().is_cancelled() {
                return Err(error);
            }
            attempt += 1;
            self.pause(Duration::from_secs(1), None).await;
        }
    }
}

/// Its number in the stream.
fn sequence_of(message: &Message) -> u64 {
    message.info().map_or(0, |info| info.stream_sequence)
}

/// Has the server deliver the batch again at once, to whoever comes next.
async fn give_back(message: &Message) -> Result<(), StorageError> {
    message.ack_with(AckKind::Nak(None)).await
}

/// Waits for `work`, telling the server meanwhile that the batch is being worked on.
async fn with_progress<T>(message: &Message, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PROGRESS_EVERY) => {
                // Should this be lost, the batch is delivered once more, which does no harm.
                let _ = message.ack_with(AckKind::Progress).await;
            }
        }
    }
}
