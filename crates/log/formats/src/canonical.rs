//! Whether an envelope is in canonical form.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::envelope::SALT_BYTES;

/// The members that an envelope has, or may have.
const MEMBERS: [&str; 8] = [
    "clock",
    "event",
    "producer",
    "public_key",
    "received_at",
    "salt",
    "sequence",
    "signature",
];

/// What is wrong with an envelope, in words; none if it is as the ledger writes it.
#[must_use]
pub fn problem_with(bytes: &[u8]) -> Option<String> {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return Some(format!("the envelope is not JSON: {error}")),
    };
    let Value::Object(envelope) = &value else {
        return Some("the envelope is not a JSON object".to_owned());
    };
    if let Some(problem) = problem_with_object(envelope) {
        return Some(problem);
    }
    if serde_json::to_vec(&value).ok().as_deref() != Some(bytes) {
        return Some("the envelope is not in canonical form".to_owned());
    }
    if let Some(member) = envelope.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        return Some(format!("the envelope has an unknown member {member:?}"));
    }
    if !envelope.get("event").is_some_and(Value::is_object) {
        return Some("the envelope has no event".to_owned());
    }
    let salt = envelope.get("salt").and_then(Value::as_str);
    let salt = salt.and_then(|salt| BASE64_URL_SAFE_NO_PAD.decode(salt).ok());
    if salt.is_none_or(|salt| salt.len() != SALT_BYTES) {
        return Some(format!("the envelope has no salt of {SALT_BYTES} bytes"));
    }
    if envelope.get("clock").is_some_and(|mark| mark != "stepped") {
        return Some(
            "the envelope's clock is marked with something else than \"stepped\"".to_owned(),
        );
    }
    if envelope.contains_key("producer") != envelope.contains_key("sequence") {
        return Some("the envelope has one of producer and sequence only".to_owned());
    }
    None
}

/// Keys must be sorted, and values neither fractions nor nulls, all the way down.
fn problem_with_object(object: &Map<String, Value>) -> Option<String> {
    if !object.keys().is_sorted() {
        return Some("the envelope's keys are not sorted".to_owned());
    }
    object.iter().find_map(|(key, value)| match value {
        Value::Null => Some(format!("{key:?} in the envelope is null")),
        Value::Number(number) if number.is_f64() => {
            Some(format!("{key:?} in the envelope is a fraction"))
        }
        Value::Object(inner) => problem_with_object(inner),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"event":{"actor":"a","message":"m"},"producer":"p","received_at":"2026-01-02T03:04:05.000006Z","salt":"_____________________w","sequence":7}"#;

    #[test]
    fn what_the_ledger_writes_is_canonical() {
        assert_eq!(problem_with(GOOD.as_bytes()), None);
        let signed = GOOD
            .replacen(",\"received_at", ",\"public_key\":\"k\",\"received_at", 1)
            .replacen("7}", "7,\"signature\":\"s\"}", 1);
        assert_eq!(problem_with(signed.as_bytes()), None);
    }

    #[test]
    fn what_it_does_not_write_is_named() {
        for (from, to, problem) in [
            ("{\"event", "{ \"event", "canonical"),
            ("\"m\"", "\"\\u006d\"", "canonical"),
            (
                r#""actor":"a","message":"m""#,
                r#""message":"m","actor":"a""#,
                "",
            ),
            ("7}", "7.5}", "fraction"),
            ("7}", "null}", "null"),
            ("\"sequence\":7", "\"sequencf\":7", "unknown member"),
            (",\"sequence\":7", "", "one of producer and sequence"),
            ("_w\"", "\"", "salt"),
            ("{\"actor\":\"a\",\"message\":\"m\"}", "5", "no event"),
            ("}", "", "not JSON"),
        ] {
            let changed = GOOD.replacen(from, to, 1);
            assert_ne!(changed, GOOD);
            let said = problem_with(changed.as_bytes());
            assert!(
                said.as_ref().is_some_and(|said| said.contains(problem)),
                "{said:?}"
            );
        }
    }
}
