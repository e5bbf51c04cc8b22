//! Our types as those of the contract.

use fieldledger_attest::identity::Fingerprint;
use fieldledger_polling::{EnrolError, Liveness, SensorState, Standing};
use fieldledger_wire::batch::{Attestation, Outcome, PollBatch, SensorProfile};

use super::bindings::exports::fieldledger::field::registry;
use super::bindings::fieldledger::field::types;
use crate::instance::{EnrolFailure, Status};

pub(crate) fn batch(batch: &PollBatch) -> types::PollBatch {
    let batch = batch.clone();
    types::PollBatch {
        id: batch.id,
        epoch: batch.epoch,
        sensors: batch.sensors.into_iter().map(profile).collect(),
        sensor: batch.sensor,
        poll: batch.poll,
        polled_at: batch.polled_at,
        received_at: batch.received_at,
        outcome: batch.outcome.into_iter().map(outcome).collect(),
        text: batch.text,
        boot: batch.boot,
        sequence: batch.sequence,
        device_at: batch.device_at,
        unit: batch.unit,
        sequence_reused: batch.sequence_reused,
        device_up: batch.device_up,
        attestation: batch.attestation.into_iter().map(attestation).collect(),
        evidence: batch.evidence,
    }
}

fn attestation(attestation: Attestation) -> types::Attestation {
    match attestation {
        Attestation::Unsigned => types::Attestation::Unsigned,
        Attestation::Valid => types::Attestation::Valid,
        Attestation::Unapproved => types::Attestation::Unapproved,
        Attestation::Missing => types::Attestation::Missing,
        Attestation::Invalid => types::Attestation::Invalid,
        Attestation::Retired => types::Attestation::Retired,
    }
}

fn profile(profile: SensorProfile) -> types::SensorProfile {
    types::SensorProfile {
        id: profile.id,
        alias: profile.alias,
        location: profile.location,
        unit: profile.unit,
        range: profile.range.map(|range| types::Range {
            low: range.low,
            high: range.high,
        }),
        calibration: profile.calibration.map(|calibration| types::Calibration {
            base: calibration.base,
            scale: calibration.scale,
            offset: calibration.offset,
        }),
    }
}

fn outcome(outcome: Outcome) -> types::Outcome {
    match outcome {
        Outcome::Value => types::Outcome::Value,
        Outcome::Unparsable => types::Outcome::Unparsable,
        Outcome::NoReply => types::Outcome::NoReply,
        Outcome::Late => types::Outcome::Late,
        Outcome::Historical => types::Outcome::Historical,
    }
}

pub(crate) fn sensor(sensor: &SensorState) -> registry::SensorState {
    let mac: Vec<String> = sensor
        .mac_addr
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    registry::SensorState {
        profile: profile(SensorProfile::clone(&sensor.profile)),
        liveness: match sensor.liveness {
            Liveness::Ok => registry::Liveness::Ok,
            Liveness::Stale => registry::Liveness::Stale,
            Liveness::Down => registry::Liveness::Down,
        },
        standing: match sensor.standing {
            Standing::Unsigned => registry::Standing::Unsigned,
            Standing::Discovered => registry::Standing::Discovered,
            Standing::Approved => registry::Standing::Approved,
            Standing::KeyOffered => registry::Standing::KeyOffered,
            Standing::Retired => registry::Standing::Retired,
        },
        key: fingerprint(sensor.key),
        offered_key: fingerprint(sensor.offered_key),
        poll_interval_ms: sensor.poll_interval_ms,
        ip_address: sensor.ip_addr.to_string(),
        mac_address: mac.join(":"),
        first_seen: sensor.first_seen,
        last_heartbeat: sensor.last_heartbeat,
        last_poll: sensor.last_poll,
        last_reply: sensor.last_reply,
        consecutive_failures: sensor.consecutive_failures,
        polls: sensor.counters.polls,
        replies: sensor.counters.replies,
        timeouts: sensor.counters.timeouts,
        unparsable: sensor.counters.unparsable,
        late: sensor.counters.late,
    }
}

fn fingerprint(key: Option<Fingerprint>) -> String {
    key.map_or_else(String::new, |key| key.to_string())
}

pub(crate) fn enrol_error(error: &EnrolFailure) -> registry::EnrolError {
    let text = fieldledger_polling::chain(error);
    match error {
        EnrolFailure::Refused(EnrolError::Unknown { .. }) => registry::EnrolError::NotFound(text),
        EnrolFailure::Refused(_) => registry::EnrolError::Refused(text),
        EnrolFailure::Ask(_) | EnrolFailure::NotStored => registry::EnrolError::Unavailable(text),
    }
}

pub(crate) fn status(status: Status) -> registry::Status {
    let Status {
        epoch,
        started_at,
        counters,
        liveness,
        delivery,
        batches_pending,
    } = status;
    registry::Status {
        epoch,
        started_at,
        sensors_ok: liveness.ok,
        sensors_stale: liveness.stale,
        sensors_down: liveness.down,
        heartbeats: counters.heartbeats,
        heartbeats_rejected: counters.heartbeats_rejected,
        last_rejection: counters.last_rejection,
        polls: counters.polls.polls,
        replies: counters.polls.replies,
        timeouts: counters.polls.timeouts,
        unparsable: counters.polls.unparsable,
        late: counters.polls.late,
        unsolicited: counters.unsolicited,
        history_readings: counters.history.readings,
        history_refused: counters.history.refused,
        history_deferred: counters.history.deferred,
        last_history_refusal: counters.history.last_refusal,
        batches_stored: delivery.batches_stored,
        batches_delivered: delivery.batches_delivered,
        batches_retried: delivery.batches_retried,
        batches_dead_lettered: delivery.batches_dead_lettered,
        last_delivery_error: delivery.last_error,
        delivery_ended: delivery.ended,
        stored_bytes: delivery.stored_bytes,
        stored_bytes_max: delivery.stored_bytes_max,
        results_buffered: delivery.results_buffered,
        batches_pending,
        latency_p50: delivery.latency_p50,
        latency_p99: delivery.latency_p99,
    }
}

/// The status of two links together: counters and gauges summed, the run and the latest texts of
/// the first unless it has none, the worse latency.
pub(crate) fn sum(a: registry::Status, b: registry::Status) -> registry::Status {
    let first_text = |a: String, b: String| if a.is_empty() { b } else { a };
    // Two links may share a stream, so their bytes are not summed: the fuller one counts.
    let most = |status: &registry::Status| (status.stored_bytes, status.stored_bytes_max);
    let (stored_bytes, stored_bytes_max) = fuller(most(&a), most(&b));
    registry::Status {
        epoch: first_text(a.epoch, b.epoch),
        started_at: a.started_at.min(b.started_at),
        sensors_ok: a.sensors_ok + b.sensors_ok,
        sensors_stale: a.sensors_stale + b.sensors_stale,
        sensors_down: a.sensors_down + b.sensors_down,
        heartbeats: a.heartbeats + b.heartbeats,
        heartbeats_rejected: a.heartbeats_rejected + b.heartbeats_rejected,
        last_rejection: first_text(a.last_rejection, b.last_rejection),
        polls: a.polls + b.polls,
        replies: a.replies + b.replies,
        timeouts: a.timeouts + b.timeouts,
        unparsable: a.unparsable + b.unparsable,
        late: a.late + b.late,
        unsolicited: a.unsolicited + b.unsolicited,
        history_readings: a.history_readings + b.history_readings,
        history_refused: a.history_refused + b.history_refused,
        history_deferred: a.history_deferred + b.history_deferred,
        last_history_refusal: first_text(a.last_history_refusal, b.last_history_refusal),
        batches_stored: a.batches_stored + b.batches_stored,
        batches_delivered: a.batches_delivered + b.batches_delivered,
        batches_retried: a.batches_retried + b.batches_retried,
        batches_dead_lettered: a.batches_dead_lettered + b.batches_dead_lettered,
        last_delivery_error: first_text(a.last_delivery_error, b.last_delivery_error),
        delivery_ended: first_text(a.delivery_ended, b.delivery_ended),
        stored_bytes,
        stored_bytes_max,
        results_buffered: a.results_buffered + b.results_buffered,
        batches_pending: a.batches_pending + b.batches_pending,
        latency_p50: a.latency_p50.max(b.latency_p50),
        latency_p99: a.latency_p99.max(b.latency_p99),
    }
}

/// Of two streams, each with its bytes and its bound, the one of which a larger part is used.
fn fuller(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    let is_first = u128::from(a.0) * u128::from(b.1) >= u128::from(b.0) * u128::from(a.1);
    if is_first { a } else { b }
}
