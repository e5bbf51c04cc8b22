//! One connection, and what becomes of a request on it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::http::response::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::backend::Backend;
use crate::finish::{finish, with_length};
use crate::patient::Patient;
use crate::places::{Full, Places};
use crate::refusal::Refusal;
use crate::rules::{HEAD_BUFFER, Rules};
use crate::waiting::{Waiter, Waiting};
use crate::{body, head, relay};

/// How long the end of a connection is read for. A client that still writes would otherwise be told that the
/// connection is broken, and not see why.
const LINGER: Duration = Duration::from_secs(1);

/// And how many bytes.
const LINGER_BYTES: u64 = 1024 * 1024;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) rules: Rules,
    pub(crate) places: Places,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) backend: Arc<dyn Backend>,
    /// Where it listens.
    pub(crate) local: SocketAddr,
}

/// Answers what comes on a connection until one side has enough of it.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    mut stopping: watch::Receiver<bool>,
) {
    let waiter = Arc::new(shared.waiting.join());
    // Without it answers come late; they come all the same.
    let _ = stream.set_nodelay(true);
    let stream = Patient::new(stream, shared.rules.write_wait);
    let service = {
        let (shared, waiter) = (Arc::clone(&shared), Arc::clone(&waiter));
        service_fn(move |request| {
            let (shared, waiter) = (Arc::clone(&shared), Arc::clone(&waiter));
            // In a box, because the connection is taken apart at its end and so cannot be pinned.
            Box::pin(
                async move { Ok::<_, Infallible>(answer(&shared, &waiter, peer, request).await) },
            )
        })
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.rules.head_wait)
        .max_buf_size(HEAD_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => Some(ended),
        () = waiter.must_leave() => {
            tracing::debug!(%peer, "a connection makes room for another");
            return;
        }
        () = until(&mut stopping) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            let ending = poll_fn(|context| connection.poll_without_shutdown(context));
            match timeout(shared.rules.stop_wait, ending).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    let http1::Parts { io, read_buf, .. } = connection.into_parts();
    let mut stream = io.into_inner();
    if let Err(error) = &ended {
        // Clients come and go as they like: that is nothing to note, but for who looks for it.
        tracing::debug!(%peer, %error, "a connection ended early");
        if !error.is_timeout() || read_buf.is_empty() {
            return;
        }
        let late = late_head(shared.rules.head_wait).await;
        if stream.write_all(&late).await.is_err() {
            return;
        }
    }
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(LINGER_BYTES);
        let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    }
}

/// Until the edge stops, or is gone.
pub(crate) async fn until(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// What is answered to a head that never ended.
async fn late_head(wait: Duration) -> Vec<u8> {
    let detail = format!(
        "the head of the request is not there after {:.1} s; send it faster",
        wait.as_secs_f64()
    );
    let response = Refusal::last(StatusCode::REQUEST_TIMEOUT, detail).answer("");
    let (parts, body) = whole(response).await;
    let mut bytes = b"HTTP/1.1 408 Request Timeout\r\n".to_vec();
    for (name, value) in &parts.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// The parts of an answer that was made here, and so is in memory.
async fn whole(response: Response<Body>) -> (Parts, Bytes) {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let bytes = axum::body::to_bytes(body, usize::MAX).await;
    (parts, bytes.unwrap_or_else(|_| Bytes::new()))
}

async fn answer(
    shared: &Shared,
    waiter: &Waiter,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let head_only = request.method() == Method::HEAD;
    let mut path = request.uri().path().to_owned();
    let response = match handle(shared, waiter, peer, request, &mut path).await {
        Ok(response) => response,
        Err(refusal) => {
            let (parts, bytes) = whole(refusal.answer(&path)).await;
            with_length(parts, bytes, head_only)
        }
    };
    waiter.wait();
    response
}

/// Leaves in `path` what the request is for, seen from the site.
async fn handle(
    shared: &Shared,
    waiter: &Waiter,
    peer: SocketAddr,
    request: Request<Incoming>,
    path: &mut String,
) -> Result<Response<Body>, Refusal> {
    let rules = &shared.rules;
    let (parts, incoming) = request.into_parts();
    let head = head::read(parts, shared.local, peer, rules.prefix.as_ref())?;
    head.parts.uri.path().clone_into(path);
    let body = body::read(
        Body::new(incoming),
        head.largest_body,
        head.asks_first,
        rules,
    )
    .await?;
    waiter.work();
    let place = shared.places.enter(head.class).await.map_err(|Full| {
        let detail = format!(
            "too many {} wait already; ask again later",
            head.class.name()
        );
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let request = Request::from_parts(head.parts, body);
    let reply = relay::call(&shared.backend, request, place, rules.answer_wait).await?;
    Ok(finish(reply, &head.wishes).await)
}
