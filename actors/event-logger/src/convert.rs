//! Between the generated types and those of `fieldledger-audit`.

use fieldledger_audit::EventColumns;

use crate::bindings::fieldledger::audit::types as wit;
use crate::bindings::wrpc::rpc::error::Error as RpcError;
use crate::delivery::Failure;

pub(crate) fn event_columns(events: EventColumns) -> wit::EventColumns {
    wit::EventColumns {
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

/// What a write has come to, and whether another attempt can come to something else.
pub(crate) fn outcome(
    answer: Result<Result<wit::Written, wit::AuditError>, RpcError>,
) -> Result<(), Failure> {
    match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(failure(refusal)),
        // The error itself has nothing to say; the host logs why a call failed.
        Err(_failed) => Err(Failure::Passing(
            "the audit API could not be called".to_owned(),
        )),
    }
}

fn failure(refusal: wit::AuditError) -> Failure {
    match refusal {
        wit::AuditError::Invalid(faults) => Failure::Final(match faults.first() {
            Some(fault) => format!("event {} {} {}", fault.item, fault.field, fault.problem),
            None => "the audit log calls them invalid".to_owned(),
        }),
        wit::AuditError::Unavailable(text) => Failure::Passing(text),
        wit::AuditError::NotFound(text)
        | wit::AuditError::Expired(text)
        | wit::AuditError::Unsupported(text) => Failure::Final(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let fault = wit::InvalidField {
            item: 3,
            field: "actor".to_owned(),
            problem: "is too long".to_owned(),
        };
        for (refusal, expected) in [
            (
                wit::AuditError::Unavailable("x".to_owned()),
                Failure::Passing("x".to_owned()),
            ),
            (
                wit::AuditError::Unsupported("x".to_owned()),
                Failure::Final("x".to_owned()),
            ),
            (
                wit::AuditError::Invalid(vec![fault]),
                Failure::Final("event 3 actor is too long".to_owned()),
            ),
        ] {
            assert_eq!(outcome(Ok(Err(refusal))), Err(expected));
        }
    }
}
