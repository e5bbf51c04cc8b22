//! Events as rows of the databases that the ledger is compared with.

use fieldledger_audit::{EventRow, EventRows as _};
use fieldledger_ledger::EventColumns;
use sha2::{Digest, Sha256};

/// A row of a database: the same envelope's bytes, and a hash over it and all before it.
pub(crate) struct Row<'a> {
    pub(crate) producer: &'a str,
    pub(crate) sequence: i64,
    pub(crate) source: &'a str,
    pub(crate) action: &'a str,
    pub(crate) timestamp: &'a str,
    pub(crate) envelope: String,
    pub(crate) hash: [u8; 32],
}

/// The rows for these events, continuing the chain.
pub(crate) fn rows<'a>(events: &'a EventColumns, chain: &mut [u8; 32]) -> Vec<Row<'a>> {
    let row = |(item, event): (usize, EventRow<'a>)| {
        let (producer, sequence) = events.origin(item).unwrap_or_default();
        let canonical = event.canonical();
        let envelope = format!(
            r#"{{"event":{canonical},"producer":"{producer}","received_at":"2026-01-02T03:04:05.000006Z","salt":"_____________________w","sequence":{sequence}}}"#
        );
        *chain = Sha256::new()
            .chain_update(*chain)
            .chain_update(&envelope)
            .finalize()
            .into();
        Row {
            producer,
            sequence: i64::try_from(sequence).unwrap_or(i64::MAX),
            source: event.source,
            action: event.action,
            timestamp: event.timestamp,
            envelope,
            hash: *chain,
        }
    };
    events.rows().enumerate().map(row).collect()
}
