//! One link: a connection, an engine, and the way of its results to the reader.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use fieldledger_attest::identity::PublicKey;
use fieldledger_polling::brokers::Ordered;
use fieldledger_polling::config::Connection;
use fieldledger_polling::{
    Batcher, Config, Counters, Engine, EnrolError, Keys, LivenessCounts, RestoreError, SensorState,
    StoredAnswer, chain,
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::clock::{Clock, wall_now};
use crate::connection::{Connections, connect, takes};
use crate::delivery::Delivery;
use crate::field::{Decision, Field, Lane, Parts, Question};
use crate::orders::Orders;
use crate::pacing::Pacing;
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

/// How many lists of servers lead on to a newer one. Each takes a connection.
const LISTS_MAX: usize = 8;

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
    /// Names the present run.
    epoch: std::sync::Mutex<String>,
    /// There while polling is.
    storage: std::sync::Mutex<Option<Storage>>,
    /// The answer when JetStream was last asked.
    pending: AtomicU64,
    /// Why it has not started yet.
    obstacle: std::sync::Mutex<String>,
}

impl Instance {
    /// Starts polling in the background. A server that cannot be reached is tried again and again.
    #[must_use]
    pub fn start(config: Config, reader: Arc<dyn Reader>) -> Self {
        let (asker, questions) = mpsc::channel(QUESTIONS);
        let shared = Arc::new(Shared {
            progress: Arc::default(),
            epoch: std::sync::Mutex::default(),
            storage: std::sync::Mutex::default(),
            pending: AtomicU64::new(0),
            obstacle: std::sync::Mutex::new("connecting".to_owned()),
        });
        let stop = CancellationToken::new();
        let start = Start::new(config, reader, &shared, &asker, &stop);
        let mut tasks = JoinSet::new();
        tasks.spawn(start.run_all(questions));
        Self {
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
            epoch: self.shared.epoch(),
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
        if self.shared.storage().is_none() {
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
        if let Some(storage) = self.storage()
            && let Ok(Ok(pending)) = tokio::time::timeout(PENDING_PATIENCE, storage.pending()).await
        {
            self.pending.store(pending, Relaxed);
        }
        self.pending.load(Relaxed)
    }

    fn epoch(&self) -> String {
        let epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        epoch.clone()
    }

    fn set_epoch(&self, name: &str) {
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone_into(&mut epoch);
    }

    fn storage(&self) -> Option<Storage> {
        let storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        storage.clone()
    }

    fn set_storage(&self, present: Option<Storage>) {
        let mut storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        *storage = present;
    }

    fn obstacle(&self) -> String {
        let obstacle = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner);
        obstacle.clone()
    }

    fn set_obstacle(&self, text: String) {
        let mut obstacle = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner);
        *obstacle = text;
    }
}

/// Everything a run is started with. One follows the other where an operator sends other servers.
struct Start {
    config: Config,
    reader: Arc<dyn Reader>,
    epoch: String,
    seed: u64,
    shared: Arc<Shared>,
    /// The list of servers that counts, as far as it is known.
    ordered: Ordered,
    /// What earlier runs have counted.
    counters: Counters,
    connections: Connections,
    asker: mpsc::Sender<Question>,
    stop: CancellationToken,
}

impl Start {
    fn new(
        config: Config,
        reader: Arc<dyn Reader>,
        shared: &Arc<Shared>,
        asker: &mpsc::Sender<Question>,
        stop: &CancellationToken,
    ) -> Self {
        let (epoch, seed) = name_of_run();
        shared.set_epoch(&epoch);
        Self {
            config,
            reader,
            epoch,
            seed,
            shared: Arc::clone(shared),
            ordered: Ordered::default(),
            counters: Counters::default(),
            connections: Connections::new(),
            asker: asker.clone(),
            stop: stop.clone(),
        }
    }

    /// One run after the other, each with the servers that were sent during the one before.
    async fn run_all(mut self, mut questions: mpsc::Receiver<Question>) {
        while let Some((ordered, counters)) = self.run(&mut questions).await {
            (self.ordered, self.counters) = (ordered, counters);
            (self.epoch, self.seed) = name_of_run();
            self.shared
                .set_obstacle("moving to other servers".to_owned());
            self.shared.set_epoch(&self.epoch);
            self.shared.progress.begin();
        }
    }

    /// Polls until told to stop, or sent to other servers.
    async fn run(&self, questions: &mut mpsc::Receiver<Question>) -> Option<(Ordered, Counters)> {
        let reached = tokio::select! {
            reached = self.reach() => reached,
            () = self.stop.cancelled() => return None,
        };
        let Reached {
            connection,
            ordered,
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
        let (tell_stored, stored) = mpsc::unbounded_channel();
        let (field_lanes, mut spools) =
            self.spools(&client, &storage, &tell_stored, &spool_deadline);
        let end_of_delivery = CancellationToken::new();
        let progress = Arc::clone(&self.shared.progress);
        let pacing = Arc::new(Pacing::new(self.config.drain_per_s, progress));
        let mut deliveries = self.deliveries(&storage, lanes, &pacing, &end_of_delivery);
        let ranking = Ranking {
            connection,
            client: client.clone(),
            connections: self.connections.clone(),
            storage: storage.clone(),
            lanes: self.config.lanes,
            reader: Arc::clone(&self.reader),
            call_timeout: Duration::from_millis(self.config.call_timeout_ms),
            limits: self.config.batch,
            progress: Arc::clone(&self.shared.progress),
            questions: self.asker.clone(),
            pacing,
        };
        let orders = Orders {
            link: self.config.connection.clone(),
            present: ordered,
            instance: self.config.instance.clone(),
            batch_bytes: self.config.batch.bytes,
            client: client.clone(),
            storage: storage.clone(),
            progress: Arc::clone(&self.shared.progress),
            questions: self.asker.clone(),
        };
        let next = Arc::new(OnceLock::new());
        let end_of_run = self.stop.child_token();
        // Ends with the field: a move in the middle of a stop would hold that up.
        let mut looking_around = JoinSet::new();
        looking_around.spawn(ranking.run());
        looking_around.spawn({
            let (next, end_of_run) = (Arc::clone(&next), end_of_run.clone());
            async move {
                let _ = next.set(orders.next().await);
                end_of_run.cancel();
            }
        });
        let parts = Parts {
            client,
            clock,
            engine,
            lanes: field_lanes,
            records,
            decisions,
            stored,
            progress: Arc::clone(&self.shared.progress),
            buffer_max: self.config.buffer_max,
        };
        let mut counters = Counters::default();
        match Field::open(parts, &self.config.subscriptions).await {
            Ok(field) => {
                // From here on questions have answers.
                self.shared.set_storage(Some(storage.clone()));
                info!(
                    epoch = self.epoch,
                    instance = self.config.instance,
                    "polling"
                );
                counters = field.run(questions, end_of_run).await;
                if next.get().is_some() {
                    self.shared.set_storage(None);
                }
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
        let next = next.get().filter(|_| !self.stop.is_cancelled());
        Some((next?.clone(), counters))
    }

    /// For each lane a batcher, and the task that stores its batches.
    fn spools(
        &self,
        client: &Client,
        storage: &Storage,
        stored: &mpsc::UnboundedSender<Vec<StoredAnswer>>,
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
                stored: stored.clone(),
                deadline: deadline.clone(),
            };
            tasks.spawn(spool.run(waiting));
        }
        (lanes, tasks)
    }

    /// For each lane the task that hands its batches to the reader.
    fn deliveries(
        &self,
        storage: &Storage,
        lanes: u32,
        pacing: &Arc<Pacing>,
        stop: &CancellationToken,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for lane in 0..lanes {
            let delivery = Delivery {
                storage: storage.clone(),
                lane,
                reader: Arc::clone(&self.reader),
                call_timeout: Duration::from_millis(self.config.call_timeout_ms),
                limits: self.config.batch,
                progress: Arc::clone(&self.shared.progress),
                pacing: Arc::clone(pacing),
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
        let (connection, ordered, client, storage) = self.follow().await?;
        let lanes = storage.all_lanes(self.config.lanes).await?;
        let sensors = storage.load_sensors().await?;
        let keys = storage.load_keys().await?;
        Ok(Reached {
            connection,
            ordered,
            client,
            storage,
            lanes,
            sensors,
            keys,
        })
    }

    /// Goes where the link's settings say, and on to where a list of an operator's leads that is kept
    /// there.
    async fn follow(&self) -> Result<(Connection, Ordered, Client, Storage), StorageError> {
        let link = &self.config.connection;
        let shown = link.without_passwords();
        let mut ordered = self.ordered.clone();
        for _ in 0..LISTS_MAX {
            let servers = ordered.servers(&shown).unwrap_or(&link.servers);
            let connection = link.at(servers);
            let (client, storage) = self.open(&connection).await?;
            let kept = storage.load_order().await?;
            let Some(newer) = kept.filter(|kept| kept.version > ordered.version) else {
                return Ok((connection, ordered, client, storage));
            };
            let servers = newer.servers(&shown).unwrap_or(&link.servers);
            let is_there = servers == connection.servers;
            ordered = newer;
            if is_there {
                return Ok((connection, ordered, client, storage));
            }
        }
        Err(format!("{LISTS_MAX} lists of brokers lead from server to server").into())
    }

    async fn open(&self, connection: &Connection) -> Result<(Client, Storage), StorageError> {
        let client = connect(connection, &self.connections).await?;
        takes(&client, self.config.batch.bytes)?;
        let (instance, replicas) = (&self.config.instance, connection.replicas);
        let storage = Storage::open(&client, instance, replicas).await?;
        if let Some(subject) = &self.config.events {
            storage.keep_events(subject).await?;
        }
        Ok((client, storage))
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
        engine.count_on_from(self.counters.clone());
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
    /// To whom, of all that counts now.
    connection: Connection,
    /// The list that was taken last.
    ordered: Ordered,
    client: Client,
    storage: Storage,
    /// Lanes to deliver from: those configured, and any that earlier runs had beside them.
    lanes: u32,
    /// Keys and records of known sensors.
    sensors: Vec<(String, Bytes)>,
    /// Keys of sensors that were approved or retired.
    keys: Vec<(Uuid, Keys)>,
}

/// A name for a run, and chance for its jitter.
fn name_of_run() -> (String, u64) {
    let run = Uuid::new_v4();
    // The lower half of a random UUID, of which 62 bits are random.
    (run.simple().to_string(), run.as_u64_pair().1)
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
