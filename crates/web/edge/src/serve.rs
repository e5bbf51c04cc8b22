//! The server's life: listen, take connections, stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::backend::Backend;
use crate::connection::{Shared, serve, until};
use crate::places::Places;
use crate::rules::Rules;

/// How long it waits where no connection can be taken, as without a free file descriptor.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    /// What was asked for.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// An edge that serves. Dropping it stops it without waiting for requests under way.
#[derive(Debug)]
pub struct Edge {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Edge {
    /// Serves at `address`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn start(
        address: SocketAddr,
        backend: impl Backend,
        rules: Rules,
    ) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            places: Places::new(&rules),
            waiting: Arc::default(),
            backend: Arc::new(backend),
            local,
            rules,
        });
        let (stopping, stopped) = watch::channel(false);
        Ok(Self {
            address: local,
            stopping,
            serving: tokio::spawn(take_connections(listener, shared, stopped)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and returns once those under way are answered.
    ///
    /// # Errors
    ///
    /// When serving had failed before.
    pub async fn stop(self) -> Result<(), JoinError> {
        self.stopping.send_replace(true);
        self.serving.await
    }
}

async fn take_connections(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(shared.rules.connections.max(1)));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            // Dropping the sender means stop as well.
            () = until(&mut stopped) => break,
            Some(ended) = connections.join_next() => {
                note(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(taken) => taken,
            // The client had gone before it was taken.
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken; trying again");
                shared.waiting.end_oldest();
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let permit = match Arc::clone(&room).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                // Where none waits, all are being answered, and the first to end makes room.
                shared.waiting.end_oldest();
                let freed = tokio::select! {
                    () = until(&mut stopped) => break,
                    freed = Arc::clone(&room).acquire_owned() => freed,
                };
                match freed {
                    Ok(permit) => permit,
                    Err(_closed) => break,
                }
            }
        };
        let serving = serve(stream, peer, Arc::clone(&shared), stopped.clone());
        connections.spawn(async move {
            let _permit = permit;
            serving.await;
        });
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(panicked) = ended {
        tracing::error!(%panicked, "a connection was not served");
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
