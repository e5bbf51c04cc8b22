//! The end of a log, and the log that goes on from there.
//!
//! The last entry of a frozen log says that it is frozen: that alone is what makes it so, now and
//! after every start. Only entries that tell of erasures can come after it, which change nothing for
//! whoever relies on the tree that ended with it: theirs continues it. The first entry of a successor names the log it succeeds and its last tree.

use fieldledger_contract::ledger::{Freeze, Successor};
use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::own::{self, Details, OwnKind};
use serde_json::Value;

use crate::commit::Committer;
use crate::error::{ControlError, StoreError};
use crate::store::reader::LogReader;

impl Committer {
    /// Writes the last entry.
    pub(crate) fn freeze(
        &mut self,
        successor: Option<&Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, ControlError> {
        self.check_running()?;
        let mut details = Details::from([
            ("reason", Value::from(reason)),
            ("actor", Value::from(actor)),
        ]);
        if let Some(successor) = successor {
            details.insert("successor_origin", Value::from(&*successor.origin));
            if !successor.verifier_key.is_empty() {
                details.insert("successor_key", Value::from(&*successor.verifier_key));
            }
        }
        let entry = self.append_own(OwnKind::Freeze, 0, &details)?;
        let successor = successor.map(|named| &*named.origin);
        self.published.end(sentence(entry, reason, successor));
        tracing::info!(entry, actor, reason, "the log is frozen");
        Ok(Freeze {
            entry,
            checkpoint: self.published.head().checkpoint.clone(),
        })
    }
}

fn sentence(entry: u64, reason: &str, successor: Option<&str>) -> String {
    let goes_on = successor.map_or(String::new(), |origin| format!("; it goes on in {origin}"));
    format!("the log was frozen by entry {entry} forever: {reason}{goes_on}")
}

/// Why the log takes no more events, if its last entry but for those that tell of erasures says so.
pub(crate) fn frozen(log: &LogReader, size: u64) -> Result<Option<String>, StoreError> {
    for last in (0..size).rev() {
        let stored = log.entry(last)?;
        let Some(bytes) = stored.envelope() else {
            return Ok(None);
        };
        let envelope = Envelope::parse(bytes).map_err(|problem| log.damaged(last, problem))?;
        let producer = envelope.origin().map(|(producer, _)| producer);
        if producer == Some(OwnKind::Erasure.producer()) {
            continue;
        }
        if producer != Some(OwnKind::Freeze.producer()) {
            return Ok(None);
        }
        let told = |name| own::detail_in(envelope.event().message, name);
        return Ok(Some(sentence(
            last,
            &told("reason").unwrap_or_default(),
            told("successor_origin").as_deref(),
        )));
    }
    Ok(None)
}
