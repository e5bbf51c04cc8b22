//! The life of a log: what changes it other than appends, and is an entry of the log itself.
//!
//! Each change is a command that the commit thread carries out between two commits, so that nothing
//! is written meanwhile; only the work of a retention goes on behind the commits. The entry that tells
//! of a change is durable before the change begins, and a start finishes what a crash left half done.

pub(crate) mod backup;
pub(crate) mod erasure;
pub(crate) mod freeze;
mod gap_closing;
pub(crate) mod key_change;
pub(crate) mod restore;
pub(crate) mod retention;

use std::time::Instant;

use fieldledger_formats::own::{self, Details, OwnKind};
use futures::channel::oneshot;

use crate::commit::Committer;
use crate::error::ControlError;
use crate::request::{Request, prepare};

impl Committer {
    /// Nothing is changed once the disk cannot be trusted, or the log has ended.
    pub(crate) fn check_running(&self) -> Result<(), ControlError> {
        match (&self.stopped, self.published.ended()) {
            (Some(reason), _) => Err(ControlError::Unavailable(reason.clone())),
            (None, Some(reason)) => Err(ControlError::Ended(reason.to_owned())),
            (None, None) => Ok(()),
        }
    }

    /// An entry can be erased in a log that is frozen, too: the duty to erase does not end with it.
    /// One that is read-only cannot sign what would tell of the erasure.
    pub(crate) fn check_signing(&self) -> Result<(), ControlError> {
        match (&self.stopped, self.published.ended()) {
            (Some(reason), _) => Err(ControlError::Unavailable(reason.clone())),
            (None, Some(reason)) if self.published.head().keys.is_none() => {
                Err(ControlError::Ended(format!(
                    "{reason}; it signs nothing, so nothing can tell of an erasure: erase the entry \
                     where the log can be signed, and restore a backup of that, or remove this folder"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Appends an entry of the log's own in a commit of its own; its position.
    pub(crate) fn append_own(
        &mut self,
        kind: OwnKind,
        sequence: u64,
        details: &Details,
    ) -> Result<u64, ControlError> {
        let head = self.published.head();
        let event = own::event(kind, sequence, &head.checkpoint.origin, details);
        let prepared = prepare(&event).map_err(ControlError::Invalid)?;
        let (answer, mut answered) = oneshot::channel();
        let request = vec![Request {
            events: prepared.events,
            bytes: prepared.bytes,
            queued_at: Instant::now(),
            answer,
        }];
        match kind {
            OwnKind::Erasure => self.commit_beyond_end(request),
            _ => self.commit(request),
        }
        match answered.try_recv() {
            Ok(Some(Ok(written))) => written.indices.first().copied().flatten().ok_or_else(|| {
                let producer = kind.producer();
                ControlError::Unavailable(format!(
                    "the log has entry {sequence} of {producer} already; open it again to finish \
                     what it tells of"
                ))
            }),
            Ok(Some(Err(error))) => Err(error.into()),
            Ok(None) | Err(_) => {
                let reason = "it closed before the entry was written";
                Err(ControlError::Unavailable(reason.to_owned()))
            }
        }
    }
}
