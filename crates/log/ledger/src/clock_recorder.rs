//! Watches the clock, and writes entries about its steps.

use std::sync::Arc;
use std::time::Duration;

use fieldledger_contract::ledger::ClockProblem;
use fieldledger_formats::own::{self, Details, OwnKind};
use futures::executor::block_on;

use crate::clock_watch::{Change, ClockWatch};
use crate::commit::CommitQueue;
use crate::error::AppendError;
use crate::head::Published;
use crate::intake;

/// How often it looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Sequences are below this, 2^53, and so are times until the year 2255.
const SEQUENCES: u64 = 1 << 53;

/// Records in the log when its clock stepped, and when it can be believed again. What is between the two
/// is marked besides.
pub(crate) struct ClockRecorder {
    pub(crate) watch: Arc<ClockWatch>,
    pub(crate) queue: Arc<CommitQueue>,
    pub(crate) published: Arc<Published>,
}

impl ClockRecorder {
    /// Works until the ledger is closed.
    pub(crate) fn run(self) {
        while !self.published.is_closed() {
            let now = self.watch.look();
            let mut changes = self.watch.take_changes().into_iter();
            while let Some(change) = changes.next() {
                told(change);
                if self.published.ended().is_some() {
                    continue;
                }
                if let Err(error) = self.record(now, change) {
                    tracing::debug!(%error, "a step of the clock could not be recorded; trying again");
                    self.watch
                        .put_back([change].into_iter().chain(changes).collect());
                    break;
                }
            }
            self.published.pause(PAUSE);
        }
    }

    fn record(&self, now: u64, change: Change) -> Result<(), AppendError> {
        let (state, found) = match change {
            Change::Began(found) => ("began", found),
            Change::Stepped(found) => ("stepped again", found),
            Change::Ended(found) => ("ended", found),
        };
        let ClockProblem {
            since,
            offset_micros,
            behind_micros,
        } = found;
        let details = Details::from([
            ("state", state.into()),
            ("since", since.to_string().into()),
            ("offset_micros", offset_micros.into()),
            ("behind_micros", behind_micros.into()),
        ]);
        let origin = &self.published.head().checkpoint.origin;
        // Two changes in one microsecond are of two kinds.
        let sequence = (now * 4 + state.len() as u64 % 4) % SEQUENCES;
        let event = own::event(OwnKind::Clock, sequence, origin, &details);
        block_on(intake::written(intake::submit(&event, &self.queue))).map(|_| ())
    }
}

fn told(change: Change) {
    match change {
        Change::Began(found) | Change::Stepped(found) => {
            tracing::warn!("{found}; entries are marked until it is");
        }
        Change::Ended(found) => {
            let since = found.since.to_string();
            tracing::info!(since, "the server's clock is believed again");
        }
    }
}
