//! `Idempotency-Key` on writes: a request whose answer was lost can be sent again, and is not done again.
//!
//! What a key was first used for is kept in the ledger, and so is the answer, each for [`KEPT_MINUTES`].
//! Beside that, events that are written with a key have a producer of its own, so that the log takes them
//! once, however late they come again and whatever died in between.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fieldledger_contract::audit::EventColumns;
use fieldledger_contract::{Error, WallTime};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::authorize::authorize;
use crate::parts::{Parts, Shared};
use crate::problem::{AsItIs, Problem};
use crate::router::{largest_body, refusal};
use crate::tokens::Scope;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Bytes of a key at most.
const LONGEST_KEY: usize = 255;

/// How long an answer is given again.
const KEPT_MINUTES: u64 = 60;

/// Bytes of an answer that is kept at most; a larger one is made anew. The ledger keeps texts of 128 KiB, in
/// which this is a text within a text.
const LARGEST_KEPT: usize = 48 * 1024;

/// Entries that are looked through at most for events whose place in the log is not known any more.
const LOOKED_THROUGH: u64 = 50_000;

/// Entries that are read at a time.
const PAGE: u32 = 1_000;

/// What a key was first used for.
#[derive(Debug, Serialize, Deserialize)]
struct Use {
    /// Hash of method, path and body.
    request: String,
    /// Of the one request that came first.
    nonce: Uuid,
    /// Entries that the log had then.
    entries: u64,
}

/// An answer as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    status: u16,
    content_type: String,
    body: String,
}

/// Says that a request has a key, for who writes its events.
#[derive(Debug, Clone)]
pub(crate) struct WriteKey {
    producer: String,
    /// Where in the log its events can be at the earliest.
    earliest: u64,
}

/// Sees to the keys of requests that write.
pub(crate) async fn once(State(parts): State<Shared>, request: Request, next: Next) -> Response {
    let mut keys = request.headers().get_all(&KEY).iter();
    let Some(key) = keys.next().cloned() else {
        return next.run(request).await;
    };
    let only = keys.next().is_none();
    let path = request.uri().path().to_owned();
    if request.method() != Method::POST || !(writes_events(&path) || changes_something(&path)) {
        return next.run(request).await;
    }
    let refused = |status, detail: &str| as_refused(&path, status, detail);
    if !only || !is_key(&key) {
        let detail = format!(
            "Idempotency-Key must be given once, as 1 to {LONGEST_KEY} visible ASCII characters"
        );
        return refused(StatusCode::BAD_REQUEST, &detail);
    }
    let Some(holder) = holder(&parts, request.headers()) else {
        // Who may write nothing is told so, and leaves nothing behind.
        return next.run(request).await;
    };
    let (mut head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, largest_body(&path)).await else {
        let detail = "the body could not be read, or is too large";
        return refused(StatusCode::PAYLOAD_TOO_LARGE, detail);
    };
    let names = Names::of(&holder, &key);
    let hashed = hash(&[head.method.as_str().as_bytes(), path.as_bytes(), &body]);
    let begun = match begin(&parts, &names, hashed) {
        Ok(begun) => begun,
        Err(error) => return refused_by(&path, error),
    };
    if !begun.same {
        let detail = "this Idempotency-Key was used for another request; give each its own";
        return refused(StatusCode::UNPROCESSABLE_ENTITY, detail);
    }
    if !begun.first {
        match parts.pangea.kept(&names.answer) {
            Ok(kept) => return replayed(&kept, &path),
            Err(Error::NotFound(_) | Error::Expired(_)) => {}
            Err(error) => return refused_by(&path, error),
        }
        if !writes_events(&path) {
            let detail = "a request with this Idempotency-Key came before and was not answered, so it \
                 may have been carried out; look, and send it with another key if it was not";
            return refused(StatusCode::CONFLICT, detail);
        }
    }
    head.extensions.insert(WriteKey {
        producer: names.producer,
        earliest: begun.entries,
    });
    let response = next.run(Request::from_parts(head, Body::from(body))).await;
    keep(&parts, &names.answer, response).await
}

/// Only the log itself can tell that it has these already.
fn writes_events(path: &str) -> bool {
    matches!(
        path,
        "/audit/v1/log" | "/audit/v2/log" | "/audit/v2/log_async"
    )
}

/// What is done at the request of an operator. Searches are asked with POST, too.
fn changes_something(path: &str) -> bool {
    path.starts_with("/api/") && !matches!(path, "/api/logs" | "/api/results")
}

fn is_key(key: &HeaderValue) -> bool {
    let bytes = key.as_bytes();
    (1..=LONGEST_KEY).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

fn holder(parts: &Parts, headers: &HeaderMap) -> Option<String> {
    let may = |scope| authorize(parts.environment.as_ref(), headers, scope).ok();
    may(Scope::Write).or_else(|| may(Scope::Admin))
}

/// Under which names things are kept for a key. Each holder of a token has keys of its own.
struct Names {
    first_use: String,
    answer: String,
    producer: String,
}

impl Names {
    fn of(holder: &str, key: &HeaderValue) -> Self {
        let name = |of: &str| {
            let hash = hash(&[of.as_bytes(), holder.as_bytes(), key.as_bytes()]);
            hash.chars().take(32).collect::<String>()
        };
        Self {
            first_use: name("use"),
            answer: name("answer"),
            producer: format!("http/{}", name("producer")),
        }
    }
}

/// In hexadecimal. No two lists of parts have the same.
fn hash(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

struct Begun {
    /// Whether the key is for this request.
    same: bool,
    /// Whether it has not been used before.
    first: bool,
    entries: u64,
}

fn begin(parts: &Parts, names: &Names, request: String) -> Result<Begun, Error> {
    let own = Use {
        request,
        nonce: Uuid::new_v4(),
        entries: parts.tree.head()?.tree_size,
    };
    let content = to_text(&own);
    let kept = parts
        .pangea
        .keep_as(&names.first_use, &content, expiry(parts))?;
    let used: Use = serde_json::from_str(&kept).map_err(|error| {
        Error::Unavailable(format!("what the key was used for cannot be read: {error}"))
    })?;
    Ok(Begun {
        same: used.request == own.request,
        first: used.nonce == own.nonce,
        entries: used.entries,
    })
}

fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers have a JSON form, and a String takes it")
}

fn expiry(parts: &Parts) -> WallTime {
    WallTime::from_micros(parts.environment.now().micros + KEPT_MINUTES * 60_000_000)
}

/// Keeps an answer that is final, and gives it.
async fn keep(parts: &Parts, name: &str, response: Response) -> Response {
    if response.status().is_server_error() || response.extensions().get::<Problem>().is_some() {
        // What is refused changes nothing, and what fails may pass: it is asked anew.
        return response;
    }
    let (head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer broke off");
        return problem.into_response();
    };
    let content_type = head.headers.get(CONTENT_TYPE).map(|value| value.to_str());
    if let (Ok(text), Some(Ok(content_type)), true) = (
        std::str::from_utf8(&bytes),
        content_type,
        bytes.len() <= LARGEST_KEPT,
    ) {
        let kept = Kept {
            status: head.status.as_u16(),
            content_type: content_type.to_owned(),
            body: text.to_owned(),
        };
        // Where it is not kept it is made anew from what the log has.
        let _ = parts.pangea.keep_as(name, &to_text(&kept), expiry(parts));
    }
    Response::from_parts(head, Body::from(bytes))
}

fn replayed(kept: &str, path: &str) -> Response {
    let kept: Option<Kept> = serde_json::from_str(kept).ok();
    let again = kept.and_then(|kept| {
        let status = StatusCode::from_u16(kept.status).ok()?;
        let content_type = HeaderValue::from_str(&kept.content_type).ok()?;
        let headers = [
            (CONTENT_TYPE, content_type),
            (REPLAYED, HeaderValue::from_static("true")),
        ];
        let mut response = (status, headers, Body::from(Bytes::from(kept.body))).into_response();
        response.extensions_mut().insert(AsItIs);
        Some(response)
    });
    again.unwrap_or_else(|| {
        let detail = "the answer that was given before cannot be read";
        as_refused(path, StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}

fn as_refused(path: &str, status: StatusCode, detail: &str) -> Response {
    let mut response = refusal(path, status, detail);
    response.extensions_mut().insert(AsItIs);
    response
}

fn refused_by(path: &str, error: Error) -> Response {
    let problem = Problem::from(error);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    as_refused(path, status, &problem.detail)
}

impl WriteKey {
    /// Gives the events a producer by which the log knows them again.
    pub(crate) fn mark(&self, columns: &mut EventColumns) {
        let count = columns.message.len();
        columns.producer = vec![self.producer.clone(); count];
        columns.sequence = (0..count as u64).collect();
    }

    /// Where these events are in the log: as it said, and those that it had already as they are found.
    pub(crate) fn places(
        &self,
        parts: &Parts,
        mut indices: Vec<Option<u64>>,
    ) -> Result<Vec<u64>, Error> {
        #[derive(Deserialize)]
        struct Origin {
            producer: Option<String>,
            sequence: Option<u64>,
        }
        let mut next = self.earliest;
        while indices.contains(&None) && next < self.earliest + LOOKED_THROUGH {
            let range = parts.log.entries(next, PAGE, false)?;
            if range.entries.is_empty() {
                break;
            }
            for entry in &range.entries {
                next = next.max(entry.index + 1);
                if !entry.envelope.contains(&self.producer) {
                    continue;
                }
                let Ok(origin) = serde_json::from_str::<Origin>(&entry.envelope) else {
                    continue;
                };
                let sequence = origin
                    .sequence
                    .and_then(|sequence| usize::try_from(sequence).ok());
                let place = sequence.and_then(|sequence| indices.get_mut(sequence));
                if let (Some(place), Some(true)) = (
                    place,
                    origin.producer.map(|producer| producer == self.producer),
                ) {
                    *place = Some(entry.index);
                }
            }
        }
        indices.into_iter().collect::<Option<_>>().ok_or_else(|| {
            let detail = "the events are in the log already, written with this Idempotency-Key too long \
                 ago to say where";
            Error::Refused(detail.to_owned())
        })
    }
}
