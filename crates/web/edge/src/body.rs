//! A request's body, whole and in time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt as _;
use hyper::StatusCode;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout_at};

use crate::refusal::Refusal;
use crate::rules::{Rules, THROWN_AWAY};

/// Reads a body of at most `limit` bytes. If its client `asks_first`, one that is too large is not even sent.
pub(crate) async fn read(
    body: Body,
    limit: usize,
    asks_first: bool,
    rules: &Rules,
) -> Result<Bytes, Refusal> {
    let too_large = || {
        let detail = format!("the body is larger than {limit} bytes");
        Refusal::last(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let hint = body.size_hint();
    let least = usize::try_from(hint.lower()).unwrap_or(usize::MAX);
    let give_up = limit.saturating_add(THROWN_AWAY);
    if least > give_up || (asks_first && least > limit) {
        return Err(too_large());
    }
    let most = hint.upper().and_then(|most| usize::try_from(most).ok());
    let most = most.unwrap_or(limit).min(give_up);
    let seconds = most / rules.body_bytes_per_second.max(1);
    let wait = rules.body_wait + Duration::from_secs(seconds as u64);
    let end = Instant::now() + wait;

    let mut stream = body.into_data_stream();
    let mut whole = Vec::new();
    let mut size = 0_usize;
    loop {
        match timeout_at(end, stream.next()).await {
            Err(_) => {
                let seconds = wait.as_secs_f64();
                let detail = format!(
                    "after {seconds:.1} s only {size} bytes of the body are there; send it faster"
                );
                return Err(Refusal::last(StatusCode::REQUEST_TIMEOUT, detail));
            }
            Ok(None) if size > limit => return Err(too_large()),
            Ok(None) => return Ok(whole.into()),
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a body ended early");
                let detail = "the body cannot be read to its end";
                return Err(Refusal::last(StatusCode::BAD_REQUEST, detail));
            }
            Ok(Some(Ok(bytes))) => {
                size = size.saturating_add(bytes.len());
                if size > give_up {
                    return Err(too_large());
                }
                if size <= limit {
                    whole.extend_from_slice(&bytes);
                } else {
                    whole = Vec::new();
                }
            }
        }
    }
}
