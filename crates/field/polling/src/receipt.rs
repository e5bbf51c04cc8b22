//! What a device waits to hear once what it sent is stored.

use fieldledger_wire::bulk::HistoryAck;
use fieldledger_wire::topic::Subject;
use uuid::Uuid;

/// What is to be said, to whom and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// At once, to a device that sent history.
    History {
        /// The sensor's acknowledgement subject.
        subject: Subject,
        /// What is stored.
        ack: HistoryAck,
    },
    /// With the sensor's next poll; [`Engine::answer_stored`](crate::Engine::answer_stored) sees to that.
    Answer(StoredAnswer),
}

/// An answer to a poll that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Whose answer.
    pub sensor: Uuid,
    /// Of which boot.
    pub boot: String,
    /// Its number.
    pub sequence: u64,
}
