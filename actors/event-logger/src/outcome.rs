//! What a write has come to.

use fieldledger_contract::Error;

use crate::bindings::wrpc::rpc::error::Error as RpcError;
use crate::delivery::Failure;

/// What a write has come to, and whether another attempt can come to something else. Where the events
/// are in the log nobody here asks.
pub(crate) fn of(answer: Result<Result<String, Error>, RpcError>) -> Result<(), Failure> {
    match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(failure(refusal)),
        // The error itself has nothing to say; the host logs why a call failed.
        Err(_failed) => Err(Failure::Passing(
            "the audit API could not be called".to_owned(),
        )),
    }
}

fn failure(refusal: Error) -> Failure {
    match refusal {
        Error::Invalid(faults) => Failure::Invalid(faults),
        Error::Unavailable(text) => Failure::Passing(text),
        ended @ Error::Ended(_) => Failure::Ended(ended.to_string()),
        Error::NotFound(text) | Error::Expired(text) | Error::Refused(text) => Failure::Final(text),
    }
}

#[cfg(test)]
mod tests {
    use fieldledger_contract::InvalidField;

    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let fault = InvalidField {
            item: 3,
            field: "actor".to_owned(),
            problem: "is too long".to_owned(),
        };
        for (refusal, expected) in [
            (
                Error::Unavailable("x".to_owned()),
                Failure::Passing("x".to_owned()),
            ),
            (
                Error::Refused("x".to_owned()),
                Failure::Final("x".to_owned()),
            ),
            (
                Error::Ended("it was frozen".to_owned()),
                Failure::Ended("the log has ended: it was frozen".to_owned()),
            ),
            (
                Error::Invalid(vec![fault.clone()]),
                Failure::Invalid(vec![fault]),
            ),
        ] {
            assert_eq!(of(Ok(Err(refusal))), Err(expected));
        }
    }
}
