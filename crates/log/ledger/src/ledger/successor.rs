//! The log that goes on where another ended.

use fieldledger_contract::audit::Checkpoint;
use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::own::{self, Details, OwnKind};
use futures::executor::block_on;
use serde_json::Value;

use super::Ledger;
use crate::config::Config;
use crate::error::{ControlError, OpenError};

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
                Err(error) => Err(OpenError::Unfinished(error.into())),
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
