//! The server's life: listen, serve, stop.

use std::io;
use std::net::SocketAddr;

use axum::middleware;
use fieldledger_api::Parts;
use fieldledger_ledger::Ledger;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::blocking::on_blocking_thread;
use crate::connections::{HEAD_WAIT, serve};
use crate::over_ledger::OverLedger;

/// Why the server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Serving ended by itself.
    #[error("the server at {address} failed")]
    Serve {
        /// Where it listened.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A server that serves. Dropping it stops it without waiting for requests under way.
#[derive(Debug)]
pub struct Standalone {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
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
        let failed = |source| StandaloneError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let routes = fieldledger_api::router(parts.into());
        let routes = routes.layer(middleware::from_fn(on_blocking_thread));
        let (stop, stopped) = oneshot::channel::<()>();
        tracing::info!(%address, "serving the log");
        Ok(Self {
            address,
            stop,
            serving: tokio::spawn(serve(listener, routes, HEAD_WAIT, stopped)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more requests, and returns once those under way are answered.
    ///
    /// # Errors
    ///
    /// When serving had failed before.
    pub async fn stop(self) -> Result<(), StandaloneError> {
        let _ = self.stop.send(());
        self.serving
            .await
            .map_err(|panicked| StandaloneError::Serve {
                address: self.address,
                source: io::Error::other(panicked),
            })
    }
}
