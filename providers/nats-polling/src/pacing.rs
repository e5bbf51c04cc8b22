//! How fast a backlog goes to the log: below what is live, there and at other sites.
//!
//! After an outage hours of results wait in the stream. Handed on as fast as they can be read they would
//! take the log from everybody whose readings are new. So an old batch waits for its turn: so many
//! results a second, and as many again as were polled meanwhile, without which a site that polls more
//! than that would never catch up. Order is kept: what was polled later waits behind.

use std::sync::Arc;
use std::time::Duration;

use fieldledger_wire::batch::PollBatch;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::wall_now;
use crate::progress::Progress;

/// A batch whose newest result is older than this waited for something. Far more than a slow commit.
const LIVE: Duration = Duration::from_secs(10);

/// What was polled longer ago than this is not counted: the backlog itself was polled once.
const COUNTED: Duration = Duration::from_secs(10);

/// Whether the batch comes straight from the field: its newest result did not wait.
pub(crate) fn is_live(batch: &PollBatch) -> bool {
    let newest = batch.received_at.iter().max().copied().unwrap_or(u64::MAX);
    Duration::from_micros(wall_now().saturating_sub(newest)) <= LIVE
}

/// The turn of old batches, for all lanes of an instance together.
#[derive(Debug)]
pub(crate) struct Pacing {
    results_per_second: f64,
    progress: Arc<Progress>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Results that may go now; below zero, so many are to be waited for.
    credit: f64,
    looked: Instant,
    /// Results that had been stored then.
    stored: u64,
}

impl Pacing {
    pub(crate) fn new(results_per_second: u32, progress: Arc<Progress>) -> Self {
        let state = State {
            credit: 0.0,
            looked: Instant::now(),
            stored: progress.results_stored(),
        };
        Self {
            results_per_second: f64::from(results_per_second),
            progress,
            state: Mutex::new(state),
        }
    }

    /// How long the batch is to wait for its turn, which is taken with this.
    pub(crate) fn turn_of(&self, batch: &PollBatch) -> Duration {
        match is_live(batch) {
            true => Duration::ZERO,
            false => self.take(batch.sensor.len()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 results")]
    fn take(&self, results: usize) -> Duration {
        let mut state = self.state.lock();
        let (now, stored) = (Instant::now(), self.progress.results_stored());
        let elapsed = now.duration_since(state.looked).as_secs_f64();
        let share = (COUNTED.as_secs_f64() / elapsed).min(1.0);
        let polled = stored.saturating_sub(state.stored) as f64 * share;
        // What nobody used in a second is gone: a backlog does not begin with a rush.
        let most = self.results_per_second.max(state.credit);
        let unused = (state.credit + elapsed * self.results_per_second).min(most);
        state.credit = unused + polled - results as f64;
        (state.looked, state.stored) = (now, stored);
        Duration::from_secs_f64((-state.credit).max(0.0) / self.results_per_second)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

    use super::*;

    fn batch(results: usize, age: Duration) -> PollBatch {
        let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        PollBatch {
            sensor: vec![0; results],
            received_at: vec![wall_now().saturating_sub(age); results],
            ..PollBatch::default()
        }
    }

    /// Seconds that it takes to hand on so many old batches of 100, each of which takes a hundredth of a
    /// second, while so many results are polled in each second.
    async fn drain(pacing: &Pacing, progress: &Progress, batches: usize, polled: u32) -> f64 {
        let started = Instant::now();
        let mut last = started;
        for _ in 0..batches {
            let turn = pacing.turn_of(&batch(100, Duration::from_secs(60)));
            tokio::time::sleep(turn + Duration::from_millis(10)).await;
            let results = (last.elapsed().as_secs_f64() * f64::from(polled)) as usize;
            last = Instant::now();
            store(progress, results);
        }
        started.elapsed().as_secs_f64()
    }

    fn store(progress: &Progress, results: usize) {
        for _ in 0..results {
            progress.result_buffered();
        }
        progress.batch_stored(results);
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_goes_at_its_rate_and_what_is_live_at_once() {
        let progress = Arc::new(Progress::default());
        let pacing = Pacing::new(1_000, Arc::clone(&progress));
        // 10,000 results at 1,000 a second.
        let seconds = drain(&pacing, &progress, 100, 0).await;
        assert!((9.0..=11.0).contains(&seconds), "{seconds}");
        let live = batch(1_000, Duration::from_secs(1));
        assert_eq!(pacing.turn_of(&live), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_that_polls_more_than_the_rate_catches_up_nevertheless() {
        let progress = Arc::new(Progress::default());
        let pacing = Pacing::new(100, Arc::clone(&progress));
        // Each second brings 900 results while 1,000 go: 10,000 of them in 10 s, not in 100.
        let seconds = drain(&pacing, &progress, 100, 900).await;
        assert!((9.0..=13.0).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_polled_in_the_outage_saves_up_seconds_and_no_more() {
        let progress = Arc::new(Progress::default());
        let pacing = Pacing::new(1_000, Arc::clone(&progress));
        // An hour in which 100 results a second were polled.
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        store(&progress, 360_000);
        let seconds = drain(&pacing, &progress, 100, 0).await;
        assert!((8.0..=10.0).contains(&seconds), "{seconds}");
    }
}
