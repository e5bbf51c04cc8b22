//! Writes entries about gaps.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::executor::block_on;

use super::Gaps;
use crate::config::Clock;
use crate::error::AppendError;
use crate::head::Published;
use crate::intake;
use crate::own::{self, Details, OwnKind};
use crate::queue::Queue;

/// How often it looks whether there is something to tell.
const PAUSE: Duration = Duration::from_millis(500);

/// Entries that are written in one go.
const AT_ONCE: usize = 1_000;

/// Tells the log of gaps that stay open, and of their end. What it has told it knows from the log,
/// so it tells it once, whatever crashes.
pub(crate) struct Recorder {
    pub(crate) gaps: Arc<RwLock<Gaps>>,
    pub(crate) queue: Arc<Queue>,
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
            let gaps = self.gaps.read().unwrap_or_else(PoisonError::into_inner);
            let untold = gaps.untold(self.clock.now(), self.grace, AT_ONCE);
            drop(gaps);
            if let Err(error) = self.tell(&untold) {
                tracing::debug!(%error, "gaps could not be told to the log; trying again");
            }
            self.published.pause(pause);
        }
    }

    fn tell(&self, untold: &[(u64, Details)]) -> Result<(), AppendError> {
        let origin = &self.published.head().checkpoint.origin;
        let answers: Vec<_> = untold
            .iter()
            .map(|(sequence, details)| {
                let event = own::event(OwnKind::Gap, *sequence, origin, details);
                intake::submit(&event, &self.queue)
            })
            .collect();
        // All are waited for, whatever becomes of one: what is told is counted from the log.
        let answers = answers.into_iter();
        let answers: Vec<_> = answers
            .map(|answer| block_on(intake::written(answer)))
            .collect();
        answers
            .into_iter()
            .try_for_each(|answer| answer.map(|_| ()))
    }
}
