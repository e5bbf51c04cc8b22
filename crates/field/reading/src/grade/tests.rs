#![allow(clippy::unwrap_used)]

use fieldledger_audit::validate;
use fieldledger_chance::proptest_config;
use fieldledger_wire::batch::{Attestation, Calibration, EARLIEST_TIME, Range};
use proptest::prelude::*;

use super::*;
use crate::kept;

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
        unit_sent: String::new(),
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
        refusal: String::new(),
        remark: vec![String::new()],
        flaw: vec![String::new()],
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
fn batches_whose_results_cannot_be_told_apart_are_refused() {
    let refusal = |change: fn(&mut PollBatch)| grade_batch(&batch(change)).unwrap_err().to_string();
    assert_eq!(
        refusal(|batch| batch.text.clear()),
        "column text has 0 items where sensor has 1; it must have as many"
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

#[test]
fn what_is_wrong_with_one_result_is_said_in_its_event() {
    let told = |change: fn(&mut PollBatch)| {
        let events = graded(change);
        let (quality, _, _, reason) = outcome_of(&events);
        (quality, reason, events)
    };
    let (quality, reason, events) = told(|batch| batch.sensor[0] = 1);
    assert_eq!(quality, Quality::BadConfigurationError);
    assert!(reason.contains("no sensor 1"), "{reason}");
    assert_eq!(events.source[0], "unknown");

    let (quality, reason, _) = told(|batch| batch.sensors[0].id.make_ascii_uppercase());
    assert_eq!(quality, Quality::BadConfigurationError);
    assert!(reason.contains("no UUID"), "{reason}");

    let (quality, reason, events) = told(|batch| {
        (batch.boot[0], batch.sequence[0]) = ("b".into(), Some(1 << 53));
    });
    assert_eq!(quality, Quality::UncertainSubNormal);
    assert!(reason.contains("9007199254740992"), "{reason}");
    assert_eq!(events.producer[0], format!("poll/{ID}/epoch"));
    assert_eq!(events.new[0], "21.370");

    let (_, _, events) = told(|batch| batch.poll[0] = 1 << 53);
    assert_eq!(events.producer[0], "batch/batch");

    let (quality, reason, _) = told(|batch| batch.polled_at[0] = u64::MAX);
    assert_eq!(quality, Quality::UncertainSubNormal);
    assert!(reason.contains("beyond the year 9999"), "{reason}");

    let (_, reason, events) = told(|batch| batch.evidence[0] = "[".into());
    assert!(reason.contains("evidence"), "{reason}");
    assert_eq!(events.new[0], "21.370");

    let (_, reason, events) = told(|batch| batch.sensors[0].alias = "温".repeat(129));
    assert!(reason.contains("128 characters"), "{reason}");
    assert_eq!(events.actor[0], format!("{}…", "温".repeat(127)));

    let (quality, reason, events) = told(|batch| batch.text[0] = "1".repeat(40_000));
    // A float has no such number.
    assert_eq!(quality, Quality::BadDecodingError);
    assert!(reason.contains("is cut"), "{reason}");
    assert_eq!(events.status[0], STATUS_VALUE_ERROR);

    let (quality, reason, events) = told(|batch| batch.refusal = "the reader traps".into());
    assert_eq!(quality, Quality::BadDecodingError);
    assert!(reason.contains("the reader traps"), "{reason}");
    assert_eq!((events.new[0].as_str(), events.sequence[0]), ("", 7));
}

#[test]
fn a_name_of_43_times_three_bytes_is_a_name() {
    let alias = "温".repeat(43);
    let events = graded(|batch| batch.sensors[0].alias = "温".repeat(43));
    assert_eq!(events.actor[0], alias);
    assert_eq!(outcome_of(&events).0, Quality::Good);
}

#[test]
fn what_the_log_refuses_is_kept_in_part_and_its_neighbours_whole() {
    let mut three = batch(|_| {});
    for poll in [8, 9] {
        three.append(batch(|batch| batch.poll[0] = poll)).unwrap();
    }
    let whole = grade_batch(&three).unwrap();
    let mut events = whole.clone();
    let fault = |field: &str, problem: &str| fieldledger_audit::InvalidField {
        item: 1,
        field: field.to_owned(),
        problem: problem.to_owned(),
    };
    let faults = [fault("actor", "is not liked"), fault("new", "has 7 legs")];
    assert_eq!(kept::refused(&mut events, &faults), kept::Kept::Changed(1));
    assert_eq!(validate::validate(&events), Ok(()));
    let reading = Recorded::parse(&events.message[1]).unwrap();
    let reason = reading.reason.unwrap();
    assert!(
        reason.contains("actor is not liked; new has 7 legs"),
        "{reason}"
    );
    assert_eq!(
        (reading.quality, reading.value),
        (Quality::BadDecodingError, None)
    );
    assert_eq!(reading.raw.as_deref(), Some("21.370"));
    assert_eq!(
        (events.actor[1].as_str(), events.status[1].as_str()),
        ("", "VALUE_ERROR")
    );
    // Neighbours, and its own number.
    assert_eq!(events.producer, whole.producer);
    assert_eq!(events.sequence, whole.sequence);
    for neighbour in [0, 2] {
        assert_eq!(events.message[neighbour], whole.message[neighbour]);
        assert_eq!(events.actor[neighbour], whole.actor[neighbour]);
    }
    // The same once more changes nothing: whoever tries again knows when to give up.
    let before = events.clone();
    kept::refused(&mut events, &[]);
    assert_eq!(events, before);
    let beyond = [fieldledger_audit::InvalidField {
        item: 0,
        field: String::new(),
        problem: "9 more faults are not listed".to_owned(),
    }];
    assert_eq!(kept::refused(&mut events, &beyond), kept::Kept::Nothing);
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
fn a_time_that_cannot_be_is_uncertain_and_kept() {
    for outcome in [Outcome::Value, Outcome::Late, Outcome::Historical] {
        for (device_at, said) in [
            (0, "1970-01-01"),
            (86_400_000_000, "1970-01-02"),
            (EARLIEST_TIME - 1, "2019-12-31"),
        ] {
            let events = graded(|batch| {
                batch.outcome = vec![outcome];
                batch.device_at = vec![Some(device_at)];
            });
            let (quality, _, new, reason) = outcome_of(&events);
            assert_eq!(quality.severity(), Severity::Uncertain);
            assert!(!new.is_empty() && reason.contains(said), "{reason}");
            let reading = Recorded::parse(&events.message[0]).unwrap();
            assert_eq!(reading.device_at, Some(device_at));
        }
    }
    // One without a clock is not judged by it.
    let events = graded(|batch| {
        batch.outcome = vec![Outcome::Historical];
        batch.device_up = vec![Some(5)];
    });
    assert_eq!(outcome_of(&events).0, Quality::Good);
}

#[test]
fn what_the_provider_noticed_is_a_reason() {
    let events = graded(|batch| batch.remark = vec!["two devices seem to use this id".into()]);
    let (quality, status, new, reason) = outcome_of(&events);
    assert_eq!(
        (quality, status),
        (Quality::UncertainSubNormal, STATUS_SUCCESS)
    );
    assert!(!new.is_empty());
    assert_eq!(reason, "two devices seem to use this id");
}

#[test]
fn evidence_that_is_no_object_is_left_out() {
    for evidence in ["x", "7", "[]", "{", "{}{}"] {
        let events = grade_batch(&batch(|batch| batch.evidence = vec![evidence.into()])).unwrap();
        let (quality, _, new, reason) = outcome_of(&events);
        assert_eq!((quality, new), (Quality::UncertainSubNormal, "21.370"));
        assert!(reason.contains("is no JSON object"), "{reason}");
        assert_eq!(Recorded::parse(&events.message[0]).unwrap().evidence, None);
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn a_graded_reading_parses_back(batch in any_batch()) {
        let events = grade_batch(&batch).unwrap();
        prop_assert_eq!(validate::validate(&events), Ok(()));

        let reading = Recorded::parse(&events.message[0]).unwrap();
        prop_assert_eq!(&reading, &grade(&batch, 0, &batch.sensors[0], Findings::default()));
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

    /// Between two good results stands one of which anything may be wrong.
    #[test]
    fn a_hostile_result_becomes_an_event_and_costs_no_other(
        names in ("\\PC{0,200}", "\\PC{0,200}", "(\\PC{0,40}|[0-9a-f-]{36})", "\\PC{0,60}"),
        texts in ("\\PC{0,80}", "\\PC{0,200}", "([{]\"a\":\"\\PC{0,9}\"[}]|\\PC{0,40})", 0_usize..2_000),
        numbers in any::<(u64, u64, u64, Option<u64>, Option<u64>)>(),
        sensor in 0_u32..3,
        outcome in 0_usize..5,
        refusal in "(|\\PC{0,300})",
    ) {
        let outcomes =
            [Outcome::Value, Outcome::Unparsable, Outcome::NoReply, Outcome::Late, Outcome::Historical];
        let hostile = batch(|batch| {
            batch.epoch = "epoch".to_owned();
            let profile = &mut batch.sensors[0];
            (profile.alias, profile.location, profile.id) = (names.0, names.1, names.2);
            batch.unit[0] = names.3;
            (batch.boot[0], batch.text[0], batch.evidence[0]) =
                (texts.0, texts.1.repeat(texts.3), texts.2);
            batch.outcome[0] = outcomes[outcome];
            (batch.poll[0], batch.polled_at[0], batch.received_at[0]) =
                (numbers.0, numbers.1, numbers.2);
            (batch.sequence[0], batch.device_at[0]) = (numbers.3, numbers.4);
        });
        let mut all = batch(|batch| batch.poll[0] = 6);
        all.append(hostile).unwrap();
        all.append(batch(|batch| batch.poll[0] = 8)).unwrap();
        // Also where the batch does not have the sensor.
        all.sensor[1] = all.sensor[1].saturating_add(sensor * 2);
        let events = grade_batch(&all).unwrap();
        prop_assert_eq!(validate::validate(&events), Ok(()));
        prop_assert_eq!(events.len(), 3);
        for (item, poll) in [(0, 6), (2, 8)] {
            let good = grade_batch(&batch(|batch| batch.poll[0] = poll)).unwrap();
            prop_assert_eq!(&events.message[item], &good.message[0]);
            prop_assert_eq!(&events.new[item], "21.370");
        }
        let reading = Recorded::parse(&events.message[1]).unwrap();
        prop_assert!(reading.reason.is_some() || reading.quality == Quality::Good);

        // What is left of it where it was refused once is an event as well.
        let kept = grade_batch(&all.what_can_be_kept(&refusal)).unwrap();
        prop_assert_eq!(validate::validate(&kept), Ok(()));
        prop_assert_eq!(kept.len(), 3);
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

#[test]
fn the_reason_of_an_answer_without_a_number_is_what_was_found() {
    let why = "the answer is no number: field value is \"6,3\"; expected a point";
    let events = graded(|batch| {
        batch.outcome[0] = Outcome::Unparsable;
        batch.text[0] = "6,3".into();
        batch.flaw[0] = why.into();
    });
    let (quality, status, value, reason) = outcome_of(&events);
    assert_eq!(
        (quality, status, value),
        (Quality::BadDecodingError, "VALUE_ERROR", "")
    );
    assert_eq!(reason, why);
}

#[test]
fn what_was_left_out_of_an_answer_makes_it_uncertain() {
    let events = graded(|batch| batch.flaw[0] = "field at is \"soon\"; expected a time".into());
    let (quality, status, value, reason) = outcome_of(&events);
    assert_eq!(
        (quality, status, value),
        (Quality::UncertainSubNormal, "SUCCESS", "21.370")
    );
    assert!(reason.contains("field at"));
}

#[test]
fn units_are_compared_by_what_they_mean() {
    let graded_as = |declared: &str, sent: &str| {
        let events = graded(|batch| {
            batch.sensors[0].unit = declared.into();
            batch.unit[0] = sent.into();
        });
        let reading = Recorded::parse(&events.message[0]).unwrap();
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or("").to_owned();
        (
            reading.quality,
            text(&reading.unit),
            text(&reading.device_unit),
        )
    };
    let good = |unit: &str, sent: &str| (Quality::Good, unit.to_owned(), sent.to_owned());
    assert_eq!(graded_as("Cel", "°C"), good("Cel", "°C"));
    assert_eq!(graded_as("", "°C"), good("Cel", "°C"));
    assert_eq!(graded_as("", "Cel"), good("Cel", ""));
    assert_eq!(graded_as("L/min", "l/min"), good("L/min", "l/min"));
    assert_eq!(graded_as("Cel", "°F").0, Quality::BadConfigurationError);
    // Kept, and said of.
    let (quality, unit, _) = graded_as("", "furlongs");
    assert_eq!(
        (quality, unit.as_str()),
        (Quality::UncertainSubNormal, "furlongs")
    );
    assert_eq!(
        graded_as("furlongs", "furlongs").0,
        Quality::UncertainSubNormal
    );
    assert_eq!(
        graded_as("furlongs", "Cel").0,
        Quality::BadConfigurationError
    );
}
