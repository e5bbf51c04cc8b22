//! Closing a gap: somebody says that nobody waits for what is missing any longer, and why.
//!
//! Nothing is done but to write the entry that tells of it; what is known of gaps follows from the log.

use fieldledger_contract::ledger::{Gap, GapState};
use fieldledger_formats::own::{Details, OwnKind};
use serde_json::Value;

use crate::commit::Committer;
use crate::error::ControlError;

impl Committer {
    /// Closes a gap, by its id.
    pub(crate) fn close_gap(
        &mut self,
        id: u64,
        reason: &str,
        actor: &str,
    ) -> Result<Gap, ControlError> {
        self.check_running()?;
        let gap = self.gap(id)?;
        if gap.state == GapState::Closed {
            return Err(ControlError::Refused(format!("gap {id} is closed already")));
        }
        let details = Details::from([
            ("actor", Value::from(actor)),
            ("gap", Value::from(id)),
            ("missing", Value::from(gap.missing)),
            ("reason", Value::from(reason)),
            ("sensor", Value::from(gap.sensor)),
        ]);
        self.append_own(OwnKind::GapClosing, id, &details)?;
        tracing::info!(gap = id, actor, reason, "a gap was closed");
        self.gap(id)
    }

    fn gap(&self, id: u64) -> Result<Gap, ControlError> {
        let gaps = self.gaps.read();
        let gap = gaps.get(id).map(Gap::from);
        gap.ok_or_else(|| ControlError::NotFound(format!("no gap {id} is known")))
    }
}
