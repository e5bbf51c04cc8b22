//! The life of a log: what changes it other than appends, and is an entry of the log itself.
//!
//! Each change is a command that the commit thread carries out between two commits, so that nothing
//! is written meanwhile; only the work of a retention goes on behind the commits. The entry that tells
//! of a change is durable before the change begins, and a start finishes what a crash left half done.

pub(crate) mod backup;
pub(crate) mod erasure;
pub(crate) mod freeze;
pub(crate) mod handle;
pub(crate) mod keys;
pub(crate) mod restore;
pub(crate) mod retention;

use std::ops::Range;
use std::time::Instant;

use futures::channel::oneshot;

use self::retention::plan::Pending;
use crate::commit::Committer;
use crate::envelope::Envelope;
use crate::error::{AppendError, ControlError};
use crate::intake;
use crate::own::{self, Details, OwnKind};
use crate::queue::Request;

/// What entries that a start has read say of other entries.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Entries that must be erased, each with the entry that says so.
    pub(crate) erasures: Vec<(u64, u64)>,
    /// What is given up.
    pub(crate) retentions: Vec<Pending>,
    /// Entries without payload, with the entry that is said to tell of it.
    pub(crate) gone: Gone,
    /// The newest entry about the keys that sign.
    pub(crate) key_entry: Option<u64>,
}

/// Entries without payload: runs of them that one entry is said to tell of. Most are given up by
/// hundreds of thousands at once.
#[derive(Debug, Default)]
pub(crate) struct Gone(Vec<(Range<u64>, u64)>);

impl Gone {
    /// Entry `index`, which follows all that were noted, is gone; `marker` is said to tell of it.
    /// True where a run begins.
    pub(crate) fn note(&mut self, index: u64, marker: u64) -> bool {
        match self.0.last_mut() {
            Some((run, its_marker)) if run.end == index && *its_marker == marker => {
                run.end += 1;
                false
            }
            _ => {
                self.0.push((index..index + 1, marker));
                true
            }
        }
    }

    /// The runs, in order, each with the entry that is said to tell of it.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Range<u64>, u64)> {
        self.0.iter().cloned()
    }
}

/// Up to which entry payloads may be gone because of an entry of the log at `marker`; none where it
/// is no such entry. An erasure is about one entry, which is then in the range.
pub(crate) fn explained_by(marker: u64, envelope: &Envelope<'_>) -> Option<Range<u64>> {
    let (producer, sequence) = envelope.origin()?;
    if producer == OwnKind::Erasure.producer() {
        return Some(sequence..sequence + 1);
    }
    retention::told_by(marker, envelope).map(|told| 0..told.below)
}

impl Committer {
    /// Nothing is changed once the disk cannot be trusted, or the log has ended.
    pub(crate) fn check_running(&self) -> Result<(), ControlError> {
        match (&self.stopped, self.published.ended()) {
            (Some(reason), _) => Err(ControlError::Unavailable(reason.clone())),
            (None, Some(reason)) => Err(ControlError::Refused(reason.to_owned())),
            (None, None) => Ok(()),
        }
    }

    /// An entry can be erased in a log that is frozen, too: the duty to erase does not end with it.
    /// One that is read-only cannot sign what would tell of the erasure.
    pub(crate) fn check_signing(&self) -> Result<(), ControlError> {
        match (&self.stopped, self.published.ended()) {
            (Some(reason), _) => Err(ControlError::Unavailable(reason.clone())),
            (None, Some(reason)) if self.published.head().keys.is_none() => {
                Err(ControlError::Refused(format!(
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
        let prepared = intake::prepare(&event).map_err(ControlError::Invalid)?;
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
