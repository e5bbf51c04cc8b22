//! The way to the commit thread. Events are checked where the caller is, so that the commit thread
//! need not do it.

use std::time::Instant;

use fieldledger_audit::EventColumns;
use fieldledger_contract::audit::Written;
use futures::channel::oneshot;

use crate::error::AppendError;
use crate::queue::Queue;
use crate::request::{Request, prepare};

/// What becomes of a request.
pub(crate) type Answer = oneshot::Receiver<Result<Written, AppendError>>;

/// Checks the events and hands them to the commit thread.
///
/// # Errors
///
/// What is wrong with which event, or why nothing can be taken now.
pub(crate) fn submit<C>(events: &EventColumns, queue: &Queue<C>) -> Result<Answer, AppendError> {
    let queued_at = Instant::now();
    let prepared = prepare(events).map_err(AppendError::Invalid)?;
    let (answer, answered) = oneshot::channel();
    let request = Request {
        events: prepared.events,
        bytes: prepared.bytes,
        queued_at,
        answer,
    };
    let queued = queue.push(request);
    queued.map_err(|error| AppendError::Unavailable(error.to_string()))?;
    Ok(answered)
}

/// What became of events that were handed over, once it is known.
pub(crate) async fn written(
    submitted: Result<Answer, AppendError>,
) -> Result<Written, AppendError> {
    submitted?.await.unwrap_or_else(|_canceled| {
        let reason = "it closed before the events were written";
        Err(AppendError::Unavailable(reason.to_owned()))
    })
}
