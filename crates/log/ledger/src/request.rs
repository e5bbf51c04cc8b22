//! From columns to events that are checked and ready to be written.

use std::time::Instant;

use fieldledger_audit::{EventColumns, EventRows as _, InvalidField, validate};
use fieldledger_contract::audit::Written;
use futures::channel::oneshot;

use crate::claims::Claim;
use crate::error::AppendError;
use crate::gaps::{Noted, noted_in};
use crate::readings::reading_and_told;
use fieldledger_contract::ledger::Reading;

/// Memory that a queued event takes besides its texts, roughly.
const OVERHEAD_BYTES: usize = 128;

/// Events ready to be queued.
pub(crate) struct Prepared {
    pub(crate) events: Vec<PreparedEvent>,
    /// Memory they take, roughly.
    pub(crate) bytes: usize,
}

/// An event, checked and ready to be written.
#[derive(Debug)]
pub(crate) struct PreparedEvent {
    /// Empty where it has none.
    pub(crate) producer: String,
    pub(crate) sequence: u64,
    /// The event's canonical JSON.
    pub(crate) canonical: String,
    /// Its client's signature; empty where it has none, as is `public_key`.
    pub(crate) signature: String,
    pub(crate) public_key: String,
    /// The reading in it; its index and `received_at` are yet to be set.
    pub(crate) reading: Option<Reading>,
    /// What it says about the completeness of the log.
    pub(crate) noted: Option<Noted>,
    /// What it says of the number that the device gave it, if it is such a reading.
    pub(crate) claim: Option<Claim>,
}

/// One call of `append`.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) events: Vec<PreparedEvent>,
    /// Memory it takes, roughly.
    pub(crate) bytes: usize,
    pub(crate) queued_at: Instant,
    pub(crate) answer: oneshot::Sender<Result<Written, AppendError>>,
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
        let reading = reading_and_told(&row, 0, 0);
        let told = reading.as_ref().map(|(_, told)| told);
        // What a client has signed is written as it is or not at all.
        let claim = told.filter(|_| signed.signature.is_empty());
        let event = PreparedEvent {
            producer: producer.to_owned(),
            sequence,
            canonical: row.canonical(),
            signature: signed.signature.to_owned(),
            public_key: signed.public_key.to_owned(),
            noted: noted_in(&row, producer, told),
            claim: claim.and_then(|told| Claim::of(producer, told)),
            reading: reading.map(|(reading, _)| reading),
        };
        prepared.bytes += OVERHEAD_BYTES + event.canonical.len() + event.producer.len();
        prepared.bytes += event.signature.len() + event.public_key.len();
        prepared.events.push(event);
    }
    Ok(prepared)
}
