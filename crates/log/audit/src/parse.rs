//! Events out of JSON that anybody may have written.

use fieldledger_contract::InvalidField;
use serde_json::value::RawValue;

use crate::event::{Event, FIELDS};
use crate::stringify::{self, Members};
use crate::validate::Problems;

/// Most bytes of a hostile key that an error repeats.
const QUOTED_CHARACTERS: usize = 40;

/// Why a text holds no events at all.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The bytes are no text.
    #[error("is no UTF-8 text from byte {at} on; it must be JSON in UTF-8")]
    NotText {
        /// First bad byte.
        at: usize,
    },
    /// The text is no JSON. serde_json's own words are part of the message, because they are short,
    /// repeat nothing of the input and are all there is to say.
    #[error("is no JSON: {problem}")]
    NotJson {
        /// What the parser said, with line and column.
        problem: String,
    },
    /// JSON, but neither an event nor a list.
    #[error(
        "is neither a JSON object nor an array of objects; it must be an event or a list of events"
    )]
    NotEvents,
    /// More events than the caller takes.
    #[error("holds {found} events; at most {most} are allowed in one message")]
    TooMany {
        /// Events in the text.
        found: usize,
        /// Events allowed.
        most: usize,
    },
}

/// What became of one item of the text: an event within the limits of the schema, or its faults.
pub type ParsedEvent = Result<Event, Vec<InvalidField>>;

/// Reads one event, `{…}`, or a list of them, `[{…},…]`.
///
/// A field that is not a string becomes one, see [`mod@stringify`]; `null` means that the field is
/// absent. One faulty item does not spoil the others. Keys outside the schema are faults, because
/// leaving out what somebody wanted logged would be silent loss.
///
/// # Errors
///
/// Where the bytes as a whole cannot be read as at most `most` items.
pub fn parse_events(bytes: &[u8], most: usize) -> Result<Vec<ParsedEvent>, ParseError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ParseError::NotText {
        at: error.valid_up_to(),
    })?;
    let items: Vec<&RawValue> = match text.trim_ascii_start().as_bytes().first() {
        Some(b'[') => serde_json::from_str(text).map_err(not_json)?,
        Some(b'{') => vec![serde_json::from_str(text).map_err(not_json)?],
        _ => {
            serde_json::from_str::<&RawValue>(text).map_err(not_json)?;
            return Err(ParseError::NotEvents);
        }
    };
    if items.len() > most {
        return Err(ParseError::TooMany {
            found: items.len(),
            most,
        });
    }
    Ok(items
        .into_iter()
        .enumerate()
        .map(|(item, raw)| parse_item(item, raw))
        .collect())
}

// By value, because that is what `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
fn not_json(error: serde_json::Error) -> ParseError {
    ParseError::NotJson {
        problem: error.to_string(),
    }
}

fn parse_item(item: usize, raw: &RawValue) -> ParsedEvent {
    let mut problems = Problems::default();
    let mut event = Event::default();
    match serde_json::from_str::<Members<'_>>(raw.get()) {
        Ok(members) => take_members(item, members, &mut event, &mut problems),
        Err(error) if error.is_data() => {
            problems.add(item, "", || {
                "is no JSON object; an event must be one".to_owned()
            });
            return problems.into_result().map(|()| event);
        }
        Err(error) => {
            problems.add(item, "", || format!("cannot be read: {error}"));
            return problems.into_result().map(|()| event);
        }
    }
    problems.check_row(item, &event.row());
    problems.into_result().map(|()| event)
}

fn take_members(item: usize, members: Members<'_>, event: &mut Event, problems: &mut Problems) {
    let mut seen: Vec<String> = Vec::new();
    for (key, value) in members.0 {
        let Some(slot) = event.field_mut(&key) else {
            let shown: String = key.chars().take(QUOTED_CHARACTERS).collect();
            problems.add(item, &shown, || {
                format!("is no field of an event; there are {}", field_names())
            });
            continue;
        };
        if seen.iter().any(|earlier| *earlier == key) {
            problems.add(item, &key, || {
                "is given more than once; it must be given once".to_owned()
            });
            continue;
        }
        match stringify::field_text(value) {
            Ok(text) => *slot = text,
            Err(error) => problems.add(item, &key, || error.to_string()),
        }
        seen.push(key.into_owned());
    }
}

fn field_names() -> String {
    let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;
    use crate::event::strategies::any_event;

    fn one(json: &str) -> ParsedEvent {
        let mut events = parse_events(json.as_bytes(), 10).unwrap();
        assert_eq!(events.len(), 1);
        events.remove(0)
    }

    fn faults(json: &str) -> Vec<(String, String)> {
        let faults = one(json).unwrap_err();
        faults
            .into_iter()
            .map(|fault| (fault.field, fault.problem))
            .collect()
    }

    #[test]
    fn one_event_or_a_list() {
        assert_eq!(one(r#"{"message":"m"}"#).unwrap().message, "m");
        let list = parse_events(br#" [{"message":"m"},{"message":"n"}] "#, 2).unwrap();
        assert_eq!(list[1].as_ref().unwrap().message, "n");
        assert!(parse_events(b"[]", 2).unwrap().is_empty());
    }

    #[test]
    fn values_become_text() {
        let event =
            one(r#"{"message":{"b":1,"a":[2.50]},"new":21.370,"old":null,"status":true}"#).unwrap();
        assert_eq!(event.message, r#"{"a":[2.50],"b":1}"#);
        assert_eq!(
            (
                event.new.as_str(),
                event.old.as_str(),
                event.status.as_str()
            ),
            ("21.370", "", "true")
        );
    }

    #[test]
    fn all_faults_of_an_event_are_named() {
        let json = format!(
            r#"{{"colour":"red","actor":"a","actor":"b","status":"{}","timestamp":"noon"}}"#,
            "s".repeat(33)
        );
        let fields: Vec<String> = faults(&json).into_iter().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            ["colour", "actor", "message", "status", "timestamp"]
        );
    }

    #[test]
    fn one_bad_item_spares_the_others() {
        let list = parse_events(br#"[{"message":"m"},7,{},{"message":"n"}]"#, 10).unwrap();
        let verdicts: Vec<bool> = list.iter().map(Result::is_ok).collect();
        assert_eq!(verdicts, [true, false, false, true]);
        let fault = &list[1].as_ref().unwrap_err()[0];
        assert_eq!(
            (fault.item, fault.problem.as_str()),
            (1, "is no JSON object; an event must be one")
        );
    }

    #[test]
    fn hostile_keys_are_quoted_briefly() {
        let json = format!(r#"{{"message":"m","{}":1}}"#, "\u{e9}".repeat(10_000));
        assert_eq!(faults(&json)[0].0.chars().count(), QUOTED_CHARACTERS);
        assert!(one(r#"{"message":"m","\ud800":1}"#).is_err());
        assert!(one(r#"{"message":"\ud800"}"#).is_err());
    }

    #[test]
    fn whole_texts_are_refused_with_reason() {
        for (bytes, reason) in [
            (
                &b"\xff"[..],
                "is no UTF-8 text from byte 0 on; it must be JSON in UTF-8",
            ),
            (
                b"",
                "is no JSON: EOF while parsing a value at line 1 column 0",
            ),
            (
                b"{\"message\":",
                "is no JSON: EOF while parsing a value at line 1 column 11",
            ),
            (
                b"\"hello\"",
                "is neither a JSON object nor an array of objects; it must be an event or a list of events",
            ),
            (
                b"[{},{},{}]",
                "holds 3 events; at most 2 are allowed in one message",
            ),
        ] {
            assert_eq!(parse_events(bytes, 2).unwrap_err().to_string(), reason);
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn bytes_never_panic(bytes in any::<Vec<u8>>()) {
            let _ = parse_events(&bytes, 100);
        }

        #[test]
        fn json_like_text_never_panics(text in r#"[\[\]{}:,"\\0-9aeu.n -]{0,60}"#) {
            let _ = parse_events(text.as_bytes(), 100);
        }

        #[test]
        fn canonical_events_parse_back(event in any_event()) {
            let mut event = event;
            event.timestamp.clear();
            match one(&event.row().canonical()) {
                Ok(parsed) => {
                    prop_assert_eq!(parsed.row().canonical(), event.row().canonical());
                    prop_assert_eq!(parsed, event);
                }
                Err(faults) => prop_assert!(faults.iter().all(|fault| fault.problem.contains("characters"))),
            }
        }

        #[test]
        fn nested_values_keep_every_digit(
            key in any::<String>(), text in any::<String>(), number in "-?(0|[1-9][0-9]{0,30})([.][0-9]{1,30})?(e[0-9]{1,4})?"
        ) {
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            let value = format!("{{{}:[{},{number}]}}", quoted(&key), quoted(&text));
            let event = one(&format!("{{\"message\": {value} }}"));
            prop_assert_eq!(event.unwrap().message, value);
        }
    }
}
