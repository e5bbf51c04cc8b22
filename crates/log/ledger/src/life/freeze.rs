//! The end of a log, and the log that goes on from there.
//!
//! The last entry of a frozen log says that it is frozen: that alone is what makes it so, now and
//! after every start. Only entries that tell of erasures can come after it, which change nothing for
//! whoever relies on the tree that ended with it: theirs continues it. The first entry of a successor names the log it succeeds and its last tree.

use fieldledger_audit::log::Checkpoint;
use futures::executor::block_on;
use serde_json::Value;

use crate::commit::Committer;
use crate::envelope::Envelope;
use crate::error::{AppendError, ControlError, OpenError, StoreError};
use crate::own::{self, Details, OwnKind};
use crate::store::reader::LogReader;
use crate::{Config, Ledger};

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// The last entry, which says so.
    pub entry: u64,
    /// The last tree head.
    pub checkpoint: Checkpoint,
}

/// Where a log goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Successor {
    /// Name of the log that goes on.
    pub origin: String,
    /// The key that verifies it; empty where it is not known yet.
    pub verifier_key: String,
}

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
    format!("the log was frozen by entry {entry} for ever: {reason}{goes_on}")
}

/// Why the log takes no more events, if its last entry but for those that tell of erasures says so.
pub(crate) fn frozen(log: &LogReader, size: u64) -> Result<Option<String>, StoreError> {
    for last in (0..size).rev() {
        let stored = log.entry(last)?;
        let Some(bytes) = stored.envelope() else {
            return Ok(None);
        };
        let envelope = Envelope::parse(bytes).map_err(|problem| log.damaged(last, &problem))?;
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

impl Ledger {
    /// Creates the log that goes on where another ended, or opens it again. Its first entry names
    /// the other's last tree head. `entries_left` is how many entries of the other log
    /// are still there: all of them, unless its end was lost.
    ///
    /// # Errors
    ///
    /// As [`Ledger::open`]; [`OpenError::Setting`] where the configured origin is the other log's, or
    /// the folder holds a log that does not succeed it.
    pub fn succeed(
        config: Config,
        predecessor: &Checkpoint,
        entries_left: u64,
    ) -> Result<Self, OpenError> {
        let wrong = |setting, problem: String| OpenError::Setting { setting, problem };
        if config.origin == predecessor.origin {
            let problem = format!(
                "{:?} is the name of the log that ended; a successor needs one of its own",
                config.origin
            );
            return Err(wrong("origin", problem));
        }
        let ledger = Self::open(config)?;
        let details = Details::from([
            ("predecessor_origin", Value::from(&*predecessor.origin)),
            ("predecessor_size", Value::from(predecessor.tree_size)),
            ("predecessor_root", Value::from(&*predecessor.root_hash)),
            ("predecessor_checkpoint", Value::from(&*predecessor.note)),
            ("entries_left", Value::from(entries_left)),
        ]);
        if ledger.checkpoint().tree_size == 0 {
            let appended = block_on(ledger.append_own(OwnKind::Start, 0, &details));
            return match appended {
                Ok(_) => Ok(ledger),
                Err(AppendError::Invalid(fields)) => {
                    Err(OpenError::Unfinished(ControlError::Invalid(fields)))
                }
                Err(AppendError::Unavailable(reason)) => {
                    Err(OpenError::Unfinished(ControlError::Unavailable(reason)))
                }
            };
        }
        let first = ledger.inclusion(0).map_err(ControlError::from);
        let first = first.map_err(OpenError::Unfinished)?.entry;
        let is_successor = Envelope::parse(first.envelope.as_bytes()).is_ok_and(|envelope| {
            let root = own::detail_in(envelope.event().message, "predecessor_root");
            envelope.origin() == Some((OwnKind::Start.producer(), 0))
                && root.as_deref() == Some(&*predecessor.root_hash)
        });
        if is_successor {
            return Ok(ledger);
        }
        let problem = format!(
            "holds another log, which does not succeed {}; give an empty folder",
            predecessor.origin
        );
        Err(wrong("folder", problem))
    }
}
