//! From columns to events that are checked and ready to be written. Runs where the caller is, so
//! that the commit thread need not do it.

use std::time::Instant;

use fieldledger_audit::log::Written;
use fieldledger_audit::{EventRows as _, InvalidField, validate};
use futures::channel::oneshot;

use crate::EventColumns;
use crate::error::AppendError;
use crate::gaps::noted_in;
use crate::queue::{PreparedEvent, Queue, Request};
use crate::readings::reading_and_clock;

/// Memory that a queued event takes besides its texts, roughly.
const OVERHEAD_BYTES: usize = 128;

/// Events ready to be queued.
pub(crate) struct Prepared {
    pub(crate) events: Vec<PreparedEvent>,
    /// Memory they take, roughly.
    pub(crate) bytes: usize,
}

/// What becomes of a request.
pub(crate) type Answer = oneshot::Receiver<Result<Written, AppendError>>;

/// Checks the events and hands them to the commit thread.
///
/// # Errors
///
/// What is wrong with which event, or why nothing can be taken now.
pub(crate) fn submit(events: &EventColumns, queue: &Queue) -> Result<Answer, AppendError> {
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

/// Checks the events and puts them in canonical form.
///
/// # Errors
///
/// What is wrong with which event.
pub(crate) fn prepare(columns: &EventColumns) -> Result<Prepared, Vec<InvalidField>> {
    validate::validate(columns)?;
    let mut prepared = Prepared {
        events: Vec::with_capacity(columns.len()),
        bytes: 0,
    };
    for (item, row) in columns.rows().enumerate() {
        let signed = columns.signature(item);
        let (producer, sequence) = columns.origin(item).unwrap_or_default();
        // Where and when it will be logged is not known yet.
        let reading = reading_and_clock(&row, 0, 0);
        let times = reading
            .as_ref()
            .map(|(reading, device_at)| (reading.polled_at, *device_at));
        let event = PreparedEvent {
            producer: producer.to_owned(),
            sequence,
            canonical: row.canonical(),
            signature: signed.signature.to_owned(),
            public_key: signed.public_key.to_owned(),
            noted: noted_in(&row, producer, times),
            reading: reading.map(|(reading, _)| reading),
        };
        prepared.bytes += OVERHEAD_BYTES + event.canonical.len() + event.producer.len();
        prepared.bytes += event.signature.len() + event.public_key.len();
        prepared.events.push(event);
    }
    Ok(prepared)
}
