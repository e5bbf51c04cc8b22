//! One event, owned or borrowed, and its canonical JSON.

use fieldledger_contract::limits::{NAME_CHARACTERS, TEXT_CHARACTERS, WORD_CHARACTERS};
use serde::{Deserialize, Serialize};

/// A field of the schema and the most characters it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its key in JSON.
    pub name: &'static str,
    /// Most characters, see [`fieldledger_contract::limits`].
    pub max_characters: usize,
}

/// The fields of an event, sorted by name, with the limits of Pangea's Secure Audit Log.
pub const FIELDS: [Field; 10] = [
    Field {
        name: "action",
        max_characters: WORD_CHARACTERS,
    },
    Field {
        name: "actor",
        max_characters: NAME_CHARACTERS,
    },
    Field {
        name: "message",
        max_characters: TEXT_CHARACTERS,
    },
    Field {
        name: "new",
        max_characters: TEXT_CHARACTERS,
    },
    Field {
        name: "old",
        max_characters: TEXT_CHARACTERS,
    },
    Field {
        name: "source",
        max_characters: NAME_CHARACTERS,
    },
    Field {
        name: "status",
        max_characters: WORD_CHARACTERS,
    },
    Field {
        name: "target",
        max_characters: NAME_CHARACTERS,
    },
    Field {
        name: "tenant_id",
        max_characters: NAME_CHARACTERS,
    },
    Field {
        name: "timestamp",
        max_characters: NAME_CHARACTERS,
    },
];

/// An audit event. An empty string means that the event lacks the field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Event {
    /// What was done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// Who did it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// What happened. Required.
    pub message: String,
    /// The value after the action.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub new: String,
    /// The value before the action.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub old: String,
    /// From where it was done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// How it ended.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// What it was done to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The tenant it belongs to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tenant_id: String,
    /// The client's own time of the event, RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timestamp: String,
}

/// Who numbers an event, and its number: the log appends each such pair once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Not empty, at most 160 bytes.
    pub producer: String,
    /// Below 2^53.
    pub sequence: u64,
}

/// A client's signature of an event, as Pangea's SDKs make it. Empty strings where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Of the event's canonical JSON, base64.
    pub signature: &'a str,
    /// What verifies it: PEM, or a JSON object that holds PEM.
    pub public_key: &'a str,
}

/// Most bytes of a signature, and of a public key.
pub const MAX_SIGNATURE_BYTES: usize = 256;

/// An event that borrows its texts. The fields stand in the order of their names, because the
/// canonical form is what serde makes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EventRow<'a> {
    /// What was done.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub action: &'a str,
    /// Who did it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub actor: &'a str,
    /// What happened. Required.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub message: &'a str,
    /// The value after the action.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub new: &'a str,
    /// The value before the action.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub old: &'a str,
    /// From where it was done.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub source: &'a str,
    /// How it ended.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub status: &'a str,
    /// What it was done to.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub target: &'a str,
    /// The tenant it belongs to.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub tenant_id: &'a str,
    /// The client's own time of the event, RFC 3339.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub timestamp: &'a str,
}

impl Event {
    /// The same event, borrowed.
    #[must_use]
    pub fn row(&self) -> EventRow<'_> {
        EventRow {
            action: &self.action,
            actor: &self.actor,
            message: &self.message,
            new: &self.new,
            old: &self.old,
            source: &self.source,
            status: &self.status,
            target: &self.target,
            tenant_id: &self.tenant_id,
            timestamp: &self.timestamp,
        }
    }

    /// The text of field `name`, to be changed; none where the schema has no such field.
    pub fn field_mut(&mut self, name: &str) -> Option<&mut String> {
        match name {
            "action" => Some(&mut self.action),
            "actor" => Some(&mut self.actor),
            "message" => Some(&mut self.message),
            "new" => Some(&mut self.new),
            "old" => Some(&mut self.old),
            "source" => Some(&mut self.source),
            "status" => Some(&mut self.status),
            "target" => Some(&mut self.target),
            "tenant_id" => Some(&mut self.tenant_id),
            "timestamp" => Some(&mut self.timestamp),
            _ => None,
        }
    }
}

impl<'a> EventRow<'a> {
    /// The texts in the order of [`FIELDS`].
    #[must_use]
    pub fn values(&self) -> [&'a str; FIELDS.len()] {
        [
            self.action,
            self.actor,
            self.message,
            self.new,
            self.old,
            self.source,
            self.status,
            self.target,
            self.tenant_id,
            self.timestamp,
        ]
    }

    /// The text of field `name`; none where the event lacks it or the schema has no such field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let position = FIELDS.iter().position(|field| field.name == name)?;
        let text = self.values()[position];
        (!text.is_empty()).then_some(text)
    }

    /// The same event, owned.
    #[must_use]
    pub fn to_event(&self) -> Event {
        Event {
            action: self.action.to_owned(),
            actor: self.actor.to_owned(),
            message: self.message.to_owned(),
            new: self.new.to_owned(),
            old: self.old.to_owned(),
            source: self.source.to_owned(),
            status: self.status.to_owned(),
            target: self.target.to_owned(),
            tenant_id: self.tenant_id.to_owned(),
            timestamp: self.timestamp.to_owned(),
        }
    }

    /// Canonical JSON: sorted keys, no spaces, raw UTF-8, strings only, absent rather than null.
    ///
    /// Byte for byte what Python's `json.dumps(ensure_ascii=False, sort_keys=True)` and
    /// JavaScript's `JSON.stringify` make of the same event.
    #[must_use]
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).expect("texts have a form in JSON, and memory takes it")
    }
}

#[cfg(test)]
pub(crate) mod strategies {
    use proptest::prelude::*;

    use super::{Event, FIELDS};

    /// Events with any text in any field, `message` never empty; within the limits by far, but for
    /// `timestamp`, which need not be one.
    pub(crate) fn any_event() -> impl Strategy<Value = Event> {
        let text = || prop_oneof![Just(String::new()), any::<String>()];
        (proptest::collection::vec(text(), FIELDS.len()), ".{1,20}").prop_map(|(texts, message)| {
            let mut event = Event::default();
            for (field, text) in FIELDS.iter().zip(texts) {
                if let Some(slot) = event.field_mut(field.name) {
                    *slot = text;
                }
            }
            Event { message, ..event }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::{strategies::any_event, *};

    #[test]
    fn canonical_form_is_exact() {
        let event = Event {
            message: "a\"\\\n\u{1}\u{7f}\u{e9}</".into(),
            actor: "b".into(),
            tenant_id: "c".into(),
            ..Event::default()
        };
        assert_eq!(
            event.row().canonical(),
            "{\"actor\":\"b\",\"message\":\"a\\\"\\\\\\n\\u0001\u{7f}\u{e9}</\",\"tenant_id\":\"c\"}"
        );
    }

    #[test]
    fn fields_are_sorted_and_named_as_in_json() {
        let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        assert!(names.is_sorted());
        let mut event = Event::default();
        for name in &names {
            *event.field_mut(name).unwrap() = format!("<{name}>");
        }
        for (name, value) in names.iter().zip(event.row().values()) {
            assert_eq!(value, format!("<{name}>"));
            assert_eq!(event.row().get(name), Some(value));
        }
        let json: serde_json::Value = serde_json::from_str(&event.row().canonical()).unwrap();
        let keys: Vec<&str> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, names);
        assert!(event.field_mut("other").is_none() && event.row().get("other").is_none());
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn canonical_form_parses_back_and_is_stable(event in any_event()) {
            let canonical = event.row().canonical();
            let parsed: Event = serde_json::from_str(&canonical).unwrap();
            prop_assert_eq!(&parsed, &event);
            prop_assert_eq!(parsed.row().canonical(), canonical.clone());
            prop_assert_eq!(serde_json::to_string(&event).unwrap(), canonical.clone());

            // Keys appear in sorted order in the text itself.
            let mut last = 0;
            for (field, value) in FIELDS.iter().zip(event.row().values()) {
                if value.is_empty() {
                    continue;
                }
                let member = format!("\"{}\":{}", field.name, serde_json::to_string(value).unwrap());
                let position = canonical[last..].find(&member);
                prop_assert!(position.is_some(), "{} not after byte {last} of {canonical}", field.name);
                last += position.unwrap() + member.len();
            }
        }
    }
}
