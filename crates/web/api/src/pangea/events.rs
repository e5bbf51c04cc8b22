//! Events out of requests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use fieldledger_audit::event::MAX_SIGNATURE_BYTES;
use fieldledger_audit::parse::parse_events;
use fieldledger_audit::{EventRows as _, Signature};
use fieldledger_contract::audit::EventColumns;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::{ErrorField, event_field};

/// Most errors that are listed.
const MOST_ERRORS: usize = 100;

/// An event in a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SentEvent {
    pub(super) event: Box<RawValue>,
    pub(super) signature: Option<String>,
    pub(super) public_key: Option<String>,
}

/// Reads the events and checks them. `pointer` leads to each of them in the request.
pub(super) fn columns(
    sent: &[SentEvent],
    pointer: impl Fn(usize) -> String,
) -> Result<EventColumns, Vec<ErrorField>> {
    let mut columns = EventColumns::default();
    let mut errors = Vec::new();
    for (item, sent) in sent.iter().enumerate() {
        let at = pointer(item);
        check_signature(sent, &at, &mut errors);
        if !sent.event.get().starts_with('{') {
            errors.push(ErrorField {
                code: "InvalidObject",
                detail: "event is not a JSON object; it must be one".to_owned(),
                source: format!("{at}/event"),
            });
            continue;
        }
        let at = format!("{at}/event");
        let text = match sent.signed().signature.is_empty() {
            true => with_zoned_time(sent.event.get()),
            // The log holds what was signed as it is.
            false => Cow::Borrowed(sent.event.get()),
        };
        match parse_events(text.as_bytes(), 1).map(Vec::into_iter) {
            Ok(events) => {
                for event in events {
                    match event {
                        Ok(event) => columns.push_signed(event, None, sent.signed()),
                        Err(faults) => {
                            errors.extend(faults.iter().map(|fault| event_field(&at, fault)));
                        }
                    }
                }
            }
            Err(error) => errors.push(ErrorField {
                code: "InvalidObject",
                detail: format!("event {error}"),
                source: at,
            }),
        }
    }
    if errors.is_empty() {
        return Ok(columns);
    }
    errors.truncate(MOST_ERRORS);
    Err(errors)
}

/// SDKs write times that know no zone without one, and mean UTC.
fn with_zone(mut time: String) -> String {
    let clock = time.split_once('T').map(|(_, clock)| clock);
    if clock.is_some_and(|clock| !clock.contains(['Z', 'z', '+', '-'])) {
        time.push('Z');
    }
    time
}

/// The event with a `timestamp` that names its zone: one that names none is in UTC.
fn with_zoned_time(event: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Time<'a> {
        #[serde(borrow)]
        timestamp: Option<&'a RawValue>,
    }
    let as_it_is = Cow::Borrowed(event);
    let Ok(Time {
        timestamp: Some(raw),
    }) = serde_json::from_str::<Time<'_>>(event)
    else {
        return as_it_is;
    };
    let Ok(time) = serde_json::from_str::<String>(raw.get()) else {
        return as_it_is;
    };
    let zoned = with_zone(time.clone());
    if zoned == time {
        return as_it_is;
    }
    // The raw value is a part of the text, so its address says where.
    let start = raw.get().as_ptr() as usize - event.as_ptr() as usize;
    let (before, after) = (&event[..start], &event[start + raw.get().len()..]);
    Cow::Owned(format!("{before}{}{after}", serde_json::Value::from(zoned)))
}

impl SentEvent {
    fn signed(&self) -> Signature<'_> {
        Signature {
            signature: self.signature.as_deref().unwrap_or_default(),
            public_key: self.public_key.as_deref().unwrap_or_default(),
        }
    }
}

/// Whether the signature covers what the log will hold is for readers to find out, but it never can
/// where the log does not hold the event as it was sent.
fn check_signature(sent: &SentEvent, at: &str, errors: &mut Vec<ErrorField>) {
    let signed = sent.signed();
    for (name, text) in [
        ("signature", signed.signature),
        ("public_key", signed.public_key),
    ] {
        if text.len() > MAX_SIGNATURE_BYTES {
            let found = text.len();
            errors.push(ErrorField {
                code: "AboveMaxLength",
                detail: format!(
                    "{name} has {found} bytes; at most {MAX_SIGNATURE_BYTES} are allowed"
                ),
                source: format!("{at}/{name}"),
            });
        }
    }
    if signed.signature.is_empty() {
        return;
    }
    let members: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(sent.event.get()).unwrap_or_default();
    for (name, value) in members {
        let text = value.get();
        if !text.starts_with('"') || text == "\"\"" {
            errors.push(ErrorField {
                code: "InvalidString",
                detail: format!(
                    "{name} of a signed event must be a string that is not empty: the log holds \
                     it as one, and then the signature would not match"
                ),
                source: format!("{at}/event/{name}"),
            });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<EventColumns, Vec<ErrorField>> {
        let sent: Vec<SentEvent> = serde_json::from_str(json).unwrap();
        columns(&sent, |item| format!("/events/{item}"))
    }

    #[test]
    fn events_are_read_with_their_signatures() {
        let events = read(
            r#"[{"event":{"message":"a","new":{"b":1}}},
                {"event":{"message":"c"},"signature":"s","public_key":"k"}]"#,
        )
        .unwrap();
        assert_eq!(events.message, ["a", "c"]);
        assert_eq!(events.new, [r#"{"b":1}"#, ""]);
        assert_eq!(
            (events.signature[1].as_str(), events.public_key[1].as_str()),
            ("s", "k")
        );
    }

    #[test]
    fn a_time_without_zone_is_in_utc() {
        for (sent, logged) in [
            ("2026-01-02T03:04:05.000678", "2026-01-02T03:04:05.000678Z"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05-01:00", "2026-01-02T03:04:05-01:00"),
        ] {
            let event = format!(r#"{{"message":"é","timestamp" : "{sent}","actor":"a"}}"#);
            let columns = read(&format!(r#"[{{"event":{event}}}]"#)).unwrap();
            assert_eq!(columns.timestamp, [logged]);
            assert_eq!((&*columns.message[0], &*columns.actor[0]), ("é", "a"));
        }
        let signed =
            r#"[{"event":{"message":"m","timestamp":"2026-01-02T03:04:05"},"signature":"s"}]"#;
        assert_eq!(read(signed).unwrap_err()[0].code, "BadFormatDateTime");
        assert!(read(r#"[{"event":{"message":"m","timestamp":"noonT"}}]"#).is_err());
    }

    #[test]
    fn every_fault_has_a_code_and_a_place() {
        let long = "x".repeat(257);
        let sent = format!(
            r#"[{{"event":{{"actor":"a"}}}},
                {{"event":{{"message":"m","colour":"red","status":"{}","timestamp":"noon"}}}},
                {{"event":[{{"message":"m"}}]}},
                {{"event":{{"message":"m","new":5}},"signature":"s","public_key":"{long}"}}]"#,
            "s".repeat(33)
        );
        let errors = read(&sent).unwrap_err();
        let found: Vec<(&str, &str)> = errors
            .iter()
            .map(|error| (error.code, error.source.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("FieldRequired", "/events/0/event/message"),
                ("UnexpectedProperty", "/events/1/event/colour"),
                ("AboveMaxLength", "/events/1/event/status"),
                ("BadFormatDateTime", "/events/1/event/timestamp"),
                ("InvalidObject", "/events/2/event"),
                ("AboveMaxLength", "/events/3/public_key"),
                ("InvalidString", "/events/3/event/new"),
            ]
        );
    }
}
