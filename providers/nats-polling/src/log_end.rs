//! A log that takes no more entries: why, and whose turn it is to ask it again.
//!
//! A log that is frozen or read-only refuses whatever comes, and trying again soon does not help. All lanes
//! hand their batches to the same log, so what one of them is told counts for all: they wait, and one asks
//! for all of them, rarely. An operator can bring the log back, or link the reader to its successor. A new
//! run begins without this knowledge, so it asks at once.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, watch};

/// How often a log that has ended is asked again. That is a call a minute, which costs nobody anything,
/// and a minute's wait for whoever has brought the log back.
pub(crate) const ASK_AGAIN_EVERY: Duration = Duration::from_secs(60);

/// Whether the log has ended, as far as is known. The last answer of the log counts.
#[derive(Debug, Default)]
pub(crate) struct LogEnd {
    /// Why it takes no more entries; none while it does.
    reason: watch::Sender<Option<String>>,
    /// Held by the lane that asks for all.
    asking: Mutex<()>,
}

impl LogEnd {
    /// Why the log takes no more entries, or none.
    pub(crate) fn reason(&self) -> Option<String> {
        self.reason.borrow().clone()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.reason.borrow().is_some()
    }

    /// The log says that it takes no more entries. True where it did not say that before.
    pub(crate) fn note_ended(&self, reason: &str) -> bool {
        let mut is_news = false;
        self.reason.send_if_modified(|known| {
            is_news = known.is_none();
            let is_other = known.as_deref() != Some(reason);
            if is_other {
                *known = Some(reason.to_owned());
            }
            is_other
        });
        is_news
    }

    /// The log took something, or does not say that it has ended. True where it had said so.
    pub(crate) fn clear(&self) -> bool {
        self.reason
            .send_if_modified(|reason| reason.take().is_some())
    }

    /// Waits until a lane may call the log: no longer than it has not ended, or until it is this lane's turn
    /// to ask for all. It is until the turn is dropped.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let mut reason = self.reason.subscribe();
        tokio::select! {
            // First, lest a lane take the turn of another that has something to ask.
            biased;
            // An error means that nobody can say more, which cannot be while `self` is there.
            _ = reason.wait_for(Option::is_none) => Turn { _asking: None },
            asking = self.turn_to_ask() => Turn { _asking: Some(asking) },
        }
    }

    async fn turn_to_ask(&self) -> MutexGuard<'_, ()> {
        let asking = self.asking.lock().await;
        tokio::time::sleep(ASK_AGAIN_EVERY).await;
        asking
    }
}

/// The right to call the log.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _asking: Option<MutexGuard<'a, ()>>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_lane_asks_for_all_and_all_go_on_together() {
        let end = Arc::new(LogEnd::default());
        let started = Instant::now();
        drop(end.turn().await);
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert!(end.note_ended("frozen"));
        assert!(!end.note_ended("frozen since Monday"));
        assert_eq!(end.reason().as_deref(), Some("frozen since Monday"));

        let mut lanes = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let end = Arc::clone(&end);
            lanes.spawn(async move {
                drop(end.turn().await);
                let asked_after = started.elapsed();
                // The third that asks is told that the log is back.
                if asked_after >= 3 * ASK_AGAIN_EVERY {
                    end.clear();
                }
                asked_after
            });
        }
        let mut asked_after = lanes.join_all().await;
        asked_after.sort();
        assert_eq!(asked_after[..2], [ASK_AGAIN_EVERY, 2 * ASK_AGAIN_EVERY]);
        assert!(
            asked_after[2..]
                .iter()
                .all(|after| *after == 3 * ASK_AGAIN_EVERY)
        );
        assert!(!end.has_ended() && !end.clear());
    }
}
