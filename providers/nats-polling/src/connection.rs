//! The link's own connection to NATS.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use fieldledger_polling::config::Connection;
use nkeys::KeyPair;
use thiserror::Error;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// Commands that wait for a connection that is gone. Polling pauses then, so few arise.
const CLIENT_CAPACITY: usize = 8_192;

/// Answers that wait to be read. Polls under way are bounded well below it (`OUTSTANDING_MAX`).
const SUBSCRIPTION_CAPACITY: usize = 131_072;

/// The NATS client backs off up to 4 s by itself; a plant's server that is back should be noticed
/// at once, and one connection attempt a second disturbs nobody.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    /// The seed is no nkey seed.
    #[error("setting CLIENT_SEED is no nkey seed; expected one that begins with SU")]
    Seed(#[source] nkeys::error::Error),
    /// No server, or none that lets us in.
    #[error("cannot connect to {servers}")]
    Connect {
        /// As configured.
        servers: String,
        /// What the client says.
        #[source]
        source: async_nats::ConnectError,
    },
}

/// Tells when a connection is made: an answer that was awaited over the one before will not come.
#[derive(Debug, Clone)]
pub(crate) struct Connections(Arc<watch::Sender<u64>>);

impl Connections {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Ends with the first connection that is made after this call.
    pub(crate) fn next(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut made = self.0.subscribe();
        async move {
            if made.changed().await.is_err() {
                // Nobody is left who could make one.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Connects now, and reconnects for ever should the connection be lost later.
pub(crate) async fn connect(
    connection: &Connection,
    connections: &Connections,
) -> Result<Client, ConnectError> {
    let options = match &connection.credentials {
        Some((jwt, seed)) => {
            let key = KeyPair::from_seed(seed).map_err(ConnectError::Seed)?;
            let key = Arc::new(key);
            ConnectOptions::with_jwt(jwt.clone(), move |nonce| {
                let key = Arc::clone(&key);
                async move { key.sign(&nonce).map_err(async_nats::AuthError::new) }
            })
        }
        None => ConnectOptions::new(),
    };
    let made = connections.clone();
    options
        .name("fieldledger-nats-polling")
        .client_capacity(CLIENT_CAPACITY)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .reconnect_delay_callback(|attempts| {
            if attempts <= 1 {
                Duration::ZERO
            } else {
                RECONNECT_PAUSE
            }
        })
        .event_callback(move |event| {
            log(&event);
            if matches!(event, Event::Connected) {
                made.0.send_modify(|count| *count += 1);
            }
            std::future::ready(())
        })
        .connect(connection.servers.as_slice())
        .await
        .map_err(|source| ConnectError::Connect {
            servers: connection.without_passwords().join(", "),
            source,
        })
}

fn log(event: &Event) {
    match event {
        Event::Connected => info!("connected to NATS"),
        Event::Disconnected => warn!("connection to NATS lost; polling pauses until it is back"),
        Event::SlowConsumer(subscription) => {
            error!(
                subscription,
                "messages from NATS were dropped because they came too fast"
            );
        }
        Event::ServerError(error) => warn!(%error, "NATS server reports an error"),
        Event::ClientError(error) => warn!(%error, "NATS client reports an error"),
        Event::LameDuckMode | Event::Draining | Event::Closed => info!(%event, "NATS connection"),
    }
}
