//! One request, from its headers to the wrapper around its answer.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use fieldledger_contract::WallTime;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::failure::{ErrorField, Failure, Status, body_field};
use crate::authorize::authorize;
use crate::keyed::WriteKey;
use crate::parts::{Parts, Shared};
use crate::problem::{AsItIs, RETRY_AFTER_SECONDS};
use crate::tokens::Scope;

/// Bytes of a request's body at most. A thousand events of the usual size have half a megabyte.
pub(crate) const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// How the ids of requests begin.
pub(super) const REQUEST_PREFIX: &str = "prq_";

/// A request whose sender may make it.
pub(super) struct Call<'a> {
    pub(super) parts: &'a Parts,
    /// Where the client found this server, such as `http://127.0.0.1:8080`.
    pub(super) base_url: String,
    /// Presently.
    pub(super) now: WallTime,
    /// Of a write that may be sent again.
    pub(super) key: Option<WriteKey>,
    body: Vec<u8>,
}

/// What is answered to a request that was done.
pub(super) struct Done {
    http: StatusCode,
    status: Status,
    /// None for one by lot.
    request_id: Option<String>,
    summary: String,
    result: Box<RawValue>,
}

impl Done {
    pub(super) fn new(
        summary: impl Into<String>,
        result: &impl Serialize,
    ) -> Result<Self, Failure> {
        let result = to_raw_value(result)
            .map_err(|error| Failure::internal(format!("the result has no JSON form: {error}")))?;
        Ok(Self {
            http: StatusCode::OK,
            status: Status::Success,
            request_id: None,
            summary: summary.into(),
            result,
        })
    }

    /// A request that was taken, and whose result is had under `request_id` for `minutes`.
    pub(super) fn accepted(
        call: &Call<'_>,
        request_id: String,
        minutes: u64,
    ) -> Result<Self, Failure> {
        #[derive(Serialize)]
        struct Accepted {
            ttl_mins: u64,
            retry_counter: u32,
            location: String,
        }
        let accepted = Accepted {
            ttl_mins: minutes,
            retry_counter: 0,
            location: format!("{}/audit/request/{request_id}", call.base_url),
        };
        Ok(Self {
            http: StatusCode::ACCEPTED,
            status: Status::Accepted,
            request_id: Some(request_id),
            ..Self::new("Your request is in progress.", &accepted)?
        })
    }

    /// The same as the answer to an earlier request.
    pub(super) fn of_request(mut self, request_id: String) -> Self {
        self.request_id = Some(request_id);
        self
    }
}

/// Every answer. SDKs refuse other fields, and want each of these.
#[derive(Serialize)]
struct Wrapper<'a> {
    request_id: &'a str,
    request_time: WallTime,
    response_time: WallTime,
    status: Status,
    summary: &'a str,
    result: Option<&'a RawValue>,
}

/// Answers a request of somebody whose token has the scope.
pub(super) async fn answer(
    State(parts): State<Shared>,
    request: Request,
    scope: Scope,
    does: impl FnOnce(&Call<'_>) -> Result<Done, Failure>,
) -> Response {
    let request_time = parts.environment.now();
    let done = match read(&parts, request, scope, request_time).await {
        Ok(call) => does(&call),
        Err(failure) => Err(failure),
    };
    wrapped(request_time, parts.environment.now(), done)
}

async fn read<'a>(
    parts: &'a Parts,
    request: Request,
    scope: Scope,
    now: WallTime,
) -> Result<Call<'a>, Failure> {
    authorize(parts.environment.as_ref(), request.headers(), scope)?;
    let base_url = base_url(request.headers(), request.uri());
    let key = request.extensions().get::<WriteKey>().cloned();
    let body = to_bytes(request.into_body(), BODY_LIMIT).await;
    let body = body.map_err(|_| {
        let detail = format!("the body could not be read, or has more than {BODY_LIMIT} bytes");
        let mut failure = Failure::field("IsTooBig", "", detail);
        failure.http = StatusCode::PAYLOAD_TOO_LARGE;
        failure
    })?;
    Ok(Call {
        parts,
        base_url,
        now,
        key,
        body: body.into(),
    })
}

impl Call<'_> {
    /// The body.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let invalid = |field: ErrorField| Failure::invalid(vec![field]);
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| invalid(body_field(&error.path().to_string(), error.inner())))?;
        deserializer
            .end()
            .map_err(|error| invalid(body_field(".", &error)))?;
        Ok(value)
    }
}

fn wrapped(
    request_time: WallTime,
    response_time: WallTime,
    done: Result<Done, Failure>,
) -> Response {
    #[derive(Serialize)]
    struct Errors {
        errors: Vec<ErrorField>,
    }
    let (http, status, request_id, summary, result) = match done {
        Ok(done) => (
            done.http,
            done.status,
            done.request_id,
            done.summary,
            Some(done.result),
        ),
        Err(failure) => {
            let errors = failure.errors;
            // Where no field is to blame there is no result at all.
            let result = (!errors.is_empty())
                .then(|| to_raw_value(&Errors { errors }).expect("texts have a JSON form"));
            (failure.http, failure.status, None, failure.summary, result)
        }
    };
    let request_id =
        request_id.unwrap_or_else(|| format!("{REQUEST_PREFIX}{}", Uuid::new_v4().simple()));
    let wrapper = Wrapper {
        request_id: &request_id,
        request_time,
        response_time,
        status,
        summary: &summary,
        result: result.as_deref(),
    };
    let body = serde_json::to_string(&wrapper)
        .expect("texts, times and raw JSON have a JSON form, and a String takes it");
    let headers = [
        (CONTENT_TYPE.as_str(), "application/json"),
        ("x-request-id", request_id.as_str()),
    ];
    let mut response = (http, headers, Body::from(body)).into_response();
    response.extensions_mut().insert(AsItIs);
    response
}

/// An error of who stands before this API.
pub(crate) fn refusal(http: StatusCode, detail: &str) -> Response {
    let now = WallTime::now();
    let failure = Failure {
        http,
        ..match http {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::field("IsTooBig", "", detail),
            StatusCode::SERVICE_UNAVAILABLE => {
                Failure::new(http, Status::ServiceNotAvailable, detail)
            }
            StatusCode::NOT_FOUND => Failure::new(http, Status::NotFound, detail),
            _ if http.is_server_error() => Failure::internal(detail),
            _ => Failure::new(http, Status::ValidationError, detail),
        }
    };
    let mut response = wrapped(now, now, Err(failure));
    if http == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// Where the client found this server, as proxies tell it.
pub(super) fn base_url(headers: &HeaderMap, uri: &Uri) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    let host = text("x-forwarded-host")
        .or_else(|| text(HOST.as_str()))
        .or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
        .unwrap_or("localhost");
    let prefix = text("x-forwarded-prefix").unwrap_or_default();
    format!("{scheme}://{host}{prefix}")
}

/// What the service does not have, or not for this method.
pub(super) async fn no_such_endpoint(state: State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let now = state.environment.now();
    let summary = format!("there is no {} {path}", request.method());
    let failure = Failure::new(StatusCode::NOT_FOUND, Status::NotFound, summary);
    wrapped(now, state.environment.now(), Err(failure))
}
