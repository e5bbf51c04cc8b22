//! The engine with a network: what arrives goes in, what comes out is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::StatusCode;
use async_nats::{Client, Message, connection::State};
use fieldledger_attest::identity::PublicKey;
use fieldledger_polling::config::Subscription;
use fieldledger_polling::{
    Action, Batcher, Counters, Engine, Keys, PollResult, Rejection, Sealed, StoredAnswer, chain,
};
use fieldledger_wire::poll::Poll;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered, SelectAll, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::clock::Clock;
use crate::progress::Progress;
use crate::questions::{Decision, EnrolFailure, Question};
use crate::sensor_store::{Change, Decided};

/// Messages taken in before what they led to is done: enough to spread the cost of a round, few
/// enough that polls do not wait.
const MESSAGES_PER_ROUND: usize = 256;

/// While polling pauses, the reason is looked at again this often.
const PAUSE_CHECK: Duration = Duration::from_millis(100);

/// Otherwise the loop turns at least this often; stopping relies on it.
const IDLE_CHECK: Duration = Duration::from_millis(500);

/// When stopping, polls under way are waited for this long; POLL_TIMEOUT_MS may be longer.
const DRAIN: Duration = Duration::from_secs(2);

/// A poll that the connection does not take within this time is left to its timeout.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(1);

/// Refused heartbeats are logged one by one no more often than this.
const REJECTION_LOG_EVERY: Duration = Duration::from_secs(1);

/// Why nobody is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// For a move to another server.
    Held,
    /// There is no connection.
    Unconnected,
    /// As many results as may be are in memory, not yet in the stream.
    BufferFull,
    /// As many bytes as may be are in the stream, not yet delivered.
    StreamFull,
}

/// A message, by the kind of subscription it came through.
enum Inbound {
    Heartbeat(Message),
    /// On the reply subject of a poll.
    Reply(Message),
    /// On a sensor's read, disconnect or history topic.
    Topic(Message),
}

/// A decision about a sensor's keys, once it is known whether it is stored.
struct StoredDecision {
    sensor: Uuid,
    keys: Keys,
    is_stored: bool,
    answer: oneshot::Sender<Result<PublicKey, EnrolFailure>>,
}

/// Where results go: sensors are divided among lanes, so that each keeps its order.
pub(crate) struct Lane {
    pub(crate) batcher: Batcher,
    pub(crate) batches: mpsc::UnboundedSender<Sealed>,
}

pub(crate) struct PollingLoop {
    client: Client,
    clock: Clock,
    engine: Engine,
    inbound: SelectAll<BoxStream<'static, Inbound>>,
    /// Reply subjects are `<inbox>.<number>`.
    inbox: String,
    /// Ends the subscription to a pattern.
    topic_subscriptions: HashMap<String, CancellationToken>,
    lanes: Vec<Lane>,
    records: mpsc::UnboundedSender<Change>,
    decisions: mpsc::UnboundedSender<Decided>,
    /// Decisions that are being stored.
    deciding: FuturesUnordered<BoxFuture<'static, StoredDecision>>,
    /// Answers that are stored by now.
    stored: mpsc::UnboundedReceiver<Vec<StoredAnswer>>,
    progress: Arc<Progress>,
    buffer_max: usize,
    is_paused: bool,
    rejections: RejectionLog,
}

/// What a [`PollingLoop`] is made of.
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) engine: Engine,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) records: mpsc::UnboundedSender<Change>,
    pub(crate) decisions: mpsc::UnboundedSender<Decided>,
    pub(crate) stored: mpsc::UnboundedReceiver<Vec<StoredAnswer>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) buffer_max: usize,
}

impl PollingLoop {
    /// Subscribes to heartbeats and reply subjects.
    pub(crate) async fn open(
        parts: Parts,
        heartbeats: &[Subscription],
    ) -> Result<Self, async_nats::SubscribeError> {
        let Parts {
            client,
            clock,
            engine,
            lanes,
            records,
            decisions,
            stored,
            progress,
            buffer_max,
        } = parts;
        let inbox = client.new_inbox();
        let mut inbound = SelectAll::new();
        let replies = client.subscribe(format!("{inbox}.*")).await?;
        inbound.push(replies.map(Inbound::Reply).boxed());
        for Subscription { subject, queue } in heartbeats {
            let messages = match queue {
                Some(queue) => {
                    client
                        .queue_subscribe(subject.clone(), queue.clone())
                        .await?
                }
                None => client.subscribe(subject.clone()).await?,
            };
            inbound.push(messages.map(Inbound::Heartbeat).boxed());
        }
        Ok(Self {
            client,
            clock,
            engine,
            inbound,
            inbox,
            topic_subscriptions: HashMap::new(),
            lanes,
            records,
            decisions,
            deciding: FuturesUnordered::new(),
            stored,
            progress,
            buffer_max,
            is_paused: false,
            rejections: RejectionLog::default(),
        })
    }

    /// Polls until told to stop, then until the polls under way have ended, or [`DRAIN`] has passed.
    /// What was counted.
    pub(crate) async fn run(
        mut self,
        questions: &mut mpsc::Receiver<Question>,
        stop: CancellationToken,
    ) -> Counters {
        let mut drained_by: Option<Instant> = None;
        loop {
            self.follow_up().await;
            if let Some(deadline) = drained_by {
                if Instant::now() >= deadline {
                    self.engine.abandon(self.clock.now());
                    self.follow_up().await;
                }
                if self.engine.outstanding() == 0 {
                    break;
                }
            }
            let wake = self.next_wake();
            tokio::select! {
                Some(inbound) = self.inbound.next() => self.take_in_round(inbound),
                Some(question) = questions.recv() => self.answer(question),
                Some(decision) = self.deciding.next() => self.decided(decision),
                Some(answers) = self.stored.recv() => {
                    for answer in answers {
                        self.engine.answer_stored(answer);
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => {}
                () = self.progress.stored_some.notified(), if self.is_paused => {}
                () = stop.cancelled(), if drained_by.is_none() => {
                    drained_by = Some(Instant::now() + DRAIN);
                    self.engine.drain();
                }
            }
        }
        for lane in &mut self.lanes {
            hand_over(&lane.batches, lane.batcher.take_all());
        }
        self.engine.counters().clone()
    }

    /// Lets time pass and does what is to be done.
    async fn follow_up(&mut self) {
        let now = self.clock.now();
        let pause = self.reason_to_pause();
        let (is_paused, is_held) = (pause.is_some(), pause == Some(Pause::Held));
        if is_paused != self.is_paused {
            self.is_paused = is_paused;
            self.engine.set_paused(is_paused, now);
            match pause {
                Some(pause) => self.log(pause),
                None => info!("polling goes on"),
            }
        }
        self.engine.tick(now);
        self.progress
            .stands_still(is_held && self.engine.outstanding() == 0);
        for action in self.engine.take_actions() {
            self.perform(action).await;
        }
        let now = self.clock.now().steady;
        for lane in &mut self.lanes {
            hand_over(&lane.batches, lane.batcher.take_ready(now));
        }
    }

    fn reason_to_pause(&self) -> Option<Pause> {
        // Half empty before it goes on, lest it stop and go with every batch.
        let room_for = match self.is_paused {
            true => self.buffer_max / 2,
            false => self.buffer_max,
        };
        if self.progress.is_held() {
            Some(Pause::Held)
        } else if self.client.connection_state() != State::Connected {
            Some(Pause::Unconnected)
        } else if self.progress.buffered() >= room_for {
            Some(Pause::BufferFull)
        } else if self.progress.room.is_used_up(self.is_paused) {
            Some(Pause::StreamFull)
        } else {
            None
        }
    }

    fn log(&self, pause: Pause) {
        let buffered = self.progress.buffered();
        match pause {
            Pause::Held => info!("polling stands still for a move to another server"),
            Pause::Unconnected => warn!(buffered, "polling pauses: NATS is unreachable"),
            Pause::BufferFull => warn!(buffered, "polling pauses: results cannot be stored"),
            Pause::StreamFull => warn!(
                stored_bytes = self.progress.room.stored_bytes(),
                stored_bytes_max = self.progress.room.stored_bytes_max(),
                "polling pauses: so much waits in the stream that no more may be stored"
            ),
        }
    }

    fn next_wake(&self) -> Instant {
        let batches = self
            .lanes
            .iter()
            .filter_map(|lane| lane.batcher.next_wake());
        let next = batches.chain(self.engine.next_wake()).min();
        let idle = Instant::now()
            + if self.is_paused {
                PAUSE_CHECK
            } else {
                IDLE_CHECK
            };
        next.map_or(idle, |steady| self.clock.instant_of(steady).min(idle))
    }

    /// Takes in this message and those that are already there.
    fn take_in_round(&mut self, first: Inbound) {
        self.take_in(first);
        for _ in 1..MESSAGES_PER_ROUND {
            let Some(Some(inbound)) = self.inbound.next().now_or_never() else {
                return;
            };
            self.take_in(inbound);
        }
    }

    fn take_in(&mut self, inbound: Inbound) {
        let now = self.clock.now();
        match inbound {
            Inbound::Heartbeat(message) => {
                let (subject, payload) = (&message.subject, &message.payload);
                if let Err(rejection) = self.engine.heartbeat(subject, payload, now) {
                    self.rejections.note(&message.subject, &rejection);
                }
            }
            // The server itself answers where nobody listens. That is no device's answer, and a
            // device that is about to subscribe again may still come: the poll ends in its time.
            Inbound::Reply(message) if message.status == Some(StatusCode::NO_RESPONDERS) => {}
            Inbound::Reply(message) => {
                let number = message.subject.strip_prefix(self.inbox.as_str());
                let number = number.and_then(|rest| rest.strip_prefix('.')?.parse().ok());
                // Zero is the number of no poll.
                self.engine
                    .reply(number.unwrap_or(0), &message.payload, now);
            }
            Inbound::Topic(message) => {
                self.engine.message(&message.subject, &message.payload, now);
            }
        }
    }

    fn answer(&mut self, question: Question) {
        // Whoever asked may have given up meanwhile, hence the results that are dropped.
        match question {
            Question::Status(answer) => {
                let _ = answer.send((self.engine.counters().clone(), self.engine.liveness()));
            }
            Question::Memory(answer) => {
                let _ = answer.send(self.engine.memory());
            }
            Question::Sensors {
                offset,
                limit,
                answer,
            } => {
                let _ = answer.send(self.engine.sensors(offset, limit));
            }
            Question::Sensor { id, answer } => {
                let _ = answer.send(self.engine.sensor(id));
            }
            Question::Refusals {
                sensor,
                limit,
                answer,
            } => {
                let _ = answer.send(self.engine.refusals(sensor, limit));
            }
            Question::Decide {
                sensor,
                decision,
                answer,
            } => self.decide(sensor, &decision, answer),
        }
    }

    /// Stores what is decided; it counts from then on.
    fn decide(
        &mut self,
        sensor: Uuid,
        decision: &Decision,
        answer: oneshot::Sender<Result<PublicKey, EnrolFailure>>,
    ) {
        let keys = match decision {
            Decision::Approve(fingerprint) => self.engine.approve(sensor, fingerprint),
            Decision::Retire => self.engine.retire(sensor),
        };
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => {
                let _ = answer.send(Err(EnrolFailure::Refused(error)));
                return;
            }
        };
        let (sender, stored) = oneshot::channel();
        // The store's task outlives this one.
        let _ = self.decisions.send((sensor, keys.clone(), sender));
        let stored = stored.map(move |stored| StoredDecision {
            sensor,
            keys,
            is_stored: stored.unwrap_or(false),
            answer,
        });
        self.deciding.push(stored.boxed());
    }

    fn decided(&mut self, decision: StoredDecision) {
        let StoredDecision {
            sensor,
            keys,
            is_stored,
            answer,
        } = decision;
        let key = keys.approved.or(keys.retired).filter(|_| is_stored);
        if is_stored {
            info!(
                %sensor,
                approved = keys.approved.map(|key| key.fingerprint().to_string()),
                retired = keys.retired.map(|key| key.fingerprint().to_string()),
                "the sensor's keys are decided"
            );
            self.engine.decide(sensor, keys);
        }
        let _ = answer.send(key.ok_or(EnrolFailure::NotStored));
    }

    async fn perform(&mut self, action: Action) {
        match action {
            Action::Poll { subject, poll } => self.poll(subject, &poll).await,
            Action::Subscribe { pattern } => self.subscribe(pattern).await,
            Action::Unsubscribe { pattern } => {
                if let Some(subscription) = self.topic_subscriptions.remove(&pattern) {
                    subscription.cancel();
                }
            }
            Action::Save { sensor, record } => self.change_record(sensor, Some(record)),
            Action::Delete { sensor } => self.change_record(sensor, None),
            Action::Result(result) => self.batch(result),
            Action::FarewellRefuted { sensor } => {
                info!(%sensor, "the sensor answers although a farewell came in its name; it stays");
            }
        }
    }

    async fn poll(&mut self, subject: String, poll: &Poll) {
        let reply = format!("{}.{}", self.inbox, poll.poll);
        let payload = poll.payload().into();
        let publish = self.client.publish_with_reply(subject, reply, payload);
        // What fails here is a connection that is being lost: the poll then ends by its timeout.
        let _ = tokio::time::timeout(PUBLISH_PATIENCE, publish).await;
    }

    async fn subscribe(&mut self, pattern: String) {
        match self.client.subscribe(pattern.clone()).await {
            Ok(messages) => {
                let subscription = CancellationToken::new();
                let until = subscription.clone().cancelled_owned();
                let messages = messages.map(Inbound::Topic).take_until(until);
                self.inbound.push(messages.boxed());
                self.topic_subscriptions.insert(pattern, subscription);
            }
            // Only a closed client or an invalid subject would do that; both are faults of ours.
            Err(error) => error!(pattern, %error, "cannot subscribe; answers there stay unheard"),
        }
    }

    fn change_record(&self, sensor: Uuid, record: Option<Vec<u8>>) {
        // The store's task outlives this one.
        let _ = self.records.send((sensor, record));
    }

    fn batch(&mut self, result: PollResult) {
        self.progress.result_buffered();
        let index = lane_of(result.sensor, self.lanes.len());
        let steady_now = self.clock.now().steady;
        self.lanes[index].batcher.add(result, steady_now);
    }
}

/// The lane of a sensor. Its id is a hash already, or else chosen by someone who may be counting
/// upwards; the sum of its bytes divides both evenly.
fn lane_of(sensor: Uuid, lanes: usize) -> usize {
    let sum: usize = sensor
        .as_bytes()
        .iter()
        .map(|byte| usize::from(*byte))
        .sum();
    sum % lanes
}

fn hand_over(lane: &mpsc::UnboundedSender<Sealed>, batches: Vec<Sealed>) {
    for batch in batches {
        if let Err(unsent) = lane.send(batch) {
            let results = unsent.0.batch.sensor.len();
            error!(results, "results lost: the task that stores them has ended");
        }
    }
}

/// Writes of refused heartbeats, but not of every single one of a flood.
#[derive(Debug, Default)]
struct RejectionLog {
    last: Option<Instant>,
    unwritten: u64,
}

impl RejectionLog {
    fn note(&mut self, subject: &str, rejection: &Rejection) {
        if self
            .last
            .is_some_and(|last| last.elapsed() < REJECTION_LOG_EVERY)
        {
            self.unwritten += 1;
            return;
        }
        warn!(
            subject,
            sensor = rejection.sensor().map(|sensor| sensor.to_string()),
            reason = chain(rejection),
            others_since_last = self.unwritten,
            "heartbeat refused"
        );
        self.last = Some(Instant::now());
        self.unwritten = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensors_spread_evenly_over_lanes() {
        for lanes in [1, 2, 3, 8] {
            let mut counts = vec![0_u32; lanes];
            for n in 0..4_000_u128 {
                counts[lane_of(Uuid::from_u128(n), lanes)] += 1;
            }
            let most = counts.iter().max().copied().unwrap_or_default();
            let least = counts.iter().min().copied().unwrap_or_default();
            assert!(most < least + least / 4, "{counts:?}");
        }
    }
}
