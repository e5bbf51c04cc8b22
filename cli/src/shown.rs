//! An entry as `search` and `tail` show it.

use std::borrow::Cow;
use std::fmt;

use fieldledger_api::answers::LogEvent;
use fieldledger_contract::audit::Removal;
use serde::{Deserialize, Serialize};
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
            // A reading's message is for programs; its value, or why there is none, is for people.
            (None, value) if event.action.as_deref() == Some(ACTION) => {
                let message = event.message.as_deref().unwrap_or_default();
                let reading = serde_json::from_str(message).ok();
                let value = value.as_deref();
                reading.map_or_else(
                    || short(&plain(value.unwrap_or(message))),
                    |reading: Measured<'_>| reading.text(value),
                )
            }
            (None, _) => short(&text(&event.message)),
        };
        let actor = named(
            event.actor.as_deref().unwrap_or_default(),
            event.source.as_deref().unwrap_or_default(),
        );
        [
            self.index.to_string(),
            text(&envelope.received_at),
            text(&event.action),
            actor,
            text(&event.status),
            what,
        ]
    }
}

/// `action` of an event that holds a reading.
const ACTION: &str = "SENSOR_READING";

/// What a person wants of a reading's message.
#[derive(Deserialize)]
struct Measured<'a> {
    #[serde(borrow)]
    quality: Cow<'a, str>,
    #[serde(borrow)]
    raw: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    unit: Option<Cow<'a, str>>,
}

impl Measured<'_> {
    /// The value with its unit, or what the device sent instead; and where the quality is not Good,
    /// why.
    fn text(&self, value: Option<&str>) -> String {
        let measured = match (value, &self.raw) {
            (Some(value), _) => {
                let unit = self.unit.as_deref().unwrap_or_default();
                Some(plain(format!("{value} {unit}").trim_end()))
            }
            (None, Some(raw)) => Some(format!("\"{}\"", short(&plain(raw)))),
            (None, None) => None,
        };
        let why = match (self.quality.as_ref(), &self.reason) {
            ("Good", None) => None,
            (quality, None) => Some(plain(quality)),
            (quality, Some(reason)) => Some(format!("{}: {}", plain(quality), plain(reason))),
        };
        let parts: Vec<String> = measured.into_iter().chain(why).collect();
        parts.join("  ")
    }
}

/// A name for people: where it is blank, the id in its place.
pub(crate) fn named(name: &str, id: &str) -> String {
    match is_blank(name) && !is_blank(id) {
        true => format!("({})", plain(id)),
        false => plain(name),
    }
}

/// Whether nothing of the text can be seen.
fn is_blank(text: &str) -> bool {
    let is_unseen = |letter: char| {
        letter.is_whitespace()
            || letter.is_control()
            || matches!(
                letter,
                '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                    | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                    | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            )
    };
    text.chars().all(is_unseen)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(event: &serde_json::Value) -> [String; 6] {
        let envelope = json!({"event": event, "received_at": "2026-01-02T03:04:05.000006Z"});
        let shown = Shown {
            index: 7,
            envelope: Some(RawValue::from_string(envelope.to_string()).unwrap()),
            removed: None,
        };
        shown.cells()
    }

    fn reading(message: &serde_json::Value, new: Option<&str>) -> [String; 6] {
        let mut event = json!({
            "action": "SENSOR_READING", "actor": "boiler", "source": "id-1", "message": message.to_string(),
        });
        if let Some(new) = new {
            event["new"] = json!(new);
        }
        row(&event)
    }

    #[test]
    fn a_reading_is_shown_with_its_value_or_why_it_has_none() {
        let good = json!({"quality": "Good", "raw": "21.50", "unit": "Cel", "value": "21.50"});
        assert_eq!(reading(&good, Some("21.50"))[5], "21.50 Cel");
        let text = "n".repeat(300);
        let bad = json!({
            "attestation": "unsigned", "boot": text, "poll": "e/1", "quality": "BadDecodingError",
            "raw": "error \u{1b}[2J", "reason": "the answer is no number",
        });
        assert_eq!(
            reading(&bad, None)[5],
            "\"error \\u{1b}[2J\"  BadDecodingError: the answer is no number"
        );
        let silent = json!({"quality": "BadNoCommunication", "reason": "no answer"});
        assert_eq!(reading(&silent, None)[5], "BadNoCommunication: no answer");
        let doubtful = json!({
            "quality": "UncertainEngineeringUnitsExceeded", "raw": "99", "unit": "Cel",
            "reason": "above the range",
        });
        assert_eq!(
            reading(&doubtful, Some("99"))[5],
            "99 Cel  UncertainEngineeringUnitsExceeded: above the range"
        );
        let forged = row(&json!({"action": "SENSOR_READING", "message": "no json"}));
        assert_eq!(forged[5], "no json");
    }

    #[test]
    fn what_has_a_blank_name_is_shown_by_its_id() {
        let good = json!({"quality": "Good"});
        for blank in ["", "  ", "\u{a0}\u{3000}", "\u{200b}", "\u{3164}"] {
            let event = json!({
                "action": "SENSOR_READING", "actor": blank, "source": "id-1",
                "message": good.to_string(), "new": "1",
            });
            assert_eq!(row(&event)[3], "(id-1)", "{blank:?}");
        }
        assert_eq!(named("boiler", "id-1"), "boiler");
        assert_eq!(named("", ""), "");
    }
}
