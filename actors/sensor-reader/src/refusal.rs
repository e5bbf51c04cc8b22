//! What becomes of a batch that the log does not take.

use fieldledger_contract::field::IngestError;
use fieldledger_contract::packed::PackedError;
use fieldledger_contract::{Error, InvalidField};

use crate::bindings::wrpc::rpc::error::Error as RpcError;

/// Most faults of a refused batch that are named; all have the same cause as a rule.
const NAMED_FAULTS: usize = 5;

/// The error itself has nothing to say; the host logs why a call failed. The batch may be in the log
/// all the same, which then counts it as duplicates the next time.
pub(crate) fn not_called(_failed: &RpcError) -> IngestError {
    IngestError::Unavailable("the audit API could not be called".to_owned())
}

/// The batch may be in the log, which then counts it as duplicates the next time.
pub(crate) fn not_understood(error: PackedError) -> IngestError {
    IngestError::Unavailable(format!("the audit API's answer cannot be read: {error}"))
}

/// Only what the log calls invalid can never be accepted, and a log that has ended accepts no batch;
/// all else may pass, so the batch waits.
pub(crate) fn ingest_error(error: Error) -> IngestError {
    match error {
        Error::Invalid(faults) => IngestError::Malformed(described(&faults)),
        Error::Ended(reason) => IngestError::Ended(reason),
        Error::NotFound(text)
        | Error::Expired(text)
        | Error::Refused(text)
        | Error::Unavailable(text) => IngestError::Unavailable(text),
    }
}

fn described(faults: &[InvalidField]) -> String {
    let named: Vec<String> = faults
        .iter()
        .take(NAMED_FAULTS)
        .map(|fault| {
            format!(
                "column {}, row {}: {}",
                fault.field, fault.item, fault.problem
            )
        })
        .collect();
    let more = faults.len().saturating_sub(NAMED_FAULTS);
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("the audit log refuses events: {}{rest}", named.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_has_ended_says_so() {
        let ended = ingest_error(Error::Ended("it was frozen".into()));
        assert_eq!(ended, IngestError::Ended("it was frozen".into()));
    }

    #[test]
    fn only_invalid_events_are_malformed() {
        let fault = |item| InvalidField {
            item,
            field: "actor".into(),
            problem: "has 129 characters; at most 128 are allowed".into(),
        };
        let IngestError::Malformed(text) =
            ingest_error(Error::Invalid((0..7).map(fault).collect()))
        else {
            panic!("invalid events must not be tried again");
        };
        assert!(
            text.contains("column actor, row 4: has 129 characters")
                && text.ends_with("; and 2 more")
        );
        for error in [Error::Unavailable("x".into()), Error::Refused("x".into())] {
            assert!(matches!(ingest_error(error), IngestError::Unavailable(text) if text == "x"));
        }
    }
}
