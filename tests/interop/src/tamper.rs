//! A proxy that changes one answer.

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What is done to a body.
pub type Change = fn(&mut Vec<u8>);

/// What is changed: answers whose path starts so, and what is done to their bodies.
struct Tampered {
    upstream: String,
    prefix: &'static str,
    change: Change,
}

/// The proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct Tampering {
    /// Its URL, without a slash at its end.
    pub url: String,
    serving: JoinHandle<()>,
}

impl Tampering {
    /// Passes on what `upstream` answers, but for answers whose path starts with `prefix`.
    ///
    /// # Errors
    ///
    /// Where no port can be listened on.
    pub async fn with(upstream: &str, prefix: &'static str, change: Change) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let tampered = Tampered {
            upstream: upstream.to_owned(),
            prefix,
            change,
        };
        let routes = Router::new()
            .fallback(pass_on)
            .with_state(Arc::new(tampered));
        let serving = tokio::spawn(async move {
            // The test sees it when answers stay out.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, serving })
    }
}

impl Drop for Tampering {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass_on(State(tampered): State<Arc<Tampered>>, request: Request) -> Response {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let answer = match reqwest::get(format!("{}{path}", tampered.upstream)).await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let status = answer.status().as_u16();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    match answer.bytes().await {
        Ok(body) => {
            let mut body = body.to_vec();
            if path.starts_with(tampered.prefix) {
                (tampered.change)(&mut body);
            }
            (status, body).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
