//! The columns of a table of entries.

use std::borrow::Cow;

use fieldledger_api::answers::LogEvent;

use crate::entries;
use crate::event::Envelope;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole number.
    Number,
    /// Microseconds since the Unix epoch.
    Time,
    /// A text.
    Text,
}

/// Names and kinds of the columns. The last one is a number, so that a line of CSV that was cut off
/// can be distinguished from a whole one.
pub(crate) const COLUMNS: [(&str, Kind); 17] = [
    ("index", Kind::Number),
    ("received_at", Kind::Time),
    ("action", Kind::Text),
    ("actor", Kind::Text),
    ("source", Kind::Text),
    ("target", Kind::Text),
    ("status", Kind::Text),
    ("message", Kind::Text),
    ("old", Kind::Text),
    ("new", Kind::Text),
    ("tenant_id", Kind::Text),
    ("timestamp", Kind::Text),
    ("signature", Kind::Text),
    ("public_key", Kind::Text),
    ("removed", Kind::Text),
    ("producer", Kind::Text),
    ("sequence", Kind::Number),
];

/// What a row has in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    /// Nothing.
    Empty,
    /// A number, or a time in microseconds since the Unix epoch.
    Number(u64),
    /// A text.
    Text(Cow<'a, str>),
}

/// The row of an entry.
pub(crate) fn row(entry: &LogEvent) -> [Cell<'_>; COLUMNS.len()] {
    let number = |number: Option<u64>| number.map_or(Cell::Empty, Cell::Number);
    let text = |text: Option<_>| text.map_or(Cell::Empty, Cell::Text);
    let Envelope {
        event,
        signature,
        public_key,
        producer,
        sequence,
        ..
    } = Envelope::read(entries::text(entry));
    let removed = entry.removed.as_ref();
    [
        Cell::Number(entry.leaf_index),
        number(entries::received_at(entry)),
        text(event.action),
        text(event.actor),
        text(event.source),
        text(event.target),
        text(event.status),
        text(event.message),
        text(event.old),
        text(event.new),
        text(event.tenant_id),
        text(event.timestamp),
        text(signature),
        text(public_key),
        text(removed.map(|removed| Cow::Borrowed(removed.kind.name()))),
        text(producer),
        number(sequence),
    ]
}
