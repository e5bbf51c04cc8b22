//! How requests are read: JSON bodies and query strings, every refusal a [`Problem`].

use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::{FieldProblem, Problem, excerpt};

/// Largest body of a request, in bytes. The largest search that makes sense is a few kilobytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send the body with Content-Type: application/json",
            ));
        }
        let body =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        format!("the body is larger than {BODY_LIMIT} bytes"),
                    ),
                    status => Problem::new(status, rejection.body_text()),
                })?;
        parse_json(&body).map(Self)
    }
}

fn is_json(request: &Request) -> bool {
    let Some(Ok(content_type)) = request.headers().get(CONTENT_TYPE).map(|v| v.to_str()) else {
        return false;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        json_problem(&field, error.inner())
    })?;
    deserializer
        .end()
        .map_err(|error| json_problem(".", &error))?;
    Ok(value)
}

/// 400 where the body is not JSON, 422 where it is, but not of the shape that is wanted.
fn json_problem(field: &str, error: &serde_json::Error) -> Problem {
    if error.is_data() {
        let field = match field {
            "." | "?" => "body",
            named => named,
        };
        return Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!(
                "the body is JSON, but {} is not what it should be",
                excerpt(field)
            ),
        )
        .with_errors(vec![FieldProblem::new(
            excerpt(field),
            excerpt(&error.to_string()),
        )]);
    }
    let position = format!("line {}, column {}", error.line(), error.column());
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("the body is not JSON: {error}"),
    )
    .with_errors(vec![FieldProblem::new(
        "body",
        format!("not JSON at {position}"),
    )])
}

/// A query string. A parameter that `T` does not have is an error, as is one given twice.
pub(crate) struct QueryString<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryString<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        serde_urlencoded::from_str(query)
            .map(Self)
            .map_err(|error| Problem::bad_parameter("query", excerpt(&error.to_string())))
    }
}

/// A query string that has no parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// The one parameter of a path such as `/api/proof/{entry}`.
pub(crate) struct PathParameter(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathParameter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|rejection: RawPathParamsRejection| {
                Problem::bad_parameter("path", rejection.body_text())
            })?;
        let value = parameters.iter().next().map(|(_, value)| value.to_owned());
        Ok(Self(value.unwrap_or_default()))
    }
}

/// Reads a whole number from a query or path parameter; a bad one goes to `problems`.
pub(crate) fn whole_number(
    field: &str,
    text: Option<&str>,
    default: u32,
    allowed: RangeInclusive<u32>,
    problems: &mut Vec<FieldProblem>,
) -> u32 {
    let Some(text) = text else {
        return default;
    };
    match text.parse() {
        Ok(number) if allowed.contains(&number) => number,
        _ => {
            let given = format!("{:?} will not do", excerpt(text));
            problems.push(out_of_range(field, &given, &allowed));
            default
        }
    }
}

/// Checks a number from a JSON body; a bad one goes to `problems`.
pub(crate) fn in_range(
    field: &str,
    number: Option<u32>,
    default: u32,
    allowed: RangeInclusive<u32>,
    problems: &mut Vec<FieldProblem>,
) -> u32 {
    match number {
        None => default,
        Some(number) if allowed.contains(&number) => number,
        Some(number) => {
            problems.push(out_of_range(
                field,
                &format!("{number} will not do"),
                &allowed,
            ));
            default
        }
    }
}

fn out_of_range(field: &str, given: &str, allowed: &RangeInclusive<u32>) -> FieldProblem {
    let (low, high) = (allowed.start(), allowed.end());
    FieldProblem::new(
        field,
        format!("{given}; give a whole number from {low} to {high}"),
    )
}
