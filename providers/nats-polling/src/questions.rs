//! What is asked of the engine while it runs, and why there may be no answer.

use fieldledger_attest::identity::PublicKey;
use fieldledger_polling::{Counters, EnrolError, LivenessCounts, Memory, Refusal, SensorState};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// A question to the engine, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Question {
    Status(oneshot::Sender<(Counters, LivenessCounts)>),
    Memory(oneshot::Sender<Memory>),
    Sensors {
        offset: usize,
        limit: usize,
        answer: oneshot::Sender<Vec<SensorState>>,
    },
    Sensor {
        id: Uuid,
        answer: oneshot::Sender<Option<SensorState>>,
    },
    /// Of one sensor, or of all.
    Refusals {
        sensor: Option<Uuid>,
        limit: usize,
        answer: oneshot::Sender<Vec<Refusal>>,
    },
    Decide {
        sensor: Uuid,
        decision: Decision,
        answer: oneshot::Sender<Result<PublicKey, EnrolFailure>>,
    },
}

/// What an operator says about a sensor's key.
#[derive(Debug, Clone)]
pub(crate) enum Decision {
    /// The key of this fingerprint is the sensor's.
    Approve(String),
    /// The key is the sensor's no more.
    Retire,
}

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

/// What the engine knows of sensors and keys, unless it has ended.
pub(crate) async fn remembered(questions: &mpsc::Sender<Question>) -> Option<Memory> {
    let (sender, answer) = oneshot::channel();
    questions.send(Question::Memory(sender)).await.ok()?;
    answer.await.ok()
}
