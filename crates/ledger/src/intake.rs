//! From columns to events that are checked and ready to be written. Runs where the caller is, so
//! that the commit thread need not do it.

use fieldledger_audit::{InvalidField, validate};

use crate::EventColumns;
use crate::queue::PreparedEvent;
use crate::readings::reading_of;

/// Memory that a queued event takes besides its texts, roughly.
const OVERHEAD_BYTES: usize = 128;

/// Events ready to be queued.
pub(crate) struct Prepared {
    pub(crate) events: Vec<PreparedEvent>,
    /// Memory they take, roughly.
    pub(crate) bytes: usize,
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
        let event = PreparedEvent {
            producer: producer.to_owned(),
            sequence,
            canonical: row.canonical(),
            signature: signed.signature.to_owned(),
            public_key: signed.public_key.to_owned(),
            // Where and when it will be logged is not known yet.
            reading: reading_of(&row, 0, 0),
        };
        prepared.bytes += OVERHEAD_BYTES + event.canonical.len() + event.producer.len();
        prepared.bytes += event.signature.len() + event.public_key.len();
        prepared.events.push(event);
    }
    Ok(prepared)
}
