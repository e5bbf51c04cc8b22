//! Who answers what the edge lets through.

use std::error::Error;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::future::BoxFuture;
use hyper::http::Uri;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How long a connection to the gateway may take; it is on the same machine, or near.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// How long an unused one is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct BackendError {
    /// Whether the request was never taken, so that it can be sent again.
    pub never_taken: bool,
    /// What happened, for a person.
    pub what: String,
    /// Why.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// An answer that is under way.
pub type Calling = BoxFuture<'static, Result<Response<Body>, BackendError>>;

/// Who answers. A call is made for one whole request, and is never broken off.
pub trait Backend: Send + Sync + 'static {
    /// Answers a request.
    fn call(&self, request: Request<Bytes>) -> Calling;
}

/// A gateway that is asked over HTTP/1.1, as wasmCloud's builtin server is.
#[derive(Debug, Clone)]
pub struct Gateway {
    client: Client<HttpConnector, Body>,
    authority: Authority,
}

impl Gateway {
    /// The gateway at `authority`, such as `127.0.0.1:8081`.
    #[must_use]
    pub fn at(authority: Authority) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_WAIT));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            // The client's own name for this site, not the gateway's, is in the request.
            .set_host(false)
            .build(connector);
        Self { client, authority }
    }
}

impl Backend for Gateway {
    fn call(&self, request: Request<Bytes>) -> Calling {
        let client = self.client.clone();
        let (mut head, body) = request.into_parts();
        let target = head.uri.path_and_query().cloned();
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(target.unwrap_or(PathAndQuery::from_static("/")))
            .build();
        Box::pin(async move {
            head.uri = uri.map_err(|error| BackendError {
                never_taken: false,
                what: "the request has no address".to_owned(),
                source: Some(error.into()),
            })?;
            let answer = client.request(Request::from_parts(head, Body::from(body)));
            match answer.await {
                Ok(response) => Ok(response.map(Body::new)),
                Err(error) => Err(BackendError {
                    never_taken: error.is_connect(),
                    what: match error.is_connect() {
                        true => "the gateway cannot be reached".to_owned(),
                        false => "the gateway gave no answer".to_owned(),
                    },
                    source: Some(error.into()),
                }),
            }
        })
    }
}
