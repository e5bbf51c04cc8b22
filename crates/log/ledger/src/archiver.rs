//! Moves sealed segments to the archive, behind the commits.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{StoreError, with_causes};
use crate::head::Published;
use crate::problem::Problem;
use crate::store::archive::Archive;
use crate::store::reader::LogReader;
use crate::store::segments::PackingState;

/// How long it gathers before it looks for sealed segments.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long it waits after an error before it tries again.
const RETRY: Duration = Duration::from_secs(10);

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
        let mut size = 0;
        loop {
            let pause = match self.catch_up() {
                Ok(done) => {
                    self.problem.note("");
                    if !done {
                        size = 0;
                    }
                    INTERVAL
                }
                Err(error) => {
                    let problem = with_causes(&error);
                    tracing::warn!(problem, "segments cannot be archived; trying again");
                    self.problem.note(problem);
                    // Try again though nothing new is written.
                    size = 0;
                    RETRY
                }
            };
            self.published.pause(pause);
            let (head, closed) = self.published.wait_beyond(size);
            if closed {
                return;
            }
            size = head.size();
        }
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
