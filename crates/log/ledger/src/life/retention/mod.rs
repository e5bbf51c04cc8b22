//! Giving up the payloads of old entries, so that a log which never ends fits a disk that does.
//!
//! An entry says up to where payloads are given up, who asked for it and why; once that is durable
//! and signed, full segments are written anew with only the hash spine of what was given up: the
//! leaf, and which event it was. So every proof holds as before, and an event that is delivered
//! again is still known. This goes on behind the commits and after a start, segment by segment, so
//! what is freed is freed little by little.
//!
//! Only full segments are given up, and never the log's own entries: they are what the proofs of
//! erasures, keys and roots rest on.

pub(crate) mod compact;
pub(crate) mod plan;
pub(crate) mod retainer;

use fieldledger_audit::timestamp;
use fieldledger_contract::ledger::RetentionScope;
use fieldledger_formats::own::{Details, OwnKind};
use serde_json::Value;

use crate::commit::Committer;
use crate::error::{ControlError, with_causes};
use crate::markers::GivenUp;

impl Committer {
    /// Writes the entry that tells of it, after the plan which a start would go on with.
    pub(crate) fn begin_retention(
        &mut self,
        plans: &plan::Plans,
        (below, scope): (u64, RetentionScope),
        before: u64,
        (reason, actor): (&str, &str),
    ) -> Result<u64, ControlError> {
        self.check_running()?;
        // Nothing is committed between here and the entry itself.
        let marker = self.grower.size();
        let details = Details::from([
            ("below", Value::from(below)),
            ("scope", Value::from(scope.name())),
            (
                "before",
                Value::from(timestamp::from_micros(before).unwrap_or_default()),
            ),
            ("reason", Value::from(reason)),
            ("actor", Value::from(actor)),
        ]);
        plans.change(|plan| {
            plan.pending.push(GivenUp {
                marker,
                below,
                scope,
            });
        })?;
        if let Err(error) = self.append_own(OwnKind::Retention, marker, &details) {
            // Were it left, the next start would see that there is no such entry.
            if let Err(error) = plans.change(|plan| plan.forget(marker)) {
                tracing::warn!(
                    error = with_causes(&error),
                    "a plan without its entry stays until the next start"
                );
            }
            return Err(error);
        }
        // Whatever is newest of a sensor is a reading, which either scope gives up.
        let mut latest = self.latest.write();
        latest.forget_below(below);
        drop(latest);
        tracing::info!(
            below,
            marker,
            scope = scope.name(),
            actor,
            reason,
            "payloads are given up"
        );
        Ok(marker)
    }
}
