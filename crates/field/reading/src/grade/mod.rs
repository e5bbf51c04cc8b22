//! Grades poll results: one audit event for each.
//!
//! | module | holds |
//! |---|---|
//! | `check` | whether a batch holds together |
//! | `value` | from the text of an answer to an engineering value |
//! | `findings` | what speaks against a value, and how much |

mod check;
mod findings;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;

use fieldledger_audit::validate::{MAX_PRODUCER_BYTES, SEQUENCE_END};
use fieldledger_audit::{EventColumns, Origin, timestamp};
use fieldledger_contract::limits;
use fieldledger_wire::batch::{Outcome, PollBatch, SensorProfile};
use fieldledger_wire::unit::understood;

pub use check::BatchError;
use check::{check_lengths, polled_at, sensor_of, sequence_of};
use findings::{
    Findings, check_attestation, check_clock, check_flaw, check_range, check_refusal, check_remark,
    check_unit,
};
use value::engineering_value;

use crate::kept;
use crate::quality::{Quality, Severity};
use crate::record::{
    ACTION, EvidenceText, Recorded, STATUS_COMM_ERROR, STATUS_SUCCESS, STATUS_VALUE_ERROR,
};

/// Turns each result of a batch into an audit event, as `docs/log-format.md` describes it. Each is one that
/// the log takes: what an event has no room for is left out of it, and it says so.
///
/// The same batch always yields the same events with the same producers and sequences, so that the
/// log recognises a redelivered one.
///
/// # Errors
///
/// Where the results of a batch cannot be told apart. What a device did wrong is no error but a quality,
/// and what is wrong with one result says nothing against the others.
pub fn grade_batch(batch: &PollBatch) -> Result<EventColumns, BatchError> {
    check_lengths(batch)?;
    if batch.epoch.is_empty() {
        return Err(BatchError::NoEpoch);
    }

    let mut events = EventColumns::default();
    for row in 0..batch.sensor.len() {
        push_event(batch, row, &mut events);
    }
    Ok(events)
}

fn push_event(batch: &PollBatch, row: usize, events: &mut EventColumns) {
    let mut findings = Findings::default();
    let sensor = sensor_of(batch, row, &mut findings);
    let sequence = sequence_of(batch, row, &mut findings);
    let polled_at = polled_at(batch, row, &mut findings);
    let graded = grade(batch, row, &sensor, findings);
    let reading = kept::within_limits(Recorded {
        polled_at,
        seq: sequence,
        ..graded
    });
    let Origin { producer, sequence } = origin(batch, row, &sensor, sequence);
    events.producer.push(producer);
    events.sequence.push(sequence);
    events.message.push(reading.to_message());
    events.actor.push(sensor.alias.clone());
    events.action.push(ACTION.to_owned());
    events.source.push(sensor.id.clone());
    events.status.push(status(reading.quality).to_owned());
    events.target.push(sensor.location.clone());
    events
        .timestamp
        .push(timestamp::from_micros(polled_at).unwrap_or_default());
    events
        .new
        .push(reading.value.map_or_else(String::new, Cow::into_owned));
}

/// Who numbers the event, and its number.
///
/// A late answer must not share its number with the event that said `no-reply` for the same poll: it
/// would be taken for that one and lost. And what is not the sensor's own must not take a number of
/// the sensor's: its own reading would be taken for that one and lost.
fn origin(batch: &PollBatch, row: usize, sensor: &SensorProfile, sequence: Option<u64>) -> Origin {
    let id = &sensor.id;
    let boot = &batch.boot[row];
    let (producer, sequence) = match sequence {
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
    };
    if producer.len() <= MAX_PRODUCER_BYTES && sequence < SEQUENCE_END {
        return Origin { producer, sequence };
    }
    // No poll is named so, unless a program other than this one made the batch.
    let id = &batch.id[..batch.id.floor_char_boundary(MAX_BATCH_ID_BYTES)];
    Origin {
        producer: format!("batch/{id}"),
        sequence: row as u64,
    }
}

/// Most bytes of a batch's id in the name of a producer.
const MAX_BATCH_ID_BYTES: usize = 128;

/// Most characters of the reason why the quality is not Good.
const MAX_REASON_CHARACTERS: usize = 2_000;

/// The outcome of a poll in the words of the proof of concept this grew out of. Any answer without a usable value counts as `VALUE_ERROR`.
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
    mut findings: Findings,
) -> Recorded<'a> {
    let text = batch.text[row].as_str();
    let outcome = batch.outcome[row];
    let answered = outcome != Outcome::NoReply;

    check_refusal(&batch.refusal, &mut findings);
    let flaw = batch.flaw[row].as_str();
    let sent = batch.unit[row].as_str();
    let value = engineering_value(outcome, text, flaw, sensor, &mut findings);
    // A value that is there: what is said of a missing one is said already.
    if value.is_some() {
        check_flaw(flaw, &mut findings);
    }
    let unit = match sensor.unit.is_empty() {
        true => understood(sent).code,
        false => sensor.unit.clone(),
    };
    check_unit(sent, sensor, value.is_some(), &mut findings);
    check_attestation(batch.attestation[row], &mut findings);
    if let Some(value) = &value {
        check_range(value.number, sensor, &mut findings);
    }
    check_clock(batch, row, &mut findings);
    check_remark(&batch.remark[row], &mut findings);
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

    let evidence = evidence(batch, row, &mut findings);

    let (quality, reason) = findings.verdict();
    let usable = quality.severity() != Severity::Bad;
    Recorded {
        attestation: answered.then_some(batch.attestation[row]),
        boot: present(&batch.boot[row]),
        device_at: batch.device_at[row],
        device_unit: (!batch.evidence[row].is_empty() || (!sent.is_empty() && sent != unit))
            .then_some(Cow::Borrowed(sent)),
        device_up: batch.device_up[row],
        evidence,
        historical: outcome == Outcome::Historical,
        late: outcome == Outcome::Late,
        poll: Cow::Owned(format!("{}/{}", batch.epoch, batch.poll[row])),
        polled_at: batch.polled_at[row],
        quality,
        raw: (answered || !text.is_empty()).then_some(Cow::Borrowed(text)),
        reason: reason.map(|reason| Cow::Owned(limits::cut(&reason, MAX_REASON_CHARACTERS))),
        received_at: batch.received_at[row],
        seq: batch.sequence[row],
        unit: (!unit.is_empty()).then_some(Cow::Owned(unit)),
        value: value.filter(|_| usable).map(|value| value.text),
    }
}

/// The evidence of a signature as the polling provider wrote it.
fn evidence<'a>(
    batch: &'a PollBatch,
    row: usize,
    findings: &mut Findings,
) -> Option<EvidenceText<'a>> {
    let text = batch.evidence[row].as_str();
    if text.is_empty() {
        return None;
    }
    EvidenceText::new(text)
        .inspect_err(|error| {
            findings.add(Quality::UncertainSubNormal, || {
                format!("the evidence of the signature was left out: it is no JSON object: {error}")
            });
        })
        .ok()
}

fn present(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}
