//! One link: a connection, an engine, and the way of its results to the reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use fieldledger_attest::identity::PublicKey;
use fieldledger_polling::{
    Batcher, Config, Counters, Engine, EnrolError, Keys, LivenessCounts, RestoreError, SensorState,
    chain,
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::clock::{Clock, wall_now};
use crate::connection::{Connections, connect};
use crate::delivery::Delivery;
use crate::field::{Decision, Field, Lane, Parts, Question};
use crate::progress::{DeliveryStatus, Progress};
use crate::ranking::Ranking;
use crate::reader::Reader;
use crate::sensor_store;
use crate::spool::Spool;
use crate::storage::{Storage, StorageError};

/// How long [`Instance::stop`] takes at most. wasmCloud's host grants a provider ten seconds.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How long a question for the status waits for JetStream. The lattice gives up after two seconds.
const PENDING_PATIENCE: Duration = Duration::from_millis(500);

/// Questions waiting for the engine.
const QUESTIONS: usize = 64;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AskError {
    /// The connection or JetStream is not there yet.
    #[error("polling has not started: {0}")]
    Starting(String),
    /// It has stopped.
    #[error("polling has stopped")]
    Stopped,
}

/// Why a sensor's key is not approved or retired.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnrolFailure {
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] EnrolError),
    /// Nobody can be asked now.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// JetStream did not store it.
    #[error("the decision could not be stored; nothing has changed")]
    NotStored,
}

/// What an instance has done since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    /// Names this run; with a poll's number it names the poll for ever.
    pub epoch: String,
    /// When it started, microseconds since the Unix epoch.
    pub started_at: u64,
    /// What the engine has counted.
    pub counters: Counters,
    /// Sensors by liveness.
    pub liveness: LivenessCounts,
    /// How far results have come.
    pub delivery: DeliveryStatus,
    /// Batches in the stream not yet delivered.
    pub batches_pending: u64,
}

/// A running instance. Dropping it without [`Instance::stop`] ends it at once.
#[derive(Debug)]
pub struct Instance {
    epoch: String,
    started_at: u64,
    questions: mpsc::Sender<Question>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    /// Ends all tasks when dropped.
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    progress: Arc<Progress>,
    storage: tokio::sync::OnceCell<Storage>,
    /// The answer when JetStream was last asked.
    pending: AtomicU64,
    /// Why it has not started yet.
    obstacle: std::sync::Mutex<String>,
}

impl Instance {
    /// Starts polling in the background. A server that cannot be reached is tried again and again.
    #[must_use]
    pub fn start(config: Config, reader: Arc<dyn Reader>) -> Self {
        let run = Uuid::new_v4();
        let epoch = run.simple().to_string();
        let (asker, questions) = mpsc::channel(QUESTIONS);
        let shared = Arc::new(Shared {
            progress: Arc::default(),
            storage: tokio::sync::OnceCell::new(),
            pending: AtomicU64::new(0),
            obstacle: std::sync::Mutex::new("connecting".to_owned()),
        });
        let stop = CancellationToken::new();
        let start = Start {
            config,
            reader,
            epoch: epoch.clone(),
            // The lower half of a random UUID, of which 62 bits are random.
            seed: run.as_u64_pair().1,
            shared: Arc::clone(&shared),
            connections: Connections::new(),
            stop: stop.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(start.run(questions));
        Self {
            epoch,
            started_at: wall_now(),
            questions: asker,
            shared,
            stop,
            tasks,
        }
    }

    /// Stops: no more polls, those under way end, their results reach the stream and, if the reader
    /// takes them without delay, the reader. What is left in the stream waits for the next start.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, ended).await.is_err() {
            let results_in_memory = self.shared.progress.buffered();
            error!(
                results_in_memory,
                "polling did not end within five seconds and is cut off"
            );
        }
    }

    /// What it has done. Counters of the engine are zero until it has started.
    pub async fn status(&self) -> Status {
        let asked = self.ask(Question::Status).await;
        let (counters, liveness) = asked.unwrap_or_default();
        let batches_pending = self.shared.pending().await;
        Status {
            epoch: self.epoch.clone(),
            started_at: self.started_at,
            counters,
            liveness,
            delivery: self.shared.progress.status(),
            batches_pending,
        }
    }

    /// Sensors in order of alias, then id: `limit` of them from `offset` on.
    ///
    /// # Errors
    ///
    /// Says that it has not started, or has stopped.
    pub async fn sensors(&self, offset: usize, limit: usize) -> Result<Vec<SensorState>, AskError> {
        self.ask(|answer| Question::Sensors {
            offset,
            limit,
            answer,
        })
        .await
    }

    /// One sensor.
    ///
    /// # Errors
    ///
    /// Says that it has not started, or has stopped.
    pub async fn sensor(&self, id: Uuid) -> Result<Option<SensorState>, AskError> {
        self.ask(|answer| Question::Sensor { id, answer }).await
    }

    /// Approves or retires a sensor's key; the key, once that is durable.
    ///
    /// # Errors
    ///
    /// Says why nothing has changed.
    pub(crate) async fn decide(
        &self,
        sensor: Uuid,
        decision: Decision,
    ) -> Result<PublicKey, EnrolFailure> {
        self.ask(|answer| Question::Decide {
            sensor,
            decision,
            answer,
        })
        .await?
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, AskError> {
        if self.shared.storage.get().is_none() {
            return Err(AskError::Starting(self.shared.obstacle()));
        }
        let (sender, answer) = oneshot::channel();
        let asked = self.questions.send(question(sender)).await;
        asked.map_err(|_| AskError::Stopped)?;
        answer.await.map_err(|_| AskError::Stopped)
    }
}

impl Shared {
    /// Batches in the stream; as of before, where JetStream does not say so at once.
    async fn pending(&self) -> u64 {
        if let Some(storage) = self.storage.get()
            && let Ok(Ok(pending)) = tokio::time::timeout(PENDING_PATIENCE, storage.pending()).await
        {
            self.pending.store(pending, Relaxed);
        }
        self.pending.load(Relaxed)
    }

    fn obstacle(&self) -> String {
        self.obstacle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn set_obstacle(&self, text: String) {
        *self
            .obstacle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = text;
    }
}

/// Everything an instance is started with.
struct Start {
    config: Config,
    reader: Arc<dyn Reader>,
    epoch: String,
    seed: u64,
    shared: Arc<Shared>,
    connections: Connections,
    stop: CancellationToken,
}

impl Start {
    async fn run(self, questions: mpsc::Receiver<Question>) {
        let reached = tokio::select! {
            reached = self.reach() => reached,
            () = self.stop.cancelled() => return,
        };
        let Reached {
            client,
            storage,
            lanes,
            sensors,
            keys,
        } = reached;
        let clock = Clock::start();
        let engine = self.engine(&storage, sensors, keys, clock).await;
        let (records, record_changes) = mpsc::unbounded_channel();
        let mut store = JoinSet::new();
        store.spawn(sensor_store::run(storage.clone(), record_changes));
        let (decisions, decided) = mpsc::unbounded_channel();
        store.spawn(sensor_store::run_decisions(storage.clone(), decided));
        let spool_deadline = CancellationToken::new();
        let (field_lanes, mut spools) = self.spools(&client, &storage, &spool_deadline);
        let end_of_delivery = CancellationToken::new();
        let mut deliveries = self.deliveries(&storage, lanes, &end_of_delivery);
        let ranking = Ranking {
            connection: self.config.connection.clone(),
            client: client.clone(),
            connections: self.connections.clone(),
            storage: storage.clone(),
            lanes: self.config.lanes,
            reader: Arc::clone(&self.reader),
            call_timeout: Duration::from_millis(self.config.call_timeout_ms),
            progress: Arc::clone(&self.shared.progress),
        };
        // Ends with the field: a move in the middle of a stop would hold that up.
        let mut looking_around = JoinSet::new();
        looking_around.spawn(ranking.run());
        let parts = Parts {
            client,
            clock,
            engine,
            lanes: field_lanes,
            records,
            decisions,
            progress: Arc::clone(&self.shared.progress),
            buffer_max: self.config.buffer_max,
        };
        match Field::open(parts, &self.config.subscriptions).await {
            Ok(field) => {
                // From here on questions have answers.
                let _ = self.shared.storage.set(storage.clone());
                info!(
                    epoch = self.epoch,
                    instance = self.config.instance,
                    "polling"
                );
                field.run(questions, self.stop.clone()).await;
            }
            Err(error) => error!(%error, "cannot subscribe to heartbeats; nothing is polled"),
        }
        looking_around.shutdown().await;
        // What follows, and the polls under way before, add up to less than STOP_WITHIN.
        if !ended_within(Duration::from_millis(1_000), &mut spools).await {
            spool_deadline.cancel();
            ended_within(Duration::from_millis(100), &mut spools).await;
        }
        let all_delivered = nothing_pending(&storage);
        let _ = tokio::time::timeout(Duration::from_millis(1_000), all_delivered).await;
        end_of_delivery.cancel();
        ended_within(Duration::from_millis(500), &mut deliveries).await;
        ended_within(Duration::from_millis(200), &mut store).await;
        info!(
            epoch = self.epoch,
            instance = self.config.instance,
            "polling has ended"
        );
    }

    /// For each lane a batcher, and the task that stores its batches.
    fn spools(
        &self,
        client: &Client,
        storage: &Storage,
        deadline: &CancellationToken,
    ) -> (Vec<Lane>, JoinSet<()>) {
        let mut lanes = Vec::new();
        let mut tasks = JoinSet::new();
        for lane in 0..self.config.lanes {
            let (batches, waiting) = mpsc::unbounded_channel();
            let batcher = Batcher::new(self.config.batch, &self.epoch, &lane.to_string());
            lanes.push(Lane { batcher, batches });
            let spool = Spool {
                client: client.clone(),
                storage: storage.clone(),
                lane,
                progress: Arc::clone(&self.shared.progress),
                connections: self.connections.clone(),
                deadline: deadline.clone(),
            };
            tasks.spawn(spool.run(waiting));
        }
        (lanes, tasks)
    }

    /// For each lane the task that hands its batches to the reader.
    fn deliveries(&self, storage: &Storage, lanes: u32, stop: &CancellationToken) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for lane in 0..lanes {
            let delivery = Delivery {
                storage: storage.clone(),
                lane,
                reader: Arc::clone(&self.reader),
                call_timeout: Duration::from_millis(self.config.call_timeout_ms),
                progress: Arc::clone(&self.shared.progress),
                connections: self.connections.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(delivery.run());
        }
        tasks
    }

    /// Connects, prepares the streams and reads back the sensors, however long it takes.
    async fn reach(&self) -> Reached {
        let mut backoff = Backoff::new();
        loop {
            let error = match self.reach_once().await {
                Ok(reached) => return reached,
                Err(error) => chain(error.as_ref()),
            };
            let pause = backoff.pause();
            warn!(
                error,
                retry_ms = pause.as_millis(),
                "polling cannot start yet; trying again"
            );
            self.shared.set_obstacle(error);
            tokio::time::sleep(pause).await;
        }
    }

    async fn reach_once(&self) -> Result<Reached, StorageError> {
        let client = connect(&self.config.connection, &self.connections).await?;
        let max_payload = client.server_info().max_payload;
        if self.config.batch.bytes > max_payload {
            let bytes = self.config.batch.bytes;
            return Err(format!(
                "setting BATCH_BYTES is {bytes}, but this NATS server takes at most {max_payload} bytes"
            )
            .into());
        }
        let storage = Storage::open(
            &client,
            &self.config.instance,
            self.config.connection.replicas,
        )
        .await?;
        let lanes = storage.all_lanes(self.config.lanes).await?;
        let sensors = storage.load_sensors().await?;
        let keys = storage.load_keys().await?;
        Ok(Reached {
            client,
            storage,
            lanes,
            sensors,
            keys,
        })
    }

    /// An engine that knows the sensors of earlier runs.
    async fn engine(
        &self,
        storage: &Storage,
        sensors: Vec<(String, Bytes)>,
        keys: Vec<(Uuid, Keys)>,
        clock: Clock,
    ) -> Engine {
        let now = clock.now();
        let mut engine = Engine::new(self.config.engine.clone(), self.seed, now);
        for (sensor, keys) in keys {
            engine.restore_keys(sensor, keys);
        }
        for (key, record) in sensors {
            if let Err(error) = engine.restore(&record, now) {
                discard(storage, &key, &error).await;
            }
        }
        engine
    }
}

/// What there has to be before polling starts.
struct Reached {
    client: Client,
    storage: Storage,
    /// Lanes to deliver from: those configured, and any that earlier runs had beside them.
    lanes: u32,
    /// Keys and records of known sensors.
    sensors: Vec<(String, Bytes)>,
    /// Keys of sensors that were approved or retired.
    keys: Vec<(Uuid, Keys)>,
}

/// Waits for tasks, and says whether they ended in time.
async fn ended_within(limit: Duration, tasks: &mut JoinSet<()>) -> bool {
    let ended = async { while tasks.join_next().await.is_some() {} };
    tokio::time::timeout(limit, ended).await.is_ok()
}

/// Returns once every batch is delivered, or nothing can be learnt about that.
async fn nothing_pending(storage: &Storage) {
    while storage.pending().await.is_ok_and(|pending| pending > 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Deletes a stored record that is of no use any more. The sensor registers again with its next
/// heartbeat, should there be one.
async fn discard(storage: &Storage, key: &str, error: &RestoreError) {
    warn!(
        sensor = key,
        reason = chain(error),
        "stored sensor is not taken over"
    );
    let Ok(id) = Uuid::parse_str(key) else {
        return;
    };
    if let Err(error) = storage.delete_sensor(id).await {
        warn!(
            sensor = key,
            error = chain(error.as_ref()),
            "record not deleted"
        );
    }
}
