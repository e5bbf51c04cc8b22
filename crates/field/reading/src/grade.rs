//! Grades poll results: one audit event for each.

use std::borrow::Cow;

use fieldledger_audit::{EventColumns, timestamp, validate};
use fieldledger_wire::batch::{
    Attestation, CLOCK_TOLERANCE, Calibration, Outcome, PollBatch, SensorProfile,
};

use crate::quality::{Quality, Severity};
use crate::record::{
    ACTION, EvidenceText, Recorded, STATUS_COMM_ERROR, STATUS_SUCCESS, STATUS_VALUE_ERROR,
};

/// Why a batch can never be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A column does not have one item per result.
    #[error("column {column} has {found} items where sensor has {expected}; it must have as many")]
    Length {
        /// Name of the column, as in WIT.
        column: &'static str,
        /// Its items.
        found: usize,
        /// Results in the batch.
        expected: usize,
    },
    /// One item is wrong.
    #[error("column {column}, row {row}: {problem}")]
    Item {
        /// Name of the column, as in WIT.
        column: &'static str,
        /// Position in it, from 0.
        row: usize,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The batch does not say which polling run it belongs to.
    #[error("epoch is empty; it must name the polling run")]
    NoEpoch,
}

/// Turns each result of a batch into an audit event, as `ARCHITECTURE.md` describes it.
///
/// The same batch always yields the same events with the same producers and sequences, so that the
/// log recognises a redelivered one.
///
/// # Errors
///
/// Where the batch contradicts itself. What a device did wrong is no error but a quality.
pub fn grade_batch(batch: &PollBatch) -> Result<EventColumns, BatchError> {
    check_lengths(batch)?;
    check_sensors(&batch.sensors)?;
    if batch.epoch.is_empty() {
        return Err(BatchError::NoEpoch);
    }

    let mut events = EventColumns::default();
    for row in 0..batch.sensor.len() {
        push_event(batch, row, &mut events)?;
    }
    Ok(events)
}

fn check_lengths(batch: &PollBatch) -> Result<(), BatchError> {
    let expected = batch.sensor.len();
    for (column, found) in batch.lengths() {
        if found != expected {
            return Err(BatchError::Length {
                column,
                found,
                expected,
            });
        }
    }
    Ok(())
}

fn check_sensors(sensors: &[SensorProfile]) -> Result<(), BatchError> {
    for (row, sensor) in sensors.iter().enumerate() {
        if !is_uuid(&sensor.id) {
            let problem = "id is no UUID in lower-case hyphenated form".to_owned();
            return Err(BatchError::Item {
                column: "sensors",
                row,
                problem,
            });
        }
    }
    Ok(())
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id
            .bytes()
            .enumerate()
            .all(|(position, byte)| match position {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
}

fn push_event(batch: &PollBatch, row: usize, events: &mut EventColumns) -> Result<(), BatchError> {
    let sensor = sensor_of(batch, row)?;
    check_number("poll", row, batch.poll[row])?;
    if let Some(sequence) = batch.sequence[row] {
        check_number("sequence", row, sequence)?;
    }
    let polled_at =
        timestamp::from_micros(batch.polled_at[row]).ok_or_else(|| BatchError::Item {
            column: "polled-at",
            row,
            problem: format!("{} us lies beyond the year 9999", batch.polled_at[row]),
        })?;

    let reading = grade(batch, row, sensor)?;
    let (producer, sequence) = origin(batch, row, sensor);
    events.producer.push(producer);
    events.sequence.push(sequence);
    events.message.push(reading.to_message());
    events.actor.push(sensor.alias.clone());
    events.action.push(ACTION.to_owned());
    events
        .new
        .push(reading.value.map_or_else(String::new, Cow::into_owned));
    events.source.push(sensor.id.clone());
    events.status.push(status(reading.quality).to_owned());
    events.target.push(sensor.location.clone());
    events.timestamp.push(polled_at);
    Ok(())
}

fn sensor_of(batch: &PollBatch, row: usize) -> Result<&SensorProfile, BatchError> {
    let index = batch.sensor[row];
    let sensor = usize::try_from(index)
        .ok()
        .and_then(|index| batch.sensors.get(index));
    sensor.ok_or_else(|| BatchError::Item {
        column: "sensor",
        row,
        problem: format!(
            "is {index}; it must be below {}, the number of sensors",
            batch.sensors.len()
        ),
    })
}

fn check_number(column: &'static str, row: usize, number: u64) -> Result<(), BatchError> {
    if number < validate::SEQUENCE_END {
        return Ok(());
    }
    Err(BatchError::Item {
        column,
        row,
        problem: format!("is {number}; it must be below 2^53"),
    })
}

/// Who numbers the event, and its number.
///
/// A late answer must not share its number with the event that said `no-reply` for the same poll: it
/// would be taken for that one and lost. And what is not the sensor's own must not take a number of
/// the sensor's: its own reading would be taken for that one and lost.
fn origin(batch: &PollBatch, row: usize, sensor: &SensorProfile) -> (String, u64) {
    let id = &sensor.id;
    let boot = &batch.boot[row];
    match batch.sequence[row] {
        Some(sequence)
            if !boot.is_empty()
                && !batch.sequence_reused[row]
                && batch.attestation[row].is_credible() =>
        {
            (format!("reading/{id}/{boot}"), sequence)
        }
        _ if batch.outcome[row] == Outcome::Late => {
            (format!("late/{id}/{}", batch.epoch), batch.poll[row])
        }
        _ => (format!("poll/{id}/{}", batch.epoch), batch.poll[row]),
    }
}

/// The original's outcome of a poll. Any answer without a usable value counts as `VALUE_ERROR`.
fn status(quality: Quality) -> &'static str {
    match (quality, quality.severity()) {
        (Quality::BadNoCommunication, _) => STATUS_COMM_ERROR,
        (_, Severity::Bad) => STATUS_VALUE_ERROR,
        _ => STATUS_SUCCESS,
    }
}

fn grade<'a>(
    batch: &'a PollBatch,
    row: usize,
    sensor: &'a SensorProfile,
) -> Result<Recorded<'a>, BatchError> {
    let text = batch.text[row].as_str();
    let outcome = batch.outcome[row];
    let answered = outcome != Outcome::NoReply;
    let mut findings = Findings::default();

    let value = engineering_value(outcome, text, sensor, &mut findings);
    check_unit(&batch.unit[row], &sensor.unit, &mut findings);
    check_attestation(batch.attestation[row], &mut findings);
    if let Some(value) = &value {
        check_range(value.number, sensor, &mut findings);
    }
    check_clock(batch, row, &mut findings);
    if answered && batch.sequence_reused[row] {
        findings.add(Quality::UncertainSubNormal, || {
            "the device repeated or turned back its sequence number".to_owned()
        });
    }
    if outcome == Outcome::Late {
        findings.add(Quality::UncertainLastUsableValue, || {
            "the answer came after its poll had been given up".to_owned()
        });
    }

    let (quality, reason) = findings.verdict();
    let usable = quality.severity() != Severity::Bad;
    Ok(Recorded {
        attestation: answered.then_some(batch.attestation[row]),
        boot: present(&batch.boot[row]),
        device_at: batch.device_at[row],
        device_unit: (!batch.evidence[row].is_empty())
            .then_some(Cow::Borrowed(batch.unit[row].as_str())),
        device_up: batch.device_up[row],
        evidence: evidence(batch, row)?,
        historical: outcome == Outcome::Historical,
        late: outcome == Outcome::Late,
        poll: Cow::Owned(format!("{}/{}", batch.epoch, batch.poll[row])),
        polled_at: batch.polled_at[row],
        quality,
        raw: (answered || !text.is_empty()).then_some(Cow::Borrowed(text)),
        reason: reason.map(Cow::Owned),
        received_at: batch.received_at[row],
        seq: batch.sequence[row],
        unit: present(&sensor.unit).or_else(|| present(&batch.unit[row])),
        value: value.filter(|_| usable).map(|value| value.text),
    })
}

fn evidence(batch: &PollBatch, row: usize) -> Result<Option<EvidenceText<'_>>, BatchError> {
    let text = batch.evidence[row].as_str();
    if text.is_empty() {
        return Ok(None);
    }
    let evidence = EvidenceText::new(text).map_err(|error| BatchError::Item {
        column: "evidence",
        row,
        problem: format!("is no JSON object: {error}"),
    });
    evidence.map(Some)
}

fn present(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

/// A finite engineering value, as a number and as it is recorded.
struct EngineeringValue<'a> {
    number: f64,
    text: Cow<'a, str>,
}

fn engineering_value<'a>(
    outcome: Outcome,
    text: &'a str,
    sensor: &SensorProfile,
    findings: &mut Findings,
) -> Option<EngineeringValue<'a>> {
    match outcome {
        Outcome::NoReply => {
            findings.add(Quality::BadNoCommunication, || {
                "no answer within the poll's timeout".to_owned()
            });
            return None;
        }
        Outcome::Unparsable => {
            findings.add(Quality::BadDecodingError, || {
                "the answer is no number".to_owned()
            });
            return None;
        }
        Outcome::Value | Outcome::Late | Outcome::Historical => {}
    }
    let Some(raw) = text.parse().ok().filter(|raw: &f64| raw.is_finite()) else {
        findings.add(Quality::BadDecodingError, || {
            "the answer is no finite number".to_owned()
        });
        return None;
    };
    let Some(calibration) = &sensor.calibration else {
        return Some(EngineeringValue {
            number: raw,
            text: Cow::Borrowed(text),
        });
    };
    let number = calibrated(raw, calibration);
    if !number.is_finite() {
        findings.add(Quality::BadConfigurationError, || {
            "the calibration makes no finite number of the raw value".to_owned()
        });
        return None;
    }
    // The fewest digits that name this float, and never an exponent.
    Some(EngineeringValue {
        number,
        text: Cow::Owned(number.to_string()),
    })
}

fn calibrated(raw: f64, calibration: &Calibration) -> f64 {
    (raw - calibration.base) * calibration.scale + calibration.offset
}

/// What a device says of the time is kept as it says it, and flagged where it cannot be.
fn check_clock(batch: &PollBatch, row: usize, findings: &mut Findings) {
    let Some(device_at) = batch.device_at[row] else {
        return;
    };
    let ahead = device_at.saturating_sub(batch.received_at[row]);
    // A value that was kept is older than any poll.
    let behind = match batch.outcome[row] {
        Outcome::Historical => 0,
        _ => batch.polled_at[row].saturating_sub(device_at),
    };
    let off = ahead.max(behind);
    if off > CLOCK_TOLERANCE {
        let seconds = off / 1_000_000;
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        findings.add(Quality::UncertainSubNormal, || {
            format!("the device's time is {seconds} s {side} the server's")
        });
    }
}

/// Both units name the engineering value. Where they differ there is no telling which is right, and
/// 20 in the wrong unit is worse than no value.
fn check_unit(replied: &str, declared: &str, findings: &mut Findings) {
    if !replied.is_empty() && !declared.is_empty() && replied != declared {
        findings.add(Quality::BadConfigurationError, || {
            format!("the reply is in {replied}, but the sensor declared {declared}")
        });
    }
}

/// A reading that is not the sensor's own is recorded with all that it claims, but not as a value.
fn check_attestation(attestation: Attestation, findings: &mut Findings) {
    let reason = match attestation {
        Attestation::Unsigned | Attestation::Valid | Attestation::Unapproved => return,
        Attestation::Missing => "the sensor has a key, but this is not signed",
        Attestation::Invalid => "the signature is not that of the sensor's key over this reading",
        Attestation::Retired => "it is signed with a key that was retired",
    };
    findings.add(Quality::BadSecurityChecksFailed, || reason.to_owned());
}

fn check_range(value: f64, sensor: &SensorProfile, findings: &mut Findings) {
    if let Some(range) = &sensor.range
        && !(range.low..=range.high).contains(&value)
    {
        findings.add(Quality::UncertainEngineeringUnitsExceeded, || {
            format!(
                "{value} lies outside the declared range of {} to {}",
                range.low, range.high
            )
        });
    }
}

/// What speaks against a value.
#[derive(Default)]
struct Findings(Vec<(Quality, String)>);

impl Findings {
    fn add(&mut self, quality: Quality, reason: impl FnOnce() -> String) {
        self.0.push((quality, reason()));
    }

    /// The worst quality, and all reasons, worst first.
    fn verdict(mut self) -> (Quality, Option<String>) {
        self.0.sort_by_key(|(quality, _)| *quality);
        let Some((worst, _)) = self.0.first() else {
            return (Quality::Good, None);
        };
        let worst = *worst;
        let reasons: Vec<String> = self.0.into_iter().map(|(_, reason)| reason).collect();
        (worst, Some(reasons.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use fieldledger_wire::batch::Range;
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
    fn the_worst_finding_wins_and_all_are_told() {
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
        let refusal =
            |change: fn(&mut PollBatch)| grade_batch(&batch(change)).unwrap_err().to_string();
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
            refusal(|batch| batch.sequence[0] = Some(1 << 53))
                .starts_with("column sequence, row 0")
        );
        assert!(
            refusal(|batch| batch.polled_at[0] = u64::MAX).starts_with("column polled-at, row 0")
        );
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
            (any::<f64>(), any::<f64>(), any::<f64>()).prop_map(|(base, scale, offset)| {
                Calibration {
                    base,
                    scale,
                    offset,
                }
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
    fn what_a_device_kept_is_a_reading_of_its_time() {
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
}
