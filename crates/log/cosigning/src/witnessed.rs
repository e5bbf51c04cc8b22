//! What can be asked of a ledger's witnesses, and of this site as one.

use std::sync::Arc;

use fieldledger_contract::Error;
use fieldledger_contract::audit::{Checkpoint, InclusionProof};
use fieldledger_contract::calls;
use fieldledger_contract::ledger::{WitnessReply, Witnessing};
use fieldledger_ledger::Ledger;

use crate::settings::Cosigning;

/// A ledger with its cosignatures.
#[derive(Debug, Clone)]
pub struct WitnessedLog {
    ledger: Ledger,
    cosigning: Arc<Cosigning>,
}

impl WitnessedLog {
    /// Answers from these.
    #[must_use]
    pub fn new(ledger: Ledger, cosigning: Arc<Cosigning>) -> Self {
        Self { ledger, cosigning }
    }
}

impl calls::Witnessing for WitnessedLog {
    fn published_checkpoint(&self) -> Result<Checkpoint, Error> {
        let published = self.cosigning.published(&self.ledger);
        published.map_err(Error::Unavailable)
    }

    fn inclusion(&self, index: u64) -> Result<InclusionProof, Error> {
        Ok(self.cosigning.published_inclusion(&self.ledger, index)?)
    }

    fn add_checkpoint(&self, request: &[u8]) -> Result<WitnessReply, Error> {
        let reply = self.cosigning.add_checkpoint(request);
        Ok(WitnessReply {
            status: reply.status,
            content_type: reply.content_type.to_owned(),
            body: reply.body,
        })
    }

    fn cosigned_checkpoint(&self, origin_hash: &str) -> Result<Option<String>, Error> {
        Ok(self.cosigning.cosigned_checkpoint(origin_hash))
    }

    fn witnessing(&self) -> Result<Witnessing, Error> {
        Ok(Witnessing {
            own: self.cosigning.collector_status(),
            as_witness: self.cosigning.witness_status(),
        })
    }
}
