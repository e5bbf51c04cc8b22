//! Run after run of an instance. One follows the other where an operator sends other servers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fieldledger_polling::brokers::Ordered;
use fieldledger_polling::{Batcher, Config, Counters, Engine, RestoreError, StoredAnswer, chain};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::clock::Clock;
use crate::connection::Connections;
use crate::delivery::Deliveries;
use crate::orders::Orders;
use crate::pacing::Pacing;
use crate::polling_loop::{Lane, Parts, PollingLoop};
use crate::present_run::PresentRun;
use crate::questions::Question;
use crate::ranking::Ranking;
use crate::reaching::{Reached, Reaching};
use crate::reader::Reader;
use crate::spool::Spool;
use crate::storage::Storage;
use crate::{room, sensor_store};

// How long the tasks of a run are waited for at its end, one kind after the other. With the polls under way
// before, these add up to less than what a stop of the instance may take.
const SPOOLS_WITHIN: Duration = Duration::from_millis(1_000);
const SPOOLS_CUT_OFF_WITHIN: Duration = Duration::from_millis(100);
const DELIVERED_WITHIN: Duration = Duration::from_millis(1_000);
const DELIVERIES_WITHIN: Duration = Duration::from_millis(500);
const RECORDS_WITHIN: Duration = Duration::from_millis(200);

/// Pause between two looks whether all is delivered.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Everything a run is started with.
pub(crate) struct Runs {
    config: Config,
    reader: Arc<dyn Reader>,
    epoch: String,
    seed: u64,
    present: Arc<PresentRun>,
    /// The list of servers that counts, as far as it is known.
    ordered: Ordered,
    /// What earlier runs have counted.
    counters: Counters,
    connections: Connections,
    asker: mpsc::Sender<Question>,
    stop: CancellationToken,
}

/// What a run does beside its loop.
struct Tasks {
    /// Looking for other servers, and at the room in the stream.
    around: JoinSet<()>,
    /// Batches into the stream.
    spools: JoinSet<()>,
    spool_deadline: CancellationToken,
    /// Batches out of it.
    deliveries: JoinSet<()>,
    end_of_delivery: CancellationToken,
    /// Records of sensors and of their keys.
    records: JoinSet<()>,
}

impl Runs {
    pub(crate) fn new(
        config: Config,
        reader: Arc<dyn Reader>,
        present: &Arc<PresentRun>,
        asker: &mpsc::Sender<Question>,
        stop: &CancellationToken,
    ) -> Self {
        let (epoch, seed) = name_of_run();
        present.set_epoch(&epoch);
        Self {
            config,
            reader,
            epoch,
            seed,
            present: Arc::clone(present),
            ordered: Ordered::default(),
            counters: Counters::default(),
            connections: Connections::new(),
            asker: asker.clone(),
            stop: stop.clone(),
        }
    }

    /// One run after the other, each with the servers that were sent during the one before.
    pub(crate) async fn run_all(mut self, mut questions: mpsc::Receiver<Question>) {
        while let Some((ordered, counters)) = self.run(&mut questions).await {
            (self.ordered, self.counters) = (ordered, counters);
            (self.epoch, self.seed) = name_of_run();
            self.present
                .set_obstacle("moving to other servers".to_owned());
            self.present.set_epoch(&self.epoch);
            self.present.progress.begin();
        }
    }

    /// Polls until told to stop, or sent to other servers.
    async fn run(&self, questions: &mut mpsc::Receiver<Question>) -> Option<(Ordered, Counters)> {
        let reaching = Reaching {
            config: &self.config,
            connections: &self.connections,
            ordered: &self.ordered,
            present: &self.present,
        };
        let reached = tokio::select! {
            reached = reaching.reach() => reached,
            () = self.stop.cancelled() => return None,
        };
        let storage = reached.storage.clone();
        let next = Arc::new(OnceLock::new());
        let end_of_run = self.stop.child_token();
        let (parts, tasks) = self.begin(reached, &next, &end_of_run).await;
        let mut counters = Counters::default();
        match PollingLoop::open(parts, &self.config.subscriptions).await {
            Ok(polling_loop) => {
                // From here on questions have answers.
                self.present.set_storage(Some(storage.clone()));
                info!(
                    epoch = self.epoch,
                    instance = self.config.instance,
                    "polling"
                );
                counters = polling_loop.run(questions, end_of_run).await;
                if next.get().is_some() {
                    self.present.set_storage(None);
                }
            }
            Err(error) => error!(%error, "cannot subscribe to heartbeats; nothing is polled"),
        }
        tasks.wind_down(&storage).await;
        info!(
            epoch = self.epoch,
            instance = self.config.instance,
            "polling has ended"
        );
        let next = next.get().filter(|_| !self.stop.is_cancelled());
        Some((next?.clone(), counters))
    }

    /// Starts all tasks beside the loop; they and what the loop is made of. `next` is set and `end_of_run`
    /// cancelled where the run is sent to other servers.
    async fn begin(
        &self,
        mut reached: Reached,
        next: &Arc<OnceLock<Ordered>>,
        end_of_run: &CancellationToken,
    ) -> (Parts, Tasks) {
        let clock = Clock::start();
        let engine = self.engine(&mut reached, clock).await;
        let (client, storage) = (reached.client.clone(), reached.storage.clone());

        let mut records_tasks = JoinSet::new();
        let (records, changes) = mpsc::unbounded_channel();
        records_tasks.spawn(sensor_store::run(storage.clone(), changes));
        let (decisions, decided) = mpsc::unbounded_channel();
        records_tasks.spawn(sensor_store::run_decisions(storage.clone(), decided));

        let spool_deadline = CancellationToken::new();
        let (store_answers, stored) = mpsc::unbounded_channel();
        let (lanes, spools) = self.spools(&reached, &store_answers, &spool_deadline);

        let progress = &self.present.progress;
        let deliveries = Deliveries {
            reader: Arc::clone(&self.reader),
            call_timeout: self.config.call_timeout,
            limits: self.config.batch,
            pacing: Arc::new(Pacing::new(self.config.drain_per_s, Arc::clone(progress))),
            progress: Arc::clone(progress),
        };
        let end_of_delivery = CancellationToken::new();
        let tasks = Tasks {
            spools,
            spool_deadline,
            deliveries: deliveries.start(
                &storage,
                reached.lanes,
                &self.connections,
                &end_of_delivery,
            ),
            end_of_delivery,
            records: records_tasks,
            around: self.look_around(reached, deliveries, next, end_of_run),
        };
        let parts = Parts {
            client,
            clock,
            engine,
            lanes,
            records,
            decisions,
            stored,
            progress: Arc::clone(progress),
            buffer_max: self.config.buffer_max,
        };
        (parts, tasks)
    }

    /// For each lane a batcher, and the task that stores its batches.
    fn spools(
        &self,
        reached: &Reached,
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
                client: reached.client.clone(),
                storage: reached.storage.clone(),
                lane,
                progress: Arc::clone(&self.present.progress),
                connections: self.connections.clone(),
                stored: stored.clone(),
                deadline: deadline.clone(),
            };
            tasks.spawn(spool.run(waiting));
        }
        (lanes, tasks)
    }

    /// Looks at the stream, at other servers, and for those that an operator sends.
    fn look_around(
        &self,
        reached: Reached,
        deliveries: Deliveries,
        next: &Arc<OnceLock<Ordered>>,
        end_of_run: &CancellationToken,
    ) -> JoinSet<()> {
        let progress = &self.present.progress;
        let Reached {
            connection,
            ordered,
            client,
            storage,
            ..
        } = reached;
        let bound = self.config.stored_bytes_max;
        let room = room::watch(storage.clone(), Arc::clone(progress), bound);
        let ranking = Ranking {
            connection,
            client: client.clone(),
            connections: self.connections.clone(),
            storage: storage.clone(),
            lanes: self.config.lanes,
            deliveries,
            progress: Arc::clone(progress),
            questions: self.asker.clone(),
        };
        let orders = Orders {
            link: self.config.connection.clone(),
            present: ordered,
            instance: self.config.instance.clone(),
            batch_bytes: self.config.batch.bytes,
            client,
            storage,
            progress: Arc::clone(progress),
            questions: self.asker.clone(),
        };
        let (next, end_of_run) = (Arc::clone(next), end_of_run.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(room);
        tasks.spawn(ranking.run());
        tasks.spawn(async move {
            let _ = next.set(orders.next().await);
            end_of_run.cancel();
        });
        tasks
    }

    /// An engine that knows the sensors of earlier runs.
    async fn engine(&self, reached: &mut Reached, clock: Clock) -> Engine {
        let now = clock.now();
        let mut engine = Engine::new(self.config.engine.clone(), self.seed, now);
        engine.count_on_from(self.counters.clone());
        for (sensor, keys) in std::mem::take(&mut reached.keys) {
            engine.restore_keys(sensor, keys);
        }
        for (key, record) in std::mem::take(&mut reached.sensors) {
            if let Err(error) = engine.restore(&record, now) {
                discard(&reached.storage, &key, &error).await;
            }
        }
        engine
    }
}

impl Tasks {
    /// Ends all tasks after the loop has ended, and lets what is under way come to its end.
    async fn wind_down(mut self, storage: &Storage) {
        // First: a move in the middle of a stop would hold that up.
        self.around.shutdown().await;
        if !ended_within(SPOOLS_WITHIN, &mut self.spools).await {
            self.spool_deadline.cancel();
            ended_within(SPOOLS_CUT_OFF_WITHIN, &mut self.spools).await;
        }
        let all_delivered = nothing_pending(storage);
        let _ = tokio::time::timeout(DELIVERED_WITHIN, all_delivered).await;
        self.end_of_delivery.cancel();
        ended_within(DELIVERIES_WITHIN, &mut self.deliveries).await;
        ended_within(RECORDS_WITHIN, &mut self.records).await;
    }
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
        tokio::time::sleep(LOOK_AGAIN).await;
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
