//! From the body of a message to the events that are written.

use fieldledger_audit::parse::{ParsedEvent, parse_events};
use fieldledger_audit::{Event, EventRows as _};
use fieldledger_contract::InvalidField;
use fieldledger_contract::audit::EventColumns;
use fieldledger_contract::limits::{self, NAME_CHARACTERS};
use serde::Serialize;

/// Most bytes of a message.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Most events in a message.
const MAX_EVENTS: usize = 1_000;

/// `action` of the event that tells of refused ones.
const REJECTED: &str = "EVENT_REJECTED";

/// Actions that no message may claim: with the first, anybody could forge a sensor's reading.
const RESERVED_ACTIONS: [&str; 2] = ["SENSOR_READING", REJECTED];

/// Most characters of the reason for a refusal.
const MAX_REASON_CHARACTERS: usize = 500;

/// What a message amounts to.
pub(crate) struct Intake {
    /// The good events, and one that tells of the refused ones, if any.
    pub(crate) events: EventColumns,
    /// Why something was refused.
    pub(crate) refusal: Option<String>,
}

/// The message of an [`REJECTED`] event, keys sorted.
#[derive(Serialize)]
struct Rejection<'a> {
    bytes: usize,
    /// Events refused; absent where the message as a whole was.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<usize>,
    reason: &'a str,
    subject: &'a str,
}

/// Sorts good events from bad ones. A bad one does not spoil the others of its message.
pub(crate) fn take_in(subject: &str, body: &[u8]) -> Intake {
    match read(body) {
        Ok(parsed) => sort(subject, body.len(), parsed),
        Err(reason) => {
            let mut events = EventColumns::default();
            let reason = limits::cut(&reason, MAX_REASON_CHARACTERS);
            events.push(rejection(subject, body.len(), None, &reason), None);
            Intake {
                events,
                refusal: Some(reason),
            }
        }
    }
}

fn read(body: &[u8]) -> Result<Vec<ParsedEvent>, String> {
    if body.len() > MAX_BODY_BYTES {
        return Err(format!(
            "message has {} bytes; at most {MAX_BODY_BYTES} are allowed",
            body.len()
        ));
    }
    parse_events(body, MAX_EVENTS).map_err(|error| format!("message {error}"))
}

fn sort(subject: &str, bytes: usize, parsed: Vec<ParsedEvent>) -> Intake {
    let mut events = EventColumns::default();
    let mut refused = 0;
    let mut faults = Vec::new();
    for (item, parsed) in parsed.into_iter().enumerate() {
        match parsed.and_then(|event| without_reserved_action(item, event)) {
            Ok(event) => events.push(event, None),
            Err(found) => {
                refused += 1;
                faults.extend(found);
            }
        }
    }
    if refused == 0 {
        return Intake {
            events,
            refusal: None,
        };
    }
    let reason = limits::cut(&described(&faults), MAX_REASON_CHARACTERS);
    events.push(rejection(subject, bytes, Some(refused), &reason), None);
    Intake {
        events,
        refusal: Some(reason),
    }
}

fn without_reserved_action(item: usize, event: Event) -> ParsedEvent {
    if !RESERVED_ACTIONS.contains(&event.action.as_str()) {
        return Ok(event);
    }
    Err(vec![InvalidField {
        item: u32::try_from(item).unwrap_or(u32::MAX),
        field: "action".to_owned(),
        problem: format!("is {}, which is reserved; it must be another", event.action),
    }])
}

/// Puts in the place of each event that the log names as invalid one that says so, with the same number.
/// False where it names none.
pub(crate) fn reject(subject: &str, events: &mut EventColumns, faults: &[InvalidField]) -> bool {
    let mut found = false;
    for item in 0..events.len() {
        let is_here = |fault: &&InvalidField| {
            usize::try_from(fault.item).is_ok_and(|named| named == item) && !fault.field.is_empty()
        };
        let faults: Vec<InvalidField> = faults.iter().filter(is_here).cloned().collect();
        let Some(row) = events.row(item).filter(|_| !faults.is_empty()) else {
            continue;
        };
        let bytes = row.canonical().len();
        let reason = limits::cut(&described(&faults), MAX_REASON_CHARACTERS);
        events.replace(item, rejection(subject, bytes, Some(1), &reason));
        found = true;
    }
    found
}

fn described(faults: &[InvalidField]) -> String {
    let told: Vec<String> = faults
        .iter()
        .map(|fault| {
            // A field's name can be a hostile key, so it is quoted and escaped.
            let field = if fault.field.is_empty() {
                String::new()
            } else {
                format!(" {:?}", fault.field)
            };
            format!("event {}{field} {}", fault.item, fault.problem)
        })
        .collect();
    told.join("; ")
}

fn rejection(subject: &str, bytes: usize, events: Option<usize>, reason: &str) -> Event {
    let told = Rejection {
        bytes,
        events,
        reason,
        subject: &limits::cut(subject, MAX_REASON_CHARACTERS),
    };
    Event {
        action: REJECTED.to_owned(),
        // A struct of texts and numbers cannot fail to serialise into memory.
        message: serde_json::to_string(&told).unwrap_or_else(|_| REJECTED.to_owned()),
        source: limits::cut(subject, NAME_CHARACTERS),
        status: "VALUE_ERROR".to_owned(),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_audit::validate::validate;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn rejected(intake: &Intake) -> serde_json::Value {
        let last = intake.events.rows().last().unwrap();
        assert_eq!((last.action, last.status), (REJECTED, "VALUE_ERROR"));
        serde_json::from_str(last.message).unwrap()
    }

    #[test]
    fn good_messages_become_their_events() {
        let one = take_in(
            "logins",
            br#"{"message":"in","actor":"ann","action":"LOGIN"}"#,
        );
        assert_eq!(one.events.rows().next().unwrap().actor, "ann");
        let list = take_in("logins", br#"[{"message":"in"},{"message":"out"}]"#);
        assert_eq!((list.events.len(), list.refusal), (2, None));
        assert!(take_in("logins", b"[]").events.is_empty());
    }

    #[test]
    fn bad_events_are_told_of_and_spare_the_others() {
        let intake = take_in("logins", br#"[{"message":"in"},{"massage":"x"},7]"#);
        assert_eq!(intake.events.len(), 2);
        let told = rejected(&intake);
        assert_eq!((&told["events"], &told["bytes"]), (&2.into(), &36.into()));
        assert_eq!(told["subject"], "logins");
        let reason = told["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("event 1 \"massage\" is no field of an event"),
            "{reason}"
        );
        assert!(
            reason.ends_with("event 2 is no JSON object; an event must be one"),
            "{reason}"
        );
    }

    #[test]
    fn what_the_log_refuses_is_told_of_in_its_place() {
        let mut intake = take_in(
            "logins",
            br#"[{"message":"in"},{"message":"x"},{"message":"out"}]"#,
        );
        let fault = InvalidField {
            item: 1,
            field: "message".to_owned(),
            problem: "is not liked".to_owned(),
        };
        assert!(reject("logins", &mut intake.events, &[fault]));
        assert_eq!(validate(&intake.events), Ok(()));
        let rows: Vec<_> = intake.events.rows().collect();
        assert_eq!((rows[0].message, rows[2].message), ("in", "out"));
        assert_eq!((rows[0].action, rows[2].action), ("", ""));
        assert_eq!((rows[1].action, rows[1].status), (REJECTED, "VALUE_ERROR"));
        assert!(
            rows[1]
                .message
                .contains("event 1 \\\"message\\\" is not liked"),
            "{}",
            rows[1].message
        );
        let of_none = InvalidField {
            item: 0,
            field: String::new(),
            problem: "7 more".to_owned(),
        };
        assert!(!reject("logins", &mut intake.events, &[of_none]));
    }

    #[test]
    fn a_name_of_many_bytes_is_no_longer_than_its_characters() {
        let actor = "温".repeat(128);
        let body = format!(
            r#"[{{"message":"m","actor":"{actor}"}},{{"message":"m","actor":"{actor}x"}}]"#
        );
        let intake = take_in("logins", body.as_bytes());
        assert_eq!(intake.events.rows().next().unwrap().actor, actor);
        assert_eq!(rejected(&intake)["events"], 1);
    }

    #[test]
    fn readings_cannot_be_forged() {
        for action in RESERVED_ACTIONS {
            let body = format!(r#"{{"message":"m","action":"{action}"}}"#);
            let intake = take_in("logins", body.as_bytes());
            assert_eq!(intake.events.len(), 1);
            assert_eq!(rejected(&intake)["events"], 1);
        }
    }

    #[test]
    fn unreadable_messages_are_told_of_as_a_whole() {
        let many = format!("[{}{{}}]", "{},".repeat(MAX_EVENTS));
        let long = vec![b' '; MAX_BODY_BYTES + 1];
        for (body, reason) in [
            (&b"\xff\xfe"[..], "message is no UTF-8 text"),
            (b"hello", "message is no JSON"),
            (many.as_bytes(), "message holds 1001 events; at most 1000"),
            (&long, "message has 262145 bytes; at most 262144"),
        ] {
            let intake = take_in("logins", body);
            assert_eq!(intake.events.len(), 1);
            assert!(
                intake.refusal.as_ref().unwrap().starts_with(reason),
                "{:?}",
                intake.refusal
            );
            let told = rejected(&intake);
            assert!(told.get("events").is_none());
            assert_eq!(told["bytes"], body.len());
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn whatever_comes_is_recorded_validly(subject in any::<String>(), body in any::<Vec<u8>>()) {
            let intake = take_in(&subject, &body);
            prop_assert_eq!(validate(&intake.events), Ok(()));
            prop_assert_eq!(intake.refusal.is_some(), intake.events.len() == 1);
        }

        #[test]
        fn long_subjects_and_keys_fit(subject in "\\PC{0,2000}", key in "\\PC{0,3000}") {
            let body = serde_json::json!([{ "message": "m", key: 1 }]).to_string();
            let intake = take_in(&subject, body.as_bytes());
            prop_assert_eq!(validate(&intake.events), Ok(()));
        }
    }
}
