//! One link: a connection, an engine, and the way of its results to the reader.

use std::sync::Arc;
use std::time::Duration;

use fieldledger_attest::identity::PublicKey;
use fieldledger_contract::field::DeadLetter;
use fieldledger_polling::{Config, Counters, LivenessCounts, Refusal, SensorState};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use uuid::Uuid;

use crate::clock::wall_now;
pub use crate::dead_letters::{LetterError, Letters};
use crate::present_run::PresentRun;
use crate::progress::DeliveryStatus;
pub use crate::questions::{AskError, EnrolFailure};
use crate::questions::{Decision, Question};
use crate::reader::Reader;
use crate::runs::Runs;
use crate::storage::Storage;

/// How long [`Instance::stop`] takes at most. wasmCloud's host grants a provider ten seconds.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Questions waiting for the engine.
const QUESTIONS: usize = 64;

/// What an instance has done since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    /// Names this run; with a poll's number it names the poll forever.
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
    /// Dead letters.
    pub letters: Letters,
}

/// A running instance. Dropping it without [`Instance::stop`] ends it at once.
#[derive(Debug)]
pub struct Instance {
    name: String,
    started_at: u64,
    questions: mpsc::Sender<Question>,
    present: Arc<PresentRun>,
    stop: CancellationToken,
    /// Ends all tasks when dropped.
    tasks: JoinSet<()>,
}

impl Instance {
    /// Starts polling in the background. A server that cannot be reached is tried again and again.
    #[must_use]
    pub fn start(config: Config, reader: Arc<dyn Reader>) -> Self {
        let (asker, questions) = mpsc::channel(QUESTIONS);
        let present = Arc::new(PresentRun::default());
        let stop = CancellationToken::new();
        let name = config.instance.clone();
        let runs = Runs::new(config, reader, &present, &asker, &stop);
        let mut tasks = JoinSet::new();
        tasks.spawn(runs.run_all(questions));
        Self {
            name,
            started_at: wall_now(),
            questions: asker,
            present,
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
            let results_in_memory = self.present.progress.buffered();
            let told = "polling did not end within five seconds and is cut off";
            match results_in_memory {
                0 => warn!("{told}; nothing was lost by that"),
                _ => error!(results_in_memory, "{told}"),
            }
        }
    }

    /// What it has done. Counters of the engine are zero until it has started.
    pub async fn status(&self) -> Status {
        let asked = self.ask(Question::Status).await;
        let (counters, liveness) = asked.unwrap_or_default();
        let (batches_pending, letters) =
            futures::join!(self.present.pending(), self.present.letters());
        Status {
            epoch: self.present.epoch(),
            started_at: self.started_at,
            counters,
            liveness,
            delivery: self.present.progress.status(),
            batches_pending,
            letters,
        }
    }

    /// Whether a dead letter of this id would be one of this link.
    pub(crate) fn names_letter(&self, id: &str) -> bool {
        id.rsplit_once('.')
            .is_some_and(|(name, _)| name == self.name)
    }

    /// Dead letters, oldest first: `limit` of them from `offset` on.
    ///
    /// # Errors
    ///
    /// Says why they cannot be read.
    pub async fn dead_letters(
        &self,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, LetterError> {
        let letters = self.storage()?.list_letters(offset, limit).await;
        letters.map_err(LetterError::of)
    }

    /// The dead letter of this id, with what it holds.
    ///
    /// # Errors
    ///
    /// Says that there is none, or why it cannot be read.
    pub async fn dead_letter(&self, id: &str) -> Result<DeadLetter, LetterError> {
        self.storage()?.show_letter(id).await
    }

    /// Puts a dead letter back to the lane that it came from, to be delivered once more.
    ///
    /// # Errors
    ///
    /// Says that there is none, or why it stays one.
    pub async fn retry_dead_letter(&self, id: &str) -> Result<(), LetterError> {
        self.storage()?.retry_letter(id).await
    }

    /// Removes a dead letter for good.
    ///
    /// # Errors
    ///
    /// Says that there is none, or why it stays.
    pub async fn drop_dead_letter(&self, id: &str) -> Result<(), LetterError> {
        self.storage()?.drop_letter(id).await
    }

    fn storage(&self) -> Result<Storage, LetterError> {
        let starting = || LetterError::of(AskError::Starting(self.present.obstacle()));
        self.present.storage().ok_or_else(starting)
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

    /// What was refused lately, the newest first: `limit` of one sensor, or of all for none.
    ///
    /// # Errors
    ///
    /// Says that it has not started, or has stopped.
    pub async fn refusals(
        &self,
        sensor: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Refusal>, AskError> {
        self.ask(|answer| Question::Refusals {
            sensor,
            limit,
            answer,
        })
        .await
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
        if self.present.storage().is_none() {
            return Err(AskError::Starting(self.present.obstacle()));
        }
        let (sender, answer) = oneshot::channel();
        let asked = self.questions.send(question(sender)).await;
        asked.map_err(|_| AskError::Stopped)?;
        answer.await.map_err(|_| AskError::Stopped)
    }
}
