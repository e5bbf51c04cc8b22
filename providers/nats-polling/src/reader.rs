//! Who takes the batches.

pub use fieldledger_contract::field::Ingested;
use fieldledger_wire::batch::PollBatch;
use futures::future::BoxFuture;
use thiserror::Error;

/// Why a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IngestError {
    /// It can never be.
    #[error("the reader refuses the batch as malformed: {0}")]
    Malformed(String),
    /// The log could not be written now; another attempt may succeed, for every batch alike.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// The log takes no more entries, as where it is frozen or read-only. Trying again soon does not help, for
    /// any batch.
    #[error("the log takes no more entries: {0}")]
    Ended(String),
    /// The call itself failed: the reader is not there, or it broke on this batch.
    #[error("the call to the reader failed: {0}")]
    Failed(String),
    /// No answer in time: the reader is overwhelmed, not there, or it broke on this batch.
    #[error("the reader did not answer within {0} ms")]
    TimedOut(u64),
}

impl IngestError {
    /// Whether it says something of the log, and so of every batch alike, rather than of this one.
    pub(crate) fn is_of_every_batch(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Ended(_))
    }
}

/// Takes batches; the linked component, or a test.
pub trait Reader: Send + Sync + 'static {
    /// Records a batch, durably; the same batch again adds nothing.
    fn ingest<'a>(&'a self, batch: &'a PollBatch) -> BoxFuture<'a, Result<Ingested, IngestError>>;
}
