//! An entry as `search` and `tail` show it.

use std::fmt;

use fieldledger_api::answers::LogEvent;
use fieldledger_contract::audit::Removal;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::Envelope;
use crate::output::plain;

/// Characters of a message that are shown in a line of text.
const MESSAGE: usize = 100;

/// The columns of [`Shown::cells`].
pub(crate) const COLUMNS: [&str; 6] = ["entry", "received", "action", "actor", "status", "what"];

/// One entry. In JSON it is whole, and its envelope is the exact text.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    /// Position in the log.
    pub(crate) index: u64,
    /// The envelope; null where it was removed.
    pub(crate) envelope: Option<Box<RawValue>>,
    /// Where the envelope went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) removed: Option<Removal>,
}

impl From<LogEvent> for Shown {
    fn from(entry: LogEvent) -> Self {
        Self {
            index: entry.leaf_index,
            envelope: entry.envelope,
            removed: entry.removed,
        }
    }
}

impl Shown {
    /// The entry in a row.
    pub(crate) fn cells(&self) -> [String; 6] {
        let envelope = Envelope::read(self.envelope.as_deref().map(RawValue::get));
        let event = envelope.event;
        let text = |field: &Option<_>| field.as_deref().map(plain).unwrap_or_default();
        let what = match (&self.removed, &event.new) {
            (Some(removed), _) => format!(
                "({}: {}, as entry {} says)",
                removed.kind.name().replace('_', " "),
                plain(&removed.reason),
                removed.entry
            ),
            // A reading's message is for programs; its value is for people.
            (None, Some(new)) if event.action.as_deref() == Some("SENSOR_READING") => plain(new),
            (None, _) => short(&text(&event.message)),
        };
        [
            self.index.to_string(),
            text(&envelope.received_at),
            text(&event.action),
            text(&event.actor),
            text(&event.status),
            what,
        ]
    }
}

/// One line, for entries that come one after the other.
impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.cells();
        let filled = cells.iter().filter(|cell| !cell.is_empty());
        let filled: Vec<&str> = filled.map(String::as_str).collect();
        formatter.write_str(&filled.join("  "))
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
