//! Any JSON value as the text of a field.
//!
//! Values of an event are strings. What else stands in a field of JSON from outside becomes one the
//! way Pangea's clients do it: objects and arrays as compact JSON with sorted keys. Numbers and
//! booleans stay as they were written, so no digit is lost or made up.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting that is kept. Every level reads what is inside it once more, so this also bounds
/// the work to 64 times the length of the text.
pub const MAX_DEPTH: usize = 64;

/// Why a value cannot be kept as text.
#[derive(Debug, thiserror::Error)]
pub enum StringifyError {
    /// Too many brackets within brackets.
    #[error("nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A lone surrogate, most likely. serde_json's words are part of the message, as they are all
    /// there is to say.
    #[error("cannot be kept as text: {0}")]
    Json(String),
}

impl From<serde_json::Error> for StringifyError {
    fn from(error: serde_json::Error) -> Self {
        StringifyError::Json(error.to_string())
    }
}

/// The text of a field; empty for `null`.
///
/// # Errors
///
/// Where the value nests too deep or a string in it is no Unicode text.
pub fn field_text(raw: &RawValue) -> Result<String, StringifyError> {
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'"') => Ok(serde_json::from_str(json)?),
        Some(b'n') => Ok(String::new()),
        _ => sorted(raw),
    }
}

/// Compact JSON with sorted keys and every number as it was written.
///
/// # Errors
///
/// As [`field_text`].
pub fn sorted(raw: &RawValue) -> Result<String, StringifyError> {
    let mut text = String::with_capacity(raw.get().len());
    write_sorted(raw, MAX_DEPTH, &mut text)?;
    Ok(text)
}

fn write_sorted(raw: &RawValue, levels: usize, text: &mut String) -> Result<(), StringifyError> {
    let json = raw.get();
    let first = json.as_bytes().first();
    if levels == 0 && matches!(first, Some(b'[' | b'{')) {
        return Err(StringifyError::TooDeep);
    }
    match first {
        Some(b'[') => {
            text.push('[');
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            for (position, item) in items.into_iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_sorted(item, levels - 1, text)?;
            }
            text.push(']');
        }
        Some(b'{') => {
            text.push('{');
            let mut members: Members<'_> = serde_json::from_str(json)?;
            members.0.sort_by(|(left, _), (right, _)| left.cmp(right));
            for (position, (key, value)) in members.0.into_iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                text.push_str(&serde_json::to_string(&key)?);
                text.push(':');
                write_sorted(value, levels - 1, text)?;
            }
            text.push('}');
        }
        Some(b'"') => {
            let string: Cow<'_, str> = serde_json::from_str(json)?;
            text.push_str(&serde_json::to_string(&string)?);
        }
        _ => text.push_str(json),
    }
    Ok(())
}

/// The members of an object in their order, doubled ones included, values unread.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            members.push((key.0, value));
        }
        Ok(Members(members))
    }
}

/// Borrows where the key holds no escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn stringified(json: &str) -> Result<String, StringifyError> {
        field_text(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn scalars_keep_their_spelling() {
        for (json, text) in [
            ("\"a\\u00e9\\n\"", "a\u{e9}\n"),
            ("1.50", "1.50"),
            ("-0", "-0"),
            ("1e999", "1e999"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("true", "true"),
            ("null", ""),
        ] {
            assert_eq!(stringified(json).unwrap(), text);
        }
    }

    #[test]
    fn objects_become_sorted_compact_json() {
        let text = stringified(r#" { "b" : [ 1 , null, {"z":0.50,"y":"\"\u00e9"} ], "a" : { } } "#);
        assert_eq!(
            text.unwrap(),
            "{\"a\":{},\"b\":[1,null,{\"y\":\"\\\"\u{e9}\",\"z\":0.50}]}"
        );
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(stringified(&nested(MAX_DEPTH)).unwrap(), nested(MAX_DEPTH));
        assert!(matches!(
            stringified(&nested(MAX_DEPTH + 1)),
            Err(StringifyError::TooDeep)
        ));
        assert!(matches!(
            stringified(r#""\ud800""#),
            Err(StringifyError::Json(_))
        ));
        assert!(matches!(
            stringified(r#"{"a":["\ud800"]}"#),
            Err(StringifyError::Json(_))
        ));
    }
}
