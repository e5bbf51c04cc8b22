//! Errors of one shape: `application/problem+json`, RFC 9457.

use std::borrow::Cow;
use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fieldledger_contract::{Error, InvalidField};
use futures::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The type of the problem that a log has ended: it was frozen, or is read-only.
///
/// It comes with 410 rather than 409. A conflict may pass, and its client may try again once it has;
/// a log that has ended never takes an event again.
pub const LOG_ENDED: &str = "urn:fieldledger:problem:log-ended";

/// What a client should wait before it asks again, in seconds. A provider that was restarted is
/// back sooner.
pub(crate) const RETRY_AFTER_SECONDS: &str = "2";

/// One thing that is wrong with a request, or one part that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Name of the field, query parameter or part.
    #[schema(example = "limit")]
    pub field: String,
    /// What is wrong and what would be right.
    #[schema(example = "0 is too small; give 1 to 1000")]
    pub problem: String,
}

impl FieldProblem {
    /// A problem with one field.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// The body of every answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `about:blank` where the status says which kind of problem this is; or
    /// `urn:fieldledger:problem:log-ended`: the log takes no event again, so do not send it again.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: Cow<'static, str>,
    /// The status in words.
    #[schema(example = "Bad Request")]
    pub title: Cow<'static, str>,
    /// HTTP status code.
    #[schema(example = 400)]
    pub status: u16,
    /// What happened, in a sentence.
    pub detail: String,
    /// Path of the request.
    #[schema(example = "/api/logs", value_type = String)]
    pub instance: Box<str>,
    /// Field by field what is wrong; empty where no field is to blame.
    #[serde(default)]
    #[schema(required = true)]
    pub errors: Vec<FieldProblem>,
}

impl Problem {
    /// A problem that no single field is to blame for.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: Cow::Borrowed("about:blank"),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            status: status.as_u16(),
            detail: detail.into(),
            instance: Box::default(),
            errors: Vec::new(),
        }
    }

    /// The same problem with the fields that are to blame.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldProblem>) -> Self {
        self.errors = errors;
        self
    }

    /// A request whose parameters are wrong: 400.
    #[must_use]
    pub fn bad_parameters(errors: Vec<FieldProblem>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("the request is not valid: see {}", names.join(", "));
        Self::new(StatusCode::BAD_REQUEST, detail).with_errors(errors)
    }

    /// A request with one wrong parameter: 400.
    pub fn bad_parameter(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::bad_parameters(vec![FieldProblem::new(field, problem)])
    }
}

impl From<InvalidField> for FieldProblem {
    fn from(invalid: InvalidField) -> Self {
        let field = match invalid.item {
            0 => invalid.field,
            item => format!("{}[{item}]", invalid.field),
        };
        Self::new(field, invalid.problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(fields) => {
                Self::bad_parameters(fields.into_iter().map(FieldProblem::from).collect())
            }
            Error::NotFound(detail) => Self::new(StatusCode::NOT_FOUND, detail),
            Error::Expired(detail) => Self::new(StatusCode::GONE, detail),
            Error::Refused(detail) => Self::new(StatusCode::CONFLICT, detail),
            Error::Ended(detail) => Self {
                kind: Cow::Borrowed(LOG_ENDED),
                ..Self::new(StatusCode::GONE, detail)
            },
            Error::Unavailable(detail) => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
        }
    }
}

impl IntoResponse for Problem {
    /// The status alone; `finish` writes the body, because only it knows the request's path.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Marks an answer whose errors have another shape, which its clients know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsItIs;

/// The outermost layer: turns every error, the router's own ones too, into a problem body, and adds
/// the headers that every answer has.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let mut response = next.run(request).await;

    let status = response.status();
    let as_it_is = response.extensions_mut().remove::<AsItIs>().is_some();
    if !as_it_is && (status.is_client_error() || status.is_server_error()) {
        let mut problem = response
            .extensions_mut()
            .remove::<Problem>()
            .unwrap_or_else(|| Problem::new(status, router_refusal(status, &method, &path)));
        problem.instance = path.into();
        write_body(&mut response, &problem);
    }

    if method == Method::HEAD {
        without_length(&mut response);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry("cache-control")
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn router_refusal(status: StatusCode, method: &Method, path: &str) -> String {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            format!("{path} does not take {method}; the Allow header lists what it takes")
        }
        StatusCode::NOT_FOUND => format!("there is nothing at {path}"),
        _ => format!("{method} {path} failed"),
    }
}

/// An answer to HEAD that does not say how long its body is, because it has none. A component's host counts
/// the bytes, and takes an answer that promises others for a fault. The edge asks with GET and knows.
fn without_length(response: &mut Response) {
    response.headers_mut().remove(CONTENT_LENGTH);
    // Of a stream no length is known in advance, so that the router adds none.
    *response.body_mut() = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
}

/// Makes the problem the body of the response.
pub(crate) fn write_body(response: &mut Response, problem: &Problem) {
    let body = serde_json::to_string(problem)
        .expect("texts and a number have a JSON form, and a String takes it");
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    let again_later = [
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    if again_later
        .iter()
        .any(|status| status.as_u16() == problem.status)
    {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    }
    *response.body_mut() = Body::from(body);
}

/// The start of a text from outside: an error that repeats what a client sent stays readable.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 240;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
