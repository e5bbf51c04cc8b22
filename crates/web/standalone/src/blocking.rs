//! Lets handlers block, as the calls behind the API do.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Bytes of a request's body that are held at most; no route takes more.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// How long a client may take to send a request's body.
const BODY_WAIT: Duration = Duration::from_secs(60);

/// Answers the request on a thread that may block, once its body is here: a client that sends
/// slowly holds no thread.
pub(crate) async fn on_blocking_thread(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match timeout(BODY_WAIT, read(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_client_left)) => return StatusCode::BAD_REQUEST.into_response(),
        Err(_too_slow) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let request = Request::from_parts(parts, Body::from(body));
    let runtime = Handle::current();
    let answered = spawn_blocking(move || runtime.block_on(next.run(request))).await;
    answered.unwrap_or_else(|panicked| {
        tracing::error!(%panicked, "a request was not answered");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

/// The body; of one that is too large just so much more than [`LARGEST_BODY`] that its handler
/// refuses it.
async fn read(body: Body) -> Result<Bytes, axum::Error> {
    let mut chunks = body.into_data_stream();
    let mut read = Vec::new();
    while let Some(chunk) = chunks.next().await {
        read.extend_from_slice(&chunk?);
        if read.len() > LARGEST_BODY {
            break;
        }
    }
    Ok(read.into())
}
