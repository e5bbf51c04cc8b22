//! Moves sealed segments to the archive, behind the commits.

use std::sync::Arc;

use crate::error::{StoreError, with_causes};
use crate::follower::follow;
use crate::head::Published;
use crate::problem::Problem;
use crate::store::archive::Archive;
use crate::store::reader::LogReader;
use crate::store::segments::PackingState;

/// Copies sealed segments, and removes those from the disk that need not be there.
pub(crate) struct Archiver {
    pub(crate) archive: Arc<Archive>,
    pub(crate) log: Arc<LogReader>,
    pub(crate) published: Arc<Published>,
    /// Sealed segments that stay on the disk; all for none.
    pub(crate) local_segments: Option<usize>,
    pub(crate) problem: Problem,
}

impl Archiver {
    /// Follows the log until the ledger is closed.
    pub(crate) fn run(self) {
        follow(&self.published, || {
            let caught_up = self.catch_up();
            match &caught_up {
                Ok(_) => drop(self.problem.note("")),
                Err(error) => {
                    let problem = with_causes(error);
                    tracing::warn!(problem, "segments cannot be archived; trying again");
                    self.problem.note(problem);
                }
            }
            caught_up
        });
    }

    /// False if there is more to do, though nothing new is written.
    fn catch_up(&self) -> Result<bool, StoreError> {
        let mut done = true;
        let sealed = self.log.sealed_segments();
        for &(first, end) in &sealed {
            if self.published.is_closed() {
                return Ok(true);
            }
            if self.archive.sealed(first).is_none() {
                // It is archived once it is packed.
                if self.log.segments().packing_of(first)? == PackingState::IsDue {
                    done = false;
                    continue;
                }
                let listed = self.archive.add(first, end)?;
                tracing::info!(first, end, listed, "a segment was copied to the archive");
                done &= listed;
            }
        }
        let keep = self.local_segments.unwrap_or(usize::MAX);
        for &(first, _) in sealed.iter().rev().skip(keep) {
            if self.archive.remove_local(first)? {
                tracing::info!(first, "an archived segment was removed from the disk");
            }
        }
        Ok(done)
    }
}
