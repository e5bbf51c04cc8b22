//! Our types as those of the contract.

use fieldledger_field::batch::{Outcome, PollBatch, SensorProfile};
use fieldledger_polling::{Liveness, SensorState};

use super::bindings::exports::fieldledger::field::registry;
use super::bindings::fieldledger::field::types;
use crate::instance::Status;

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
        batches_stored: delivery.batches_stored,
        batches_delivered: delivery.batches_delivered,
        batches_retried: delivery.batches_retried,
        batches_dead_lettered: delivery.batches_dead_lettered,
        last_delivery_error: delivery.last_error,
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
        batches_stored: a.batches_stored + b.batches_stored,
        batches_delivered: a.batches_delivered + b.batches_delivered,
        batches_retried: a.batches_retried + b.batches_retried,
        batches_dead_lettered: a.batches_dead_lettered + b.batches_dead_lettered,
        last_delivery_error: first_text(a.last_delivery_error, b.last_delivery_error),
        results_buffered: a.results_buffered + b.results_buffered,
        batches_pending: a.batches_pending + b.batches_pending,
        latency_p50: a.latency_p50.max(b.latency_p50),
        latency_p99: a.latency_p99.max(b.latency_p99),
    }
}
