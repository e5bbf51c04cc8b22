//! Following the log, behind the commits.

use std::time::Duration;

use crate::error::StoreError;
use crate::head::Published;

/// How long it gathers before it looks for what is new.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long it waits after an error before it tries again.
const RETRY: Duration = Duration::from_secs(10);

/// Catches up with the log whenever it has grown, until it is closed. Where `catch_up` says that there is
/// more to do, or fails, it is called again though nothing new is written.
pub(crate) fn follow(
    published: &Published,
    mut catch_up: impl FnMut() -> Result<bool, StoreError>,
) {
    let mut size = 0;
    loop {
        let caught_up = catch_up();
        if !matches!(caught_up, Ok(true)) {
            size = 0;
        }
        published.pause(match caught_up {
            Ok(_) => INTERVAL,
            Err(_) => RETRY,
        });
        let (head, closed) = published.wait_beyond(size);
        if closed {
            return;
        }
        size = head.size();
    }
}
