//! A moment at which nothing is under way, for a move to another server.

use std::time::Duration;

use crate::progress::Progress;
use crate::storage::Storage;

/// How long polling may stand still before a move: polls end within POLL_TIMEOUT_MS, batches within
/// their age, and what is not delivered by then has a reason that a move does not mend.
const STILL_WITHIN: Duration = Duration::from_secs(10);

/// Pause between two looks whether something has become true.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Holds polling until no poll is under way and no result waits: in memory, nor, where the stream `is_left`
/// behind, in it. False where that does not come about; then polling goes on.
pub(crate) async fn come_to_rest(progress: &Progress, storage: &Storage, is_left: bool) -> bool {
    progress.hold(true);
    let still = tokio::time::timeout(STILL_WITHIN, async {
        while !progress.is_still() || !nothing_waits(progress, storage, is_left).await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    });
    let is_still = still.await.is_ok();
    if !is_still {
        progress.hold(false);
    }
    is_still
}

async fn nothing_waits(progress: &Progress, storage: &Storage, is_left: bool) -> bool {
    let is_delivered = !is_left || matches!(storage.pending().await, Ok(batches) if batches == 0);
    progress.buffered() == 0 && is_delivered
}
