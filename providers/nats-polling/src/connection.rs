//! The link's own connection to NATS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use fieldledger_polling::config::{Connection, Credentials, Seed};
use nkeys::KeyPair;
use thiserror::Error;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::authorities::{self, AuthoritiesError};

/// Commands that wait for a connection that is gone. Polling pauses then, so few arise.
const CLIENT_CAPACITY: usize = 8_192;

/// Answers that wait to be read. Polls under way are bounded well below it (`OUTSTANDING_MAX`).
const SUBSCRIPTION_CAPACITY: usize = 131_072;

/// The NATS client backs off up to 4 s by itself; a plant's server that is back should be noticed
/// at once, and one connection attempt a second disturbs nobody.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// A server that does not take a connection within this time is passed over.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A server that has fallen silent is given up after two of these. The client's own minute would be an
/// outage of two.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    /// The seed is no nkey seed.
    #[error(
        "CLIENT_SEED, or the file of that name, is no nkey seed; expected one that begins with SU"
    )]
    Seed(#[source] nkeys::error::Error),
    /// The file with the seed cannot be read.
    #[error("cannot read CLIENT_SEED_FILE {}", path.display())]
    SeedFile {
        /// As configured.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody is known who could vouch for a server.
    #[error("setting TLS_CA cannot be used")]
    Authorities(#[from] AuthoritiesError),
    /// A batch may be larger than a message can be there.
    #[error(
        "setting BATCH_BYTES is {bytes}, but this NATS server takes at most {max_payload} bytes"
    )]
    SmallMessages {
        /// As configured.
        bytes: usize,
        /// As the server says.
        max_payload: usize,
    },
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

/// Connects now, and reconnects forever should the connection be lost later.
pub(crate) async fn connect(
    connection: &Connection,
    connections: &Connections,
) -> Result<Client, ConnectError> {
    let options = options(connection)?;
    let made = connections.clone();
    let rounds_after = connection.servers.len();
    options
        // Best first, and each of them once before there is a pause.
        .retain_servers_order()
        .connection_timeout(CONNECT_WITHIN)
        .ping_interval(PING_EVERY)
        .name("fieldledger-nats-polling")
        .client_capacity(CLIENT_CAPACITY)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .reconnect_delay_callback(move |attempts| {
            if attempts <= rounds_after {
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

/// Whether the client's server takes messages of so many bytes.
pub(crate) fn takes(client: &Client, bytes: usize) -> Result<(), ConnectError> {
    let max_payload = client.server_info().max_payload;
    match bytes > max_payload {
        true => Err(ConnectError::SmallMessages { bytes, max_payload }),
        false => Ok(()),
    }
}

/// Connects to one of the servers, for a look.
pub(crate) async fn probe(connection: &Connection, server: &str) -> Result<Client, ConnectError> {
    options(connection)?
        .name("fieldledger-nats-polling-probe")
        .connection_timeout(CONNECT_WITHIN)
        .max_reconnects(1)
        .connect(server)
        .await
        .map_err(|source| ConnectError::Connect {
            servers: connection.without_passwords().join(", "),
            source,
        })
}

/// Whom to trust, and who to be.
fn options(connection: &Connection) -> Result<ConnectOptions, ConnectError> {
    let login = login(connection)?;
    let Some(known) = &connection.authorities else {
        return Ok(login);
    };
    // Required, whatever a URL or a server says: who stands between could tell us to do without.
    Ok(login
        .require_tls(true)
        .tls_client_config(authorities::trusting(known)?))
}

/// Who to be: the user of a JWT, of an nkey, or the one whom a server's URL names.
fn login(connection: &Connection) -> Result<ConnectOptions, ConnectError> {
    let Some(Credentials { jwt, seed }) = &connection.credentials else {
        // The client itself passes over what stands before the `@`.
        let named = connection.login.as_ref();
        let named = named.and_then(|server| server.parse::<ServerAddr>().ok());
        return Ok(match named.filter(ServerAddr::has_user_pass) {
            Some(address) => ConnectOptions::with_user_and_password(
                address.username().unwrap_or_default().to_owned(),
                address.password().unwrap_or_default().to_owned(),
            ),
            None => ConnectOptions::new(),
        });
    };
    let seed = match seed {
        Seed::Text(seed) => seed.clone(),
        Seed::File(path) => {
            let text = fs::read_to_string(path).map_err(|source| ConnectError::SeedFile {
                path: path.clone(),
                source,
            })?;
            text.trim().to_owned()
        }
    };
    let key = Arc::new(KeyPair::from_seed(&seed).map_err(ConnectError::Seed)?);
    Ok(match jwt {
        Some(jwt) => ConnectOptions::with_jwt(jwt.clone(), move |nonce| {
            let key = Arc::clone(&key);
            async move { key.sign(&nonce).map_err(async_nats::AuthError::new) }
        }),
        None => ConnectOptions::with_nkey(seed),
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
