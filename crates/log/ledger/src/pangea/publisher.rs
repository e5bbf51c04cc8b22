//! The thread that publishes roots. A publication is an entry of the log and nothing else: the trees
//! change when they come across it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fieldledger_formats::own::{self, OwnKind};
use futures::executor::block_on;

use super::Pangea;
use super::trees::Proposal;
use crate::commit::CommitQueue;
use crate::config::Publication;
use crate::error::{AppendError, QueryError};
use crate::intake;

/// How often it is looked whether a root is due.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long after a failure the next attempt is made.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Publishes roots.
pub(crate) struct Publisher {
    pub(crate) pangea: Arc<Pangea>,
    pub(crate) queue: Arc<CommitQueue>,
    pub(crate) when: Publication,
}

/// Why a root was not published.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error("the trees cannot be read: {0}")]
    Trees(#[from] QueryError),
    #[error("its entry was not written: {0}")]
    Append(#[from] AppendError),
}

impl Publisher {
    /// Publishes until the ledger is closed, or takes no more entries because the log has ended.
    pub(crate) fn run(self) {
        let published = &self.pangea.published;
        let mut seen = 0;
        let mut failing = false;
        while !published.is_closed() {
            let done = self.publish_what_is_due();
            if let Some(reason) = published.ended() {
                tracing::info!(reason, "no more roots are published");
                return;
            }
            match &done {
                Ok(_) => failing = false,
                // The queue is closed a moment before the log is.
                Err(_) if published.is_closed() => return,
                Err(_) if failing => {}
                Err(error) => {
                    tracing::warn!(%error, "no root was published; it is tried again");
                    failing = true;
                }
            }
            match done {
                Err(_) => published.pause(AFTER_FAILURE),
                // Nothing can become due before there is another entry.
                Ok(None) => {
                    let (head, _closed) = published.wait_beyond(seen);
                    seen = head.size();
                }
                Ok(Some(wait)) => published.pause(wait.min(LOOK_EVERY)),
            }
        }
    }

    /// Publishes all roots that are due. Then says how long until the next will be, if one will.
    fn publish_what_is_due(&self) -> Result<Option<Duration>, PublishError> {
        let interval = Duration::from_millis(self.when.interval_ms);
        loop {
            let proposal = {
                let trees = self.pangea.trees()?;
                let Some(since) = trees.waiting_since() else {
                    return Ok(None);
                };
                let waited = Instant::now() - since;
                if waited < interval && trees.hot.size() < self.when.entries.max(2) {
                    return Ok(Some(interval - waited));
                }
                let proposed = trees.propose(&self.pangea.tree_name, self.when.entries);
                proposed.map_err(QueryError::from)?
            };
            self.write(&proposal)?;
        }
    }

    /// Writes the entry of a root. One that is there already, because a crash came before its
    /// answer, is as good.
    fn write(&self, proposal: &Proposal) -> Result<(), PublishError> {
        let size = proposal.size;
        let origin = &self.pangea.tree_name;
        let event = own::event(OwnKind::Root, size, origin, &proposal.details);
        block_on(intake::written(intake::submit(&event, &self.queue)))?;
        tracing::debug!(size, "root published");
        Ok(())
    }
}
