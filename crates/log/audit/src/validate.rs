//! Holds events against the limits of the schema and names every fault.

use fieldledger_contract::audit::EventColumns;
use fieldledger_contract::{InvalidField, limits};

use crate::columns::EventRows as _;
use crate::event::{EventRow, FIELDS, MAX_SIGNATURE_BYTES};
use crate::timestamp;

/// Most events in one call.
pub const MAX_EVENTS: usize = 10_000;

/// Most bytes of a producer's name.
pub const MAX_PRODUCER_BYTES: usize = 160;

/// Sequence numbers are below this, 2^53: every JSON reader holds them exactly.
pub const SEQUENCE_END: u64 = 1 << 53;

/// Most faults that are listed; one more item then says how many were left out.
pub const MAX_LISTED: usize = 100;

/// Gathers faults up to [`MAX_LISTED`] and counts the rest.
#[derive(Debug, Default)]
pub struct Problems {
    listed: Vec<InvalidField>,
    left_out: usize,
}

impl Problems {
    /// Notes a fault.
    pub fn add(&mut self, item: usize, field: &str, problem: impl FnOnce() -> String) {
        if self.listed.len() == MAX_LISTED {
            self.left_out += 1;
            return;
        }
        self.listed.push(InvalidField {
            item: u32::try_from(item).unwrap_or(u32::MAX),
            field: field.to_owned(),
            problem: problem(),
        });
    }

    /// Notes what one event has wrong.
    pub fn check_row(&mut self, item: usize, row: &EventRow<'_>) {
        if row.message.is_empty() {
            self.add(item, "message", || {
                "is missing or empty; every event needs one".to_owned()
            });
        }
        for (field, text) in FIELDS.iter().zip(row.values()) {
            if !limits::fits(text, field.max_characters) {
                let most = field.max_characters;
                self.add(item, field.name, || {
                    let found = limits::characters(text);
                    format!("has {found} characters; at most {most} are allowed")
                });
            }
        }
        if !row.timestamp.is_empty() && !timestamp::is_rfc3339(row.timestamp) {
            self.add(item, "timestamp", || {
                "is no RFC 3339 time; it must look like 2026-01-02T03:04:05.000006Z".to_owned()
            });
        }
    }

    /// The faults found, if any.
    ///
    /// # Errors
    ///
    /// The list of faults.
    pub fn into_result(mut self) -> Result<(), Vec<InvalidField>> {
        if self.left_out > 0 {
            self.listed.push(InvalidField {
                item: 0,
                field: String::new(),
                problem: format!("{} more faults are not listed", self.left_out),
            });
        }
        if self.listed.is_empty() {
            Ok(())
        } else {
            Err(self.listed)
        }
    }
}

/// Checks columns as a whole: their lengths, and every event. No events at all are fine.
///
/// # Errors
///
/// Every fault found, at most [`MAX_LISTED`] and one that tells of the rest. Where the lengths of
/// columns are wrong, or there are too many events, only that is listed.
pub fn validate(columns: &EventColumns) -> Result<(), Vec<InvalidField>> {
    let mut problems = Problems::default();
    check_lengths(columns, &mut problems);
    problems.into_result()?;

    let mut problems = Problems::default();
    for (item, row) in columns.rows().enumerate() {
        problems.check_row(item, &row);
        check_origin(columns, item, &mut problems);
        check_signature(columns, item, &mut problems);
    }
    problems.into_result()
}

fn check_lengths(columns: &EventColumns, problems: &mut Problems) {
    let events = columns.len();
    if events > MAX_EVENTS {
        problems.add(0, "message", || {
            format!("has {events} items; at most {MAX_EVENTS} are allowed in one call")
        });
    }
    let lengths = [
        ("producer", columns.producer.len()),
        ("sequence", columns.sequence.len()),
        ("action", columns.action.len()),
        ("actor", columns.actor.len()),
        ("new", columns.new.len()),
        ("old", columns.old.len()),
        ("source", columns.source.len()),
        ("status", columns.status.len()),
        ("target", columns.target.len()),
        ("tenant_id", columns.tenant_id.len()),
        ("timestamp", columns.timestamp.len()),
        ("signature", columns.signature.len()),
        ("public_key", columns.public_key.len()),
    ];
    for (name, length) in lengths {
        if length != 0 && length != events {
            problems.add(0, name, || {
                format!(
                    "has {length} items where message has {events}; it must have as many, or none"
                )
            });
        }
    }
    if !columns.producer.is_empty() && columns.sequence.is_empty() {
        problems.add(0, "sequence", || {
            "is missing; events with a producer need one each".to_owned()
        });
    }
}

fn check_origin(columns: &EventColumns, item: usize, problems: &mut Problems) {
    let producer = columns.producer.get(item).map_or("", String::as_str);
    let sequence = columns.sequence.get(item).copied().unwrap_or(0);
    if producer.len() > MAX_PRODUCER_BYTES {
        let found = producer.len();
        problems.add(item, "producer", || {
            format!("has {found} bytes; at most {MAX_PRODUCER_BYTES} are allowed")
        });
    }
    if producer.is_empty() && sequence != 0 {
        problems.add(item, "sequence", || {
            format!("is {sequence} without a producer; it must be 0 there")
        });
    }
    if sequence >= SEQUENCE_END {
        problems.add(item, "sequence", || {
            format!("is {sequence}; it must be below 2^53")
        });
    }
}

/// Whether the signature is one of the event is for its readers to find out.
fn check_signature(columns: &EventColumns, item: usize, problems: &mut Problems) {
    let signed = columns.signature(item);
    for (name, text) in [
        ("signature", signed.signature),
        ("public_key", signed.public_key),
    ] {
        let found = text.len();
        if found > MAX_SIGNATURE_BYTES {
            problems.add(item, name, || {
                format!("has {found} bytes; at most {MAX_SIGNATURE_BYTES} are allowed")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;
    use crate::event::Event;

    fn one(change: impl FnOnce(&mut EventColumns)) -> Vec<InvalidField> {
        let mut columns = EventColumns::default();
        columns.push(
            Event {
                message: "m".into(),
                ..Event::default()
            },
            None,
        );
        change(&mut columns);
        validate(&columns).err().unwrap_or_default()
    }

    #[test]
    fn limits_are_exact() {
        for field in FIELDS {
            if field.name == "timestamp" {
                continue;
            }
            let most = field.max_characters;
            let lengths = [
                ("x", most, 0),
                ("x", most + 1, 1),
                ("温", most, 0),
                ("温", most + 1, 1),
            ];
            for (character, length, faults) in lengths {
                let mut event = Event {
                    message: "m".into(),
                    ..Event::default()
                };
                *event.field_mut(field.name).unwrap() = character.repeat(length);
                let mut columns = EventColumns::default();
                columns.push(event, None);
                let found = validate(&columns).err().unwrap_or_default();
                assert_eq!(
                    found.len(),
                    faults,
                    "{} with {length} times {character}",
                    field.name
                );
                assert!(found.iter().all(|fault| fault.field == field.name));
            }
        }
    }

    #[test]
    fn faults_are_named() {
        let faults = one(|columns| columns.message[0].clear());
        assert_eq!((faults[0].item, faults[0].field.as_str()), (0, "message"));

        let faults = one(|columns| columns.actor = vec!["a".into(), "b".into()]);
        assert_eq!(faults[0].field, "actor");
        assert_eq!(
            faults[0].problem,
            "has 2 items where message has 1; it must have as many, or none"
        );

        let faults = one(|columns| columns.timestamp = vec!["yesterday".into()]);
        assert_eq!(faults[0].field, "timestamp");

        let faults = one(|columns| columns.producer = vec!["p".into()]);
        assert_eq!(faults[0].field, "sequence");

        let faults = one(|columns| columns.sequence = vec![1]);
        assert_eq!(
            faults[0].problem,
            "is 1 without a producer; it must be 0 there"
        );

        let faults = one(|columns| {
            columns.producer = vec!["p".repeat(161)];
            columns.sequence = vec![1 << 53];
        });
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["producer", "sequence"]);

        let faults = one(|columns| {
            columns.signature = vec!["s".repeat(257)];
            columns.public_key = vec!["k".repeat(257)];
        });
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["signature", "public_key"]);

        assert_eq!(
            one(|columns| {
                columns.signature = vec!["s".repeat(256)];
                columns.producer = vec!["p".repeat(160)];
                columns.sequence = vec![(1 << 53) - 1];
            }),
            []
        );
    }

    #[test]
    fn too_many_events_are_refused() {
        let full = EventColumns {
            message: vec!["m".into(); MAX_EVENTS],
            ..EventColumns::default()
        };
        assert_eq!(validate(&full), Ok(()));
        let over = EventColumns {
            message: vec!["m".into(); MAX_EVENTS + 1],
            ..EventColumns::default()
        };
        assert_eq!(validate(&over).unwrap_err().len(), 1);
        assert_eq!(validate(&EventColumns::default()), Ok(()));
    }

    #[test]
    fn the_list_is_bounded_and_says_so() {
        let columns = EventColumns {
            message: vec![String::new(); 250],
            ..EventColumns::default()
        };
        let faults = validate(&columns).unwrap_err();
        assert_eq!(faults.len(), MAX_LISTED + 1);
        assert_eq!(faults[MAX_LISTED].problem, "150 more faults are not listed");
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_lengths_are_answered(lengths in proptest::collection::vec(0_usize..4, 12)) {
            let texts = |position: usize| vec![String::from("x"); lengths[position]];
            let columns = EventColumns {
                producer: texts(0),
                sequence: vec![1; lengths[1]],
                message: texts(2),
                actor: texts(3),
                action: texts(4),
                new: texts(5),
                old: texts(6),
                source: texts(7),
                status: texts(8),
                target: texts(9),
                tenant_id: texts(10),
                timestamp: vec![],
                signature: texts(11),
                public_key: vec![],
            };
            let uneven = lengths.iter().any(|length| *length != 0 && *length != lengths[2]);
            let verdict = validate(&columns);
            if uneven {
                prop_assert!(verdict.is_err());
            }
        }
    }
}
