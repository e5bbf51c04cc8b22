#![allow(clippy::unwrap_used)]

use fieldledger_audit::validate;
use fieldledger_chance::proptest_config;
use fieldledger_wire::batch::{Attestation, Calibration, Range};
use proptest::prelude::*;

use super::*;

const ID: &str = "6b1c4f0e-0000-4000-8000-0123456789ab";
const AT: u64 = 1_767_323_045_000_006;

fn sensor() -> SensorProfile {
    SensorProfile {
        id: ID.into(),
        alias: "boiler_1".into(),
        location: "Boiler Room".into(),
        unit: String::new(),
        range: None,
        calibration: None,
    }
}

/// One result of one sensor, good unless changed.
fn batch(change: impl FnOnce(&mut PollBatch)) -> PollBatch {
    let mut batch = PollBatch {
        id: "batch".into(),
        epoch: "epoch".into(),
        sensors: vec![sensor()],
        sensor: vec![0],
        poll: vec![7],
        polled_at: vec![AT],
        received_at: vec![AT + 900],
        outcome: vec![Outcome::Value],
        text: vec!["21.370".into()],
        boot: vec![String::new()],
        sequence: vec![None],
        device_at: vec![None],
        unit: vec![String::new()],
        sequence_reused: vec![false],
        device_up: vec![None],
        attestation: vec![Attestation::Unsigned],
        evidence: vec![String::new()],
    };
    change(&mut batch);
    batch
}

fn graded(change: impl FnOnce(&mut PollBatch)) -> EventColumns {
    let events = grade_batch(&batch(change)).unwrap();
    assert_eq!(validate::validate(&events), Ok(()));
    events
}

/// Quality, status, `new` and reason.
fn outcome_of(events: &EventColumns) -> (Quality, &str, &str, String) {
    let reading = Recorded::parse(&events.message[0]).unwrap();
    assert_eq!(reading.value.as_deref().unwrap_or(""), events.new[0]);
    let reason = reading.reason.unwrap_or_default().into_owned();
    (reading.quality, &events.status[0], &events.new[0], reason)
}

#[test]
fn a_good_reading_is_exact() {
    let events = graded(|_| {});
    let expected = EventColumns {
        producer: vec![format!("poll/{ID}/epoch")],
        sequence: vec![7],
        message: vec![format!(
            r#"{{"attestation":"unsigned","poll":"epoch/7","polled_at":{AT},"quality":"Good","raw":"21.370","received_at":{},"value":"21.370"}}"#,
            AT + 900
        )],
        actor: vec!["boiler_1".into()],
        action: vec!["SENSOR_READING".into()],
        new: vec!["21.370".into()],
        old: vec![],
        source: vec![ID.into()],
        status: vec!["SUCCESS".into()],
        target: vec!["Boiler Room".into()],
        tenant_id: vec![],
        timestamp: vec!["2026-01-02T03:04:05.000006Z".into()],
        signature: vec![],
        public_key: vec![],
    };
    assert_eq!(events, expected);
}

#[test]
fn no_reply_has_no_raw_text_and_no_value() {
    let events = graded(|batch| {
        batch.outcome = vec![Outcome::NoReply];
        batch.text = vec![String::new()];
    });
    assert!(!events.message[0].contains("raw"));
    let (quality, status, new, reason) = outcome_of(&events);
    assert_eq!(
        (quality, status, new),
        (Quality::BadNoCommunication, "COMM_ERROR", "")
    );
    assert_eq!(reason, "no answer within the poll's timeout");
}

#[test]
fn unreadable_answers_keep_their_text() {
    for (outcome, text) in [
        (Outcome::Unparsable, "warm\n"),
        (Outcome::Unparsable, ""),
        (Outcome::Value, "NaN"),
        (Outcome::Value, "1e999"),
        (Outcome::Value, "0x10"),
    ] {
        let events = graded(|batch| {
            batch.outcome = vec![outcome];
            batch.text = vec![text.into()];
        });
        let (quality, status, new, _) = outcome_of(&events);
        assert_eq!(
            (quality, status, new),
            (Quality::BadDecodingError, "VALUE_ERROR", ""),
            "{text:?}"
        );
        assert_eq!(
            Recorded::parse(&events.message[0]).unwrap().raw.unwrap(),
            text
        );
    }
}

#[test]
fn out_of_range_is_recorded_and_flagged() {
    let range = |low, high| graded(|batch| batch.sensors[0].range = Some(Range { low, high }));
    assert_eq!(outcome_of(&range(21.37, 21.37)).0, Quality::Good);
    let events = range(30.0, 90.5);
    let (quality, status, new, reason) = outcome_of(&events);
    assert_eq!(quality, Quality::UncertainEngineeringUnitsExceeded);
    assert_eq!((status, new), ("SUCCESS", "21.370"));
    assert_eq!(
        reason,
        "21.37 lies outside the declared range of 30 to 90.5"
    );
}

#[test]
fn calibration_keeps_the_raw_text_and_ranges_hold_after_it() {
    let calibrate = |base, scale, offset| {
        graded(|batch| {
            batch.text = vec!["512".into()];
            batch.sensors[0].calibration = Some(Calibration {
                base,
                scale,
                offset,
            });
            batch.sensors[0].range = Some(Range {
                low: -50.0,
                high: 50.0,
            });
        })
    };
    let events = calibrate(500.0, 0.25, -1.5);
    assert_eq!(
        outcome_of(&events),
        (Quality::Good, "SUCCESS", "1.5", String::new())
    );
    assert_eq!(
        Recorded::parse(&events.message[0]).unwrap().raw.unwrap(),
        "512"
    );

    let events = calibrate(0.0, f64::MAX, 0.0);
    let (quality, status, new, _) = outcome_of(&events);
    assert_eq!(
        (quality, status, new),
        (Quality::BadConfigurationError, "VALUE_ERROR", "")
    );
}

#[test]
fn contradicting_units_take_the_value_away() {
    let units = |declared: &str, replied: &str| {
        graded(|batch| {
            batch.sensors[0].unit = declared.into();
            batch.unit = vec![replied.into()];
        })
    };
    let events = units("bar", "mbar");
    let (quality, status, new, reason) = outcome_of(&events);
    assert_eq!(
        (quality, status, new),
        (Quality::BadConfigurationError, "VALUE_ERROR", "")
    );
    assert_eq!(reason, "the reply is in mbar, but the sensor declared bar");
    let reading = Recorded::parse(&events.message[0]).unwrap();
    assert_eq!(
        (reading.raw.unwrap(), reading.unit.unwrap()),
        ("21.370".into(), "bar".into())
    );

    for (declared, replied) in [("bar", "bar"), ("bar", ""), ("", "bar")] {
        let events = units(declared, replied);
        assert_eq!(outcome_of(&events).0, Quality::Good);
        assert_eq!(
            Recorded::parse(&events.message[0]).unwrap().unit.unwrap(),
            "bar"
        );
    }
}

#[test]
fn the_worst_finding_wins_and_all_are_named() {
    let events = graded(|batch| {
        batch.outcome = vec![Outcome::Late];
        batch.sequence_reused = vec![true];
        batch.sensors[0].range = Some(Range {
            low: 0.0,
            high: 1.0,
        });
    });
    let (quality, _, new, reason) = outcome_of(&events);
    assert_eq!(
        (quality, new),
        (Quality::UncertainEngineeringUnitsExceeded, "21.370")
    );
    let reasons: Vec<&str> = reason.split("; ").collect();
    assert_eq!(reasons.len(), 3);
    assert!(reasons[1].contains("sequence") && reasons[2].contains("given up"));
}

#[test]
fn producers_follow_the_table() {
    let origin = |outcome, boot: &str, sequence, reused| {
        let events = graded(|batch| {
            batch.outcome = vec![outcome];
            batch.boot = vec![boot.into()];
            batch.sequence = vec![sequence];
            batch.sequence_reused = vec![reused];
        });
        (events.producer[0].clone(), events.sequence[0])
    };
    let reading = (format!("reading/{ID}/b"), 3);
    let poll = (format!("poll/{ID}/epoch"), 7);
    let late = (format!("late/{ID}/epoch"), 7);
    assert_eq!(origin(Outcome::Value, "b", Some(3), false), reading);
    assert_eq!(origin(Outcome::Late, "b", Some(3), false), reading);
    // What a device sends again as history is the reading that its answer was.
    assert_eq!(origin(Outcome::Historical, "b", Some(3), false), reading);
    assert_eq!(origin(Outcome::Value, "b", Some(3), true), poll);
    assert_eq!(origin(Outcome::Value, "", Some(3), false), poll);
    assert_eq!(origin(Outcome::Value, "b", None, false), poll);
    assert_eq!(origin(Outcome::NoReply, "", None, false), poll);
    assert_eq!(origin(Outcome::Late, "", None, false), late);
    assert_eq!(origin(Outcome::Late, "b", Some(3), true), late);
}

#[test]
fn contradicting_batches_are_refused_by_column_and_row() {
    let refusal = |change: fn(&mut PollBatch)| grade_batch(&batch(change)).unwrap_err().to_string();
    assert_eq!(
        refusal(|batch| batch.text.clear()),
        "column text has 0 items where sensor has 1; it must have as many"
    );
    assert_eq!(
        refusal(|batch| batch.sensor[0] = 1),
        "column sensor, row 0: is 1; it must be below 1, the number of sensors"
    );
    assert!(refusal(|batch| batch.poll[0] = 1 << 53).starts_with("column poll, row 0"));
    assert!(
        refusal(|batch| batch.sequence[0] = Some(1 << 53)).starts_with("column sequence, row 0")
    );
    assert!(refusal(|batch| batch.polled_at[0] = u64::MAX).starts_with("column polled-at, row 0"));
    assert!(
        refusal(|batch| batch.sensors[0].id.make_ascii_uppercase())
            .starts_with("column sensors, row 0")
    );
    assert!(refusal(|batch| batch.epoch.clear()).starts_with("epoch is empty"));
    assert!(
        grade_batch(&PollBatch {
            epoch: "e".into(),
            ..PollBatch::default()
        })
        .unwrap()
        .is_empty()
    );
}

fn any_profile() -> impl Strategy<Value = SensorProfile> {
    let calibration =
        (any::<f64>(), any::<f64>(), any::<f64>()).prop_map(|(base, scale, offset)| Calibration {
            base,
            scale,
            offset,
        });
    let range = (any::<f64>(), any::<f64>()).prop_map(|(low, high)| Range { low, high });
    let option = |strategy| proptest::option::of(strategy);
    (
        ".{0,20}",
        ".{0,20}",
        "(Cel|bar|)",
        option(range),
        proptest::option::of(calibration),
    )
        .prop_map(
            |(alias, location, unit, range, calibration)| SensorProfile {
                alias,
                location,
                unit,
                range,
                calibration,
                ..sensor()
            },
        )
}

fn any_batch() -> impl Strategy<Value = PollBatch> {
    let outcome = proptest::sample::select(vec![
        Outcome::Value,
        Outcome::Unparsable,
        Outcome::NoReply,
        Outcome::Late,
        Outcome::Historical,
    ]);
    let text = prop_oneof![
        any::<String>(),
        any::<f64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,6}[.][0-9]{0,6}",
    ];
    let device = (
        "[a-z0-9]{0,8}",
        proptest::option::of(0_u64..1 << 53),
        any::<Option<u64>>(),
    );
    let attestation = proptest::sample::select(vec![
        Attestation::Unsigned,
        Attestation::Valid,
        Attestation::Unapproved,
        Attestation::Missing,
        Attestation::Invalid,
        Attestation::Retired,
    ]);
    let evidence = "([{]\"sig\":\"[a-z]{0,9}\"[}]|)";
    let signature = (attestation, evidence, any::<Option<u64>>());
    let times = (0_u64..250_000_000_000_000_000, any::<u64>(), 0_u64..1 << 53);
    (
        any_profile(),
        outcome,
        text,
        device,
        times,
        "(Cel|bar|)",
        any::<bool>(),
        signature,
    )
        .prop_map(
            |(profile, outcome, text, device, times, unit, reused, signature)| {
                batch(|batch| {
                    (batch.attestation, batch.evidence, batch.device_up) =
                        (vec![signature.0], vec![signature.1], vec![signature.2]);
                    batch.sensors = vec![profile];
                    batch.outcome = vec![outcome];
                    batch.text = vec![text];
                    (batch.boot, batch.sequence, batch.device_at) =
                        (vec![device.0], vec![device.1], vec![device.2]);
                    (batch.polled_at, batch.received_at, batch.poll) =
                        (vec![times.0], vec![times.1], vec![times.2]);
                    batch.unit = vec![unit];
                    batch.sequence_reused = vec![reused];
                })
            },
        )
}

#[test]
fn a_signed_reading_carries_its_evidence() {
    let events = graded(|batch| {
        batch.attestation = vec![Attestation::Valid];
        batch.evidence = vec![r#"{"sig":"x"}"#.into()];
        (batch.boot, batch.sequence) = (vec!["b".into()], vec![Some(4)]);
        (batch.device_up, batch.unit) = (vec![Some(5)], vec!["Cel".into()]);
    });
    assert_eq!(events.producer[0], format!("reading/{ID}/b"));
    let reading = Recorded::parse(&events.message[0]).unwrap();
    assert_eq!(reading.quality, Quality::Good);
    assert_eq!(reading.attestation, Some(Attestation::Valid));
    assert_eq!(reading.evidence.unwrap().as_str(), r#"{"sig":"x"}"#);
    assert_eq!(reading.device_unit.as_deref(), Some("Cel"));
    assert_eq!(reading.device_up, Some(5));
}

#[test]
fn what_is_not_the_sensors_own_is_no_value_and_takes_no_number() {
    for attestation in [
        Attestation::Missing,
        Attestation::Invalid,
        Attestation::Retired,
    ] {
        let events = graded(|batch| {
            batch.attestation = vec![attestation];
            (batch.boot, batch.sequence) = (vec!["b".into()], vec![Some(4)]);
        });
        assert_eq!(events.producer[0], format!("poll/{ID}/epoch"));
        let (quality, status, new, reason) = outcome_of(&events);
        assert_eq!(quality, Quality::BadSecurityChecksFailed);
        assert_eq!((status, new), (STATUS_VALUE_ERROR, ""));
        assert!(!reason.is_empty());
        let reading = Recorded::parse(&events.message[0]).unwrap();
        assert_eq!(
            (reading.raw.as_deref(), reading.seq),
            (Some("21.370"), Some(4))
        );
    }
}

#[test]
fn what_a_device_held_is_a_reading_of_its_time() {
    let events = graded(|batch| {
        batch.outcome = vec![Outcome::Historical];
        batch.attestation = vec![Attestation::Valid];
        (batch.boot, batch.sequence) = (vec!["b".into()], vec![Some(4)]);
        // Ten minutes before it arrived.
        batch.device_at = vec![Some(batch.polled_at[0])];
        batch.received_at = vec![batch.polled_at[0] + 600_000_000];
    });
    assert_eq!(events.producer[0], format!("reading/{ID}/b"));
    let (quality, status, new, _) = outcome_of(&events);
    assert_eq!((quality, status), (Quality::Good, STATUS_SUCCESS));
    assert!(!new.is_empty());
    let reading = Recorded::parse(&events.message[0]).unwrap();
    assert!(reading.historical && !reading.late);
}

#[test]
fn a_clock_that_is_far_off_is_flagged() {
    for (outcome, offset, flagged) in [
        (Outcome::Value, 0, false),
        (Outcome::Value, 290, false),
        (Outcome::Value, -290, false),
        (Outcome::Value, 310, true),
        (Outcome::Value, -310, true),
        (Outcome::Late, -310, true),
        (Outcome::Historical, -86_400, false),
        (Outcome::Historical, 310, true),
    ] {
        let events = graded(|batch| {
            batch.outcome = vec![outcome];
            batch.received_at = vec![batch.polled_at[0]];
            let at = batch.polled_at[0].checked_add_signed(offset * 1_000_000);
            batch.device_at = vec![at];
        });
        let (quality, _, _, reason) = outcome_of(&events);
        assert_eq!(
            reason.contains("the device's time is 310 s"),
            flagged,
            "{offset}: {reason}"
        );
        if flagged && outcome != Outcome::Late {
            assert_eq!(quality, Quality::UncertainSubNormal);
        }
    }
}

#[test]
fn evidence_that_is_no_object_refuses_the_batch() {
    for evidence in ["x", "7", "[]", "{", "{}{}"] {
        let refused = grade_batch(&batch(|batch| batch.evidence = vec![evidence.into()]));
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("column evidence, row 0"), "{error}");
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn a_graded_reading_parses_back(batch in any_batch()) {
        let events = grade_batch(&batch).unwrap();
        prop_assert_eq!(validate::validate(&events), Ok(()));

        let reading = Recorded::parse(&events.message[0]).unwrap();
        prop_assert_eq!(&reading, &grade(&batch, 0, &batch.sensors[0]).unwrap());
        prop_assert_eq!(reading.to_message(), events.message[0].clone());

        // What the device said is kept as it said it.
        prop_assert_eq!(reading.boot.as_deref().unwrap_or(""), &batch.boot[0]);
        prop_assert_eq!(reading.seq, batch.sequence[0]);
        prop_assert_eq!(reading.device_at, batch.device_at[0]);
        prop_assert_eq!(reading.raw.as_deref().unwrap_or(""), &batch.text[0]);

        // A Bad reading never carries a value, any other always does.
        let bad = reading.quality.severity() == Severity::Bad;
        prop_assert_eq!(reading.value.is_none(), bad);
        prop_assert_eq!(events.new[0].is_empty(), bad);
        prop_assert_eq!(reading.number().is_none(), bad);
        prop_assert_eq!(reading.reason.is_none(), reading.quality == Quality::Good);
        if !bad && batch.sensors[0].calibration.is_none() {
            prop_assert_eq!(&events.new[0], &batch.text[0]);
        }

        // Keys are sorted and nothing is null.
        let json: serde_json::Value = serde_json::from_str(&events.message[0]).unwrap();
        let members = json.as_object().unwrap();
        prop_assert!(members.values().all(|value| !value.is_null() && !value.is_f64()));
        let mut keys: Vec<&String> = members.keys().collect();
        keys.sort_by_key(|key| events.message[0].find(&format!("\"{key}\":")));
        prop_assert!(keys.is_sorted());
    }

    #[test]
    fn any_column_lengths_are_answered(lengths in proptest::collection::vec(0_usize..3, 11)) {
        let batch = batch(|batch| {
            batch.sensor.resize(lengths[0], 0);
            batch.poll.resize(lengths[1], 0);
            batch.polled_at.resize(lengths[2], 0);
            batch.received_at.resize(lengths[3], 0);
            batch.outcome.resize(lengths[4], Outcome::Value);
            batch.text.resize(lengths[5], String::new());
            batch.boot.resize(lengths[6], String::new());
            batch.sequence.resize(lengths[7], None);
            batch.device_at.resize(lengths[8], None);
            batch.unit.resize(lengths[9], String::new());
            batch.sequence_reused.resize(lengths[10], false);
        });
        let even = lengths.iter().all(|length| *length == lengths[0]);
        prop_assert_eq!(grade_batch(&batch).is_ok(), even);
    }
}
