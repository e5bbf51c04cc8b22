//! The server's life: listen, serve, stop.

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::{Router, middleware};
use fieldledger_api::Parts;
use fieldledger_edge::{
    Backend, Calling, Edge, ListenError, Rules, connections_possible, raise_limit,
};
use fieldledger_ledger::Ledger;
use tokio::task::JoinError;
use tower::ServiceExt as _;

use crate::blocking::on_blocking_thread;
use crate::over_ledger::OverLedger;

/// Why the server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Serving ended by itself.
    #[error("the server at {address} failed")]
    Serve {
        /// Where it listened.
        address: SocketAddr,
        /// What happened.
        #[source]
        source: JoinError,
    },
}

/// The API in this process, as the edge asks it.
struct InProcess(Router);

impl Backend for InProcess {
    fn call(&self, request: Request<Bytes>) -> Calling {
        let answer = self.0.clone().oneshot(request.map(Body::from));
        Box::pin(async move { Ok(answer.await.unwrap_or_else(|never| match never {})) })
    }
}

/// A server that serves. Dropping it stops it without waiting for requests under way.
#[derive(Debug)]
pub struct Standalone {
    edge: Edge,
}

impl Standalone {
    /// Serves the ledger at `listen`; port 0 takes a free one. The ledger stays the caller's to
    /// close.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn start(ledger: Ledger, listen: SocketAddr) -> Result<Self, StandaloneError> {
        Self::start_with(OverLedger::new(ledger), listen).await
    }

    /// As [`Standalone::start`], with any parts.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn start_with(
        parts: impl Into<Parts>,
        listen: SocketAddr,
    ) -> Result<Self, StandaloneError> {
        let routes = fieldledger_api::router(parts.into());
        let routes = routes.layer(middleware::from_fn(on_blocking_thread));
        raise_limit();
        let rules = Rules::default();
        let rules = Rules {
            connections: connections_possible(rules.connections),
            ..rules
        };
        let edge = Edge::start(listen, InProcess(routes), rules).await?;
        tracing::info!(address = %edge.local_addr(), "serving the log");
        Ok(Self { edge })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.edge.local_addr()
    }

    /// The address as a URL without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.local_addr())
    }

    /// Takes no more requests, and returns once those under way are answered.
    ///
    /// # Errors
    ///
    /// When serving had failed before.
    pub async fn stop(self) -> Result<(), StandaloneError> {
        let address = self.local_addr();
        let stopped = self.edge.stop().await;
        stopped.map_err(|source| StandaloneError::Serve { address, source })
    }
}
