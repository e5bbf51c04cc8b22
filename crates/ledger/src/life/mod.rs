//! The life of a log: what changes it other than appends, and is an entry of the log itself.
//!
//! Each change is a command that the commit thread carries out between two commits, so that nothing
//! is written meanwhile. The entry that tells of a change is durable before the change begins, and
//! a start finishes what a crash left half done.

pub(crate) mod backup;
pub(crate) mod erasure;
pub(crate) mod freeze;
mod handle;
pub(crate) mod keys;
pub(crate) mod restore;

use std::time::Instant;

use futures::channel::oneshot;

use crate::commit::Committer;
use crate::error::{AppendError, ControlError};
use crate::intake;
use crate::own::{self, Details, OwnKind};
use crate::queue::Request;

/// What entries that a start has read say of other entries.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Entries that must be erased, each with the entry that says so.
    pub(crate) erasures: Vec<(u64, u64)>,
    /// Entries that were erased, each with the entry that is said to tell of it.
    pub(crate) erased: Vec<(u64, u64)>,
    /// The newest entry about the keys that sign.
    pub(crate) key_entry: Option<u64>,
}

impl Committer {
    /// Nothing is changed once the disk cannot be trusted, or the log has ended.
    pub(crate) fn check_running(&self) -> Result<(), ControlError> {
        match (&self.stopped, &self.frozen) {
            (Some(reason), _) => Err(ControlError::Unavailable(reason.clone())),
            (None, Some(reason)) => Err(ControlError::Refused(reason.clone())),
            (None, None) => Ok(()),
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
        let prepared = intake::prepare(&event).map_err(ControlError::Invalid)?;
        let (answer, mut answered) = oneshot::channel();
        self.commit(vec![Request {
            events: prepared.events,
            bytes: prepared.bytes,
            queued_at: Instant::now(),
            answer,
        }]);
        match answered.try_recv() {
            Ok(Some(Ok(written))) => written.indices.first().copied().flatten().ok_or_else(|| {
                let producer = kind.producer();
                ControlError::Unavailable(format!(
                    "the log has entry {sequence} of {producer} already; open it again to finish \
                     what it tells of"
                ))
            }),
            Ok(Some(Err(AppendError::Invalid(fields)))) => Err(ControlError::Invalid(fields)),
            Ok(Some(Err(AppendError::Unavailable(reason)))) => {
                Err(ControlError::Unavailable(reason))
            }
            Ok(None) | Err(_) => {
                let reason = "it closed before the entry was written";
                Err(ControlError::Unavailable(reason.to_owned()))
            }
        }
    }
}
