//! What the polling loops know, as the registry shows it.

use fieldledger_attest::identity::Fingerprint;
use fieldledger_contract::field::{PollingStatus, SensorProfile};
use fieldledger_contract::{Error, WallTime, field};
use fieldledger_polling::{EnrolError, Refusal, SensorState};

use crate::instance::{EnrolFailure, LetterError, Status};

pub(crate) fn sensor(sensor: &SensorState) -> field::SensorState {
    let (condition, since) = sensor.condition.clone().unzip();
    field::SensorState {
        profile: SensorProfile::clone(&sensor.profile),
        liveness: sensor.liveness,
        standing: sensor.standing,
        key: fingerprint(sensor.key),
        offered_key: fingerprint(sensor.offered_key),
        poll_interval_ms: sensor.poll_interval_ms,
        ip_address: sensor.ip_addr.clone(),
        mac_address: sensor.mac_addr.to_string(),
        first_seen: WallTime::from_micros(sensor.first_seen),
        last_heartbeat: WallTime::from_micros(sensor.last_heartbeat),
        last_poll: sensor.last_poll.map(WallTime::from_micros),
        last_reply: sensor.last_reply.map(WallTime::from_micros),
        consecutive_failures: sensor.consecutive_failures,
        polls: sensor.counters.polls,
        replies: sensor.counters.replies,
        timeouts: sensor.counters.timeouts,
        unparsable: sensor.counters.unparsable,
        late: sensor.counters.late,
        condition: condition.unwrap_or_default(),
        condition_since: since.map(WallTime::from_micros),
        answer_timeout_ms: sensor.answer_timeout_ms,
        remarks: sensor.remarks.clone(),
    }
}

pub(crate) fn refusal(refusal: Refusal) -> field::Refusal {
    let Refusal {
        sensor,
        kind,
        subject,
        reason,
        excerpt,
        count,
        first_at,
        last_at,
    } = refusal;
    field::Refusal {
        sensor: sensor.map_or_else(String::new, |sensor| sensor.to_string()),
        kind,
        subject,
        reason,
        excerpt,
        count,
        first_at: WallTime::from_micros(first_at),
        last_at: WallTime::from_micros(last_at),
    }
}

fn fingerprint(key: Option<Fingerprint>) -> String {
    key.map_or_else(String::new, |key| key.to_string())
}

pub(crate) fn enrol_error(error: &EnrolFailure) -> Error {
    let text = fieldledger_polling::chain(error);
    match error {
        EnrolFailure::Refused(EnrolError::Unknown { .. }) => Error::NotFound(text),
        EnrolFailure::Refused(_) => Error::Refused(text),
        EnrolFailure::Ask(_) | EnrolFailure::NotStored => Error::Unavailable(text),
    }
}

pub(crate) fn letter_error(error: &LetterError) -> Error {
    let text = fieldledger_polling::chain(error);
    match error {
        LetterError::Unknown(_) => Error::NotFound(text),
        LetterError::NoLane => Error::Refused(text),
        LetterError::Storage(_) => Error::Unavailable(text),
    }
}

pub(crate) fn status(status: Status) -> PollingStatus {
    let Status {
        epoch,
        started_at,
        counters,
        liveness,
        delivery,
        batches_pending,
        letters,
    } = status;
    PollingStatus {
        epoch,
        started_at: WallTime::from_micros(started_at),
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
        results_cut: delivery.results_cut,
        dead_letters: letters.count,
        oldest_dead_letter: letters.oldest.map(WallTime::from_micros),
        delivery_failing_since: delivery.failing_since.map(WallTime::from_micros),
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
