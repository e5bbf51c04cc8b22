//! Errors: a status that SDKs make exceptions of, a sentence, and field by field what is wrong.

use axum::http::StatusCode;
use fieldledger_audit::InvalidField as InvalidEventField;
use fieldledger_contract::{Error, InvalidField};
use serde::Serialize;

use crate::problem::excerpt;
use crate::tokens::Denied;

/// Statuses that this service answers with, of those that SDKs know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Status {
    Success,
    Accepted,
    ValidationError,
    Unauthorized,
    TreeNotFound,
    BadOffset,
    NotFound,
    ServiceNotAvailable,
    InternalError,
    Failed,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ErrorField {
    /// One of the codes that Pangea's documentation lists.
    pub(super) code: &'static str,
    pub(super) detail: String,
    /// JSON pointer.
    pub(super) source: String,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) http: StatusCode,
    pub(super) status: Status,
    pub(super) summary: String,
    pub(super) errors: Vec<ErrorField>,
}

impl Failure {
    pub(super) fn new(http: StatusCode, status: Status, summary: impl Into<String>) -> Self {
        Self {
            http,
            status,
            summary: summary.into(),
            errors: Vec::new(),
        }
    }

    /// A request whose fields are wrong.
    pub(super) fn invalid(errors: Vec<ErrorField>) -> Self {
        let count = errors.len();
        let first = errors.first().map_or("", |error| error.detail.as_str());
        let summary = match count {
            1 => format!("There is 1 validation error: {first}"),
            _ => format!("There are {count} validation errors, the first: {first}"),
        };
        Self {
            errors,
            ..Self::new(StatusCode::BAD_REQUEST, Status::ValidationError, summary)
        }
    }

    /// A request with one wrong field.
    pub(super) fn field(
        code: &'static str,
        source: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::invalid(vec![ErrorField {
            code,
            detail: detail.into(),
            source: source.into(),
        }])
    }

    pub(super) fn internal(summary: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Status::InternalError,
            summary,
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(fields) => {
                if let Some(offset) = fields.iter().find(|field| field.field == "offset") {
                    let summary = format!("offset {}", offset.problem);
                    return Self::new(StatusCode::BAD_REQUEST, Status::BadOffset, summary);
                }
                Self::invalid(fields.iter().map(parameter).collect())
            }
            Error::NotFound(what) | Error::Expired(what) => {
                Self::new(StatusCode::NOT_FOUND, Status::NotFound, what)
            }
            Error::Refused(why) => Self::new(StatusCode::CONFLICT, Status::Failed, why),
            // Pangea knows no such status. SDKs raise an exception for this one, and do not try again.
            Error::Ended(why) => Self::new(StatusCode::GONE, Status::Failed, why),
            Error::Unavailable(why) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Status::ServiceNotAvailable,
                why,
            ),
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let (http, status) = match denied {
            Denied::Missing | Denied::Unknown => (StatusCode::UNAUTHORIZED, Status::Unauthorized),
            Denied::Scope { .. } => (StatusCode::FORBIDDEN, Status::Unauthorized),
            Denied::Unusable(_) => (StatusCode::SERVICE_UNAVAILABLE, Status::ServiceNotAvailable),
        };
        Self::new(http, status, denied.to_string())
    }
}

/// What the log says of a parameter.
fn parameter(field: &InvalidField) -> ErrorField {
    let code = match field.field.as_str() {
        "start" | "end" => "BadFormatDateTime",
        "limit" | "max_results" => "NotWithinRange",
        "order_by" => "NotEnumMember",
        "restriction" => "UnexpectedProperty",
        _ => "BadFormat",
    };
    let name = match field.field.as_str() {
        "restriction" => "search_restriction",
        name => name,
    };
    ErrorField {
        code,
        detail: format!("{name} {}", field.problem),
        source: format!("/{name}"),
    }
}

/// What is wrong with an event. `pointer` leads to it.
pub(super) fn event_field(pointer: &str, fault: &InvalidEventField) -> ErrorField {
    let problem = fault.problem.as_str();
    let code = match problem {
        _ if problem.starts_with("is missing") => "FieldRequired",
        _ if problem.starts_with("is no field") => "UnexpectedProperty",
        _ if problem.starts_with("is given more") => "ItemNotUnique",
        _ if problem.starts_with("is no JSON object") => "InvalidObject",
        _ if problem.ends_with("are allowed") => "AboveMaxLength",
        _ if problem.starts_with("is no RFC 3339") => "BadFormatDateTime",
        _ => "InvalidString",
    };
    let (name, source) = match fault.field.as_str() {
        "" => ("event", pointer.to_owned()),
        field => (field, format!("{pointer}/{}", excerpt(field))),
    };
    ErrorField {
        code,
        detail: format!("{} {problem}", excerpt(name)),
        source,
    }
}

/// What serde says of a body.
pub(super) fn body_field(path: &str, error: &serde_json::Error) -> ErrorField {
    let text = error.to_string();
    let named = text.split('`').nth(1).unwrap_or_default();
    let at = pointer(path);
    let expects = |what: &str| {
        text.split("expected ")
            .nth(1)
            .is_some_and(|expected| expected.contains(what))
    };
    let (code, source) = if !error.is_data() {
        ("InvalidObject", String::new())
    } else if text.starts_with("missing field") {
        ("FieldRequired", format!("{at}/{named}"))
    } else if text.starts_with("unknown field") {
        ("UnexpectedProperty", at)
    } else if text.starts_with("unknown variant") {
        ("NotEnumMember", at)
    } else if text.starts_with("invalid value") {
        ("NotWithinRange", at)
    } else if expects("string") {
        ("InvalidString", at)
    } else if expects("boolean") {
        ("InvalidBool", at)
    } else if expects("sequence") {
        ("InvalidArray", at)
    } else if expects("u32") || expects("u64") {
        ("InvalidInteger", at)
    } else {
        ("InvalidObject", at)
    };
    ErrorField {
        code,
        detail: excerpt(&text),
        source: excerpt(&source),
    }
}

/// `events[3].event` as `/events/3/event`.
fn pointer(path: &str) -> String {
    if matches!(path, "." | "?") {
        return String::new();
    }
    let path = path.replace("].", "/").replace(['[', '.'], "/");
    format!("/{}", path.trim_end_matches(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_pointers() {
        for (path, expected) in [
            (".", ""),
            ("query", "/query"),
            ("events[3].event", "/events/3/event"),
            ("events[3]", "/events/3"),
            ("search_restriction.actor[0]", "/search_restriction/actor/0"),
        ] {
            assert_eq!(pointer(path), expected);
        }
    }
}
