//! Writes entries about gaps.

use std::sync::Arc;
use std::time::Duration;

use fieldledger_formats::own::{self, Details, OwnKind};
use futures::executor::block_on;
use parking_lot::RwLock;

use crate::clock::Clock;
use crate::commit::CommitQueue;
use crate::error::AppendError;
use crate::gaps::Gaps;
use crate::head::Published;
use crate::intake;

/// How often it looks whether there is something to record.
const PAUSE: Duration = Duration::from_millis(500);

/// Entries that are written in one go.
const AT_ONCE: usize = 1_000;

/// Records in the log which gaps stay open, and their end. What is recorded it knows from the log, so
/// it records it once, whatever crashes.
pub(crate) struct Recorder {
    pub(crate) gaps: Arc<RwLock<Gaps>>,
    pub(crate) queue: Arc<CommitQueue>,
    pub(crate) published: Arc<Published>,
    pub(crate) clock: Clock,
    /// How long a gap must stay open, microseconds.
    pub(crate) grace: u64,
}

impl Recorder {
    /// Works until the ledger is closed, or takes no more entries because the log has ended.
    pub(crate) fn run(self) {
        let pause = PAUSE.min(Duration::from_micros(self.grace.max(1_000)));
        while !self.published.is_closed() && self.published.ended().is_none() {
            let gaps = self.gaps.read();
            let unrecorded = gaps.unrecorded(self.clock.now(), self.grace, AT_ONCE);
            drop(gaps);
            if let Err(error) = self.record(&unrecorded) {
                tracing::debug!(%error, "gaps could not be recorded; trying again");
            }
            self.published.pause(pause);
        }
    }

    fn record(&self, unrecorded: &[(u64, Details)]) -> Result<(), AppendError> {
        let origin = &self.published.head().checkpoint.origin;
        let answers: Vec<_> = unrecorded
            .iter()
            .map(|(sequence, details)| {
                let event = own::event(OwnKind::Gap, *sequence, origin, details);
                intake::submit(&event, &self.queue)
            })
            .collect();
        // All are waited for, whatever becomes of one: what is recorded is counted from the log.
        let answers = answers.into_iter();
        let answers: Vec<_> = answers
            .map(|answer| block_on(intake::written(answer)))
            .collect();
        answers
            .into_iter()
            .try_for_each(|answer| answer.map(|_| ()))
    }
}
