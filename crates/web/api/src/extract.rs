//! How requests are read: JSON bodies and query strings, every refusal a [`Problem`].

use std::fmt;
use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};

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

/// The largest number of OpenAPI's format int32.
pub(crate) const INT32: u32 = i32::MAX as u32;

/// The largest number of OpenAPI's format int64.
pub(crate) const INT64: u64 = i64::MAX as u64;

/// Whole numbers from which on a number with a point in it stands for several.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number in JSON, at most `MOST`. JSON knows one kind of number, so `240.0` is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole<const MOST: u64>(u64);

/// One of OpenAPI's format int32.
pub(crate) type Whole32 = Whole<{ INT32 as u64 }>;

/// One of OpenAPI's format int64.
pub(crate) type Whole64 = Whole<INT64>;

impl<const MOST: u64> Whole<MOST> {
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

impl From<Whole32> for u32 {
    fn from(number: Whole32) -> Self {
        Self::try_from(number.0).unwrap_or(INT32)
    }
}

impl<'de, const MOST: u64> Deserialize<'de> for Whole<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor<const MOST: u64>;

impl<const MOST: u64> de::Visitor<'_> for WholeVisitor<MOST> {
    type Value = Whole<MOST>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a whole number from 0 to {MOST}")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole<MOST>, E> {
        match number <= MOST {
            true => Ok(Whole(number)),
            false => Err(E::invalid_value(de::Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Whole<MOST>, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
        }
    }

    // Checked to be whole and in range.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole<MOST>, E> {
        match number.fract() == 0.0 && (0.0..=EXACT).contains(&number) {
            true => self.visit_u64(number as u64),
            false => Err(E::invalid_value(de::Unexpected::Float(number), &self)),
        }
    }
}

/// A whole number in a query or path: digits, after which a point and zeros change nothing.
pub(crate) fn parse_whole(text: &str) -> Option<u64> {
    let (digits, after) = text.split_once('.').unwrap_or((text, "0"));
    let are =
        |text: &str, kind: fn(&u8) -> bool| !text.is_empty() && text.as_bytes().iter().all(kind);
    let is_whole = are(digits, u8::is_ascii_digit) && are(after, |digit| *digit == b'0');
    let number = digits.parse().ok().filter(|_| is_whole);
    number.filter(|number| *number <= INT64)
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
    match parse_whole(text).map(u32::try_from) {
        Some(Ok(number)) if allowed.contains(&number) => number,
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
    number: Option<Whole32>,
    default: u32,
    allowed: RangeInclusive<u32>,
    problems: &mut Vec<FieldProblem>,
) -> u32 {
    match number.map(u32::from) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        for (text, number) in [
            ("240", 240),
            ("240.0", 240),
            ("0", 0),
            ("2147483647", 2_147_483_647),
        ] {
            assert_eq!(serde_json::from_str::<Whole32>(text).unwrap().get(), number);
            assert_eq!(parse_whole(text), Some(number), "{text}");
        }
        assert_eq!(serde_json::from_str::<Whole32>("2.4e2").unwrap().get(), 240);
        for text in [
            "2147483648",
            "-1",
            "1.5",
            "\"1\"",
            "1e999",
            "null",
            "true",
            "-0.5",
        ] {
            assert!(serde_json::from_str::<Whole32>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Whole64>("9223372036854775808").is_err());
        for text in [
            "",
            "1.",
            ".0",
            "+1",
            "-1",
            "1.5",
            "1e3",
            " 1",
            "9223372036854775808",
            "0.00x",
        ] {
            assert_eq!(parse_whole(text), None, "{text}");
        }
    }
}
