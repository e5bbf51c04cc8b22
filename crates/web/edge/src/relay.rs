//! The call, which is ended properly even if nobody waits for it any more.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt as _, stream};
use hyper::http::response::Parts;
use hyper::{Request, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::backend::Backend;
use crate::places::Place;
use crate::refusal::Refusal;
use crate::rules::LARGEST_WHOLE;

/// What is answered.
pub(crate) enum Reply {
    /// All of it.
    Whole(Parts, Bytes),
    /// As it comes.
    Streamed(Parts, Body),
}

/// Calls, and keeps the place for as long as the call lasts. The call goes on if this is dropped: one that is
/// broken off is an error in the eyes of who answers it, and is not done any sooner.
pub(crate) async fn call(
    backend: &Arc<dyn Backend>,
    request: Request<Bytes>,
    place: Place,
    wait: Duration,
) -> Result<Reply, Refusal> {
    let (sender, reply) = oneshot::channel();
    let calling = run(Arc::clone(backend), request, wait, sender);
    tokio::spawn(async move {
        let _place = place;
        calling.await;
    });
    reply.await.unwrap_or_else(|_| {
        Err(Refusal::new(
            StatusCode::BAD_GATEWAY,
            "the request was not answered",
        ))
    })
}

async fn run(
    backend: Arc<dyn Backend>,
    request: Request<Bytes>,
    wait: Duration,
    reply: oneshot::Sender<Result<Reply, Refusal>>,
) {
    let line = format!("{} {}", request.method(), request.uri().path());
    let end = Instant::now() + wait;
    let too_late = || {
        let detail = format!("there is no whole answer after {} s", wait.as_secs());
        Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, detail))
    };
    let answer = match timeout_at(end, backend.call(request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failed)) => {
            let cause = failed.source.as_ref().map(ToString::to_string);
            tracing::warn!(request = line, error = %failed, cause, "a request was not answered");
            let status = match failed.never_taken {
                true => StatusCode::SERVICE_UNAVAILABLE,
                false => StatusCode::BAD_GATEWAY,
            };
            let _ = reply.send(Err(Refusal::new(status, failed.to_string())));
            return;
        }
        Err(_) => {
            tracing::warn!(request = line, "a request was not answered in time");
            let _ = reply.send(too_late());
            return;
        }
    };
    let (parts, body) = answer.into_parts();
    let mut rest = body.into_data_stream();
    let mut begin = Vec::new();
    while begin.len() <= LARGEST_WHOLE {
        match timeout_at(end, rest.next()).await {
            Ok(None) => {
                let _ = reply.send(Ok(Reply::Whole(parts, begin.into())));
                return;
            }
            Ok(Some(Ok(bytes))) => begin.extend_from_slice(&bytes),
            Ok(Some(Err(error))) => {
                tracing::warn!(request = line, %error, "an answer ended early");
                let detail = "the answer ended before it was whole";
                let _ = reply.send(Err(Refusal::new(StatusCode::BAD_GATEWAY, detail)));
                return;
            }
            Err(_) => {
                let _ = reply.send(too_late());
                return;
            }
        }
    }
    let (sender, receiver) = mpsc::channel(1);
    let first = stream::once(async move { Ok::<_, io::Error>(Bytes::from(begin)) });
    let following = stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async move {
        Some((receiver.recv().await?, receiver))
    });
    let body = Body::from_stream(first.chain(following));
    let _ = reply.send(Ok(Reply::Streamed(parts, body)));
    pass_on(&line, rest, sender).await;
}

/// Passes the rest on for as long as there is a client, and takes it to its end in any case.
async fn pass_on(
    line: &str,
    mut rest: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin,
    client: mpsc::Sender<Result<Bytes, io::Error>>,
) {
    while let Some(bytes) = rest.next().await {
        let ended = bytes.as_ref().err().map(ToString::to_string);
        // A client that is gone takes nothing; this is no error.
        let _ = client.send(bytes.map_err(io::Error::other)).await;
        if let Some(error) = ended {
            tracing::warn!(request = line, error, "an answer ended early");
            return;
        }
    }
}
