//! Lets handlers block, as the calls behind the API do.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Answers the request, which the edge has read to its end, on a thread that may block.
pub(crate) async fn on_blocking_thread(request: Request, next: Next) -> Response {
    let runtime = Handle::current();
    let answered = spawn_blocking(move || runtime.block_on(next.run(request))).await;
    answered.unwrap_or_else(|panicked| {
        tracing::error!(%panicked, "a request was not answered");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}
