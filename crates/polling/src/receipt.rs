//! What a device waits to hear once what it sent is stored.

use fieldledger_field::bulk::HistoryAck;
use fieldledger_field::topic::Subject;

/// An acknowledgement, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The sensor's acknowledgement subject.
    pub subject: Subject,
    /// What is stored.
    pub ack: HistoryAck,
}
