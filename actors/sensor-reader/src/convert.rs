//! Between the generated types and those of the plain crates. Columns are moved, never copied.

use fieldledger_audit::EventColumns;
use fieldledger_wire::batch;

use crate::bindings::exports::fieldledger::field::reader::{IngestError, Ingested};
use crate::bindings::fieldledger::audit::types as audit;
use crate::bindings::fieldledger::field::types as field;
use crate::bindings::wrpc::rpc::error::Error as RpcError;

/// Most faults of a refused batch that are told; all have the same cause as a rule.
const TOLD_FAULTS: usize = 5;

pub(crate) fn poll_batch(batch: field::PollBatch) -> batch::PollBatch {
    batch::PollBatch {
        id: batch.id,
        epoch: batch.epoch,
        sensors: batch.sensors.into_iter().map(sensor_profile).collect(),
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

fn attestation(attestation: field::Attestation) -> batch::Attestation {
    match attestation {
        field::Attestation::Unsigned => batch::Attestation::Unsigned,
        field::Attestation::Valid => batch::Attestation::Valid,
        field::Attestation::Unapproved => batch::Attestation::Unapproved,
        field::Attestation::Missing => batch::Attestation::Missing,
        field::Attestation::Invalid => batch::Attestation::Invalid,
        field::Attestation::Retired => batch::Attestation::Retired,
    }
}

fn sensor_profile(profile: field::SensorProfile) -> batch::SensorProfile {
    batch::SensorProfile {
        id: profile.id,
        alias: profile.alias,
        location: profile.location,
        unit: profile.unit,
        range: profile.range.map(|range| batch::Range {
            low: range.low,
            high: range.high,
        }),
        calibration: profile.calibration.map(|calibration| batch::Calibration {
            base: calibration.base,
            scale: calibration.scale,
            offset: calibration.offset,
        }),
    }
}

fn outcome(outcome: field::Outcome) -> batch::Outcome {
    match outcome {
        field::Outcome::Value => batch::Outcome::Value,
        field::Outcome::Unparsable => batch::Outcome::Unparsable,
        field::Outcome::NoReply => batch::Outcome::NoReply,
        field::Outcome::Late => batch::Outcome::Late,
        field::Outcome::Historical => batch::Outcome::Historical,
    }
}

pub(crate) fn event_columns(events: EventColumns) -> audit::EventColumns {
    audit::EventColumns {
        producer: events.producer,
        sequence: events.sequence,
        message: events.message,
        actor: events.actor,
        action: events.action,
        new: events.new,
        old: events.old,
        source: events.source,
        status: events.status,
        target: events.target,
        tenant_id: events.tenant_id,
        timestamp: events.timestamp,
        signature: events.signature,
        public_key: events.public_key,
    }
}

pub(crate) fn ingested(written: &audit::Written) -> Ingested {
    Ingested {
        appended: written.appended,
        duplicates: written.duplicates,
        tree_size: written.tree_size,
    }
}

/// The error itself has nothing to say; the host logs why a call failed. The batch may be in the log
/// all the same, which then counts it as duplicates the next time.
pub(crate) fn not_called(_failed: &RpcError) -> IngestError {
    IngestError::Unavailable("the audit API could not be called".to_owned())
}

/// Only what the log calls invalid can never be accepted; all else may pass, so the batch waits.
pub(crate) fn ingest_error(error: audit::AuditError) -> IngestError {
    match error {
        audit::AuditError::Invalid(faults) => IngestError::Malformed(described(&faults)),
        audit::AuditError::NotFound(text)
        | audit::AuditError::Expired(text)
        | audit::AuditError::Unsupported(text)
        | audit::AuditError::Unavailable(text) => IngestError::Unavailable(text),
    }
}

fn described(faults: &[audit::InvalidField]) -> String {
    let told: Vec<String> = faults
        .iter()
        .take(TOLD_FAULTS)
        .map(|fault| {
            format!(
                "column {}, row {}: {}",
                fault.field, fault.item, fault.problem
            )
        })
        .collect();
    let more = faults.len().saturating_sub(TOLD_FAULTS);
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("the audit log refuses the batch: {}{rest}", told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_invalid_events_are_malformed() {
        let fault = |item| audit::InvalidField {
            item,
            field: "actor".into(),
            problem: "has 129 bytes; at most 128 are allowed".into(),
        };
        let IngestError::Malformed(text) =
            ingest_error(audit::AuditError::Invalid((0..7).map(fault).collect()))
        else {
            panic!("invalid events must not be tried again");
        };
        assert!(
            text.contains("column actor, row 4: has 129 bytes") && text.ends_with("; and 2 more")
        );
        for error in [
            audit::AuditError::Unavailable("x".into()),
            audit::AuditError::Unsupported("x".into()),
        ] {
            assert!(matches!(ingest_error(error), IngestError::Unavailable(text) if text == "x"));
        }
    }
}
