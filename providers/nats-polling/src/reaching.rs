//! The way to a server: connected, with streams, and with what earlier runs stored there.

use async_nats::Client;
use backon::Retryable;
use bytes::Bytes;
use fieldledger_polling::brokers::Ordered;
use fieldledger_polling::config::Connection;
use fieldledger_polling::{Config, Keys, chain};
use tracing::warn;
use uuid::Uuid;

use crate::backoff::backoff;
use crate::connection::{Connections, connect, takes};
use crate::present_run::PresentRun;
use crate::storage::{Storage, StorageError};

/// How many lists of servers lead on to a newer one. Each takes a connection.
const LISTS_MAX: usize = 8;

/// What there has to be before polling starts.
pub(crate) struct Reached {
    /// To whom, of all that counts now.
    pub(crate) connection: Connection,
    /// The list that was taken last.
    pub(crate) ordered: Ordered,
    pub(crate) client: Client,
    pub(crate) storage: Storage,
    /// Lanes to deliver from: those configured, and any that earlier runs had beside them.
    pub(crate) lanes: u32,
    /// Keys and records of known sensors.
    pub(crate) sensors: Vec<(String, Bytes)>,
    /// Keys of sensors that were approved or retired.
    pub(crate) keys: Vec<(Uuid, Keys)>,
}

/// Where to go from.
pub(crate) struct Reaching<'a> {
    pub(crate) config: &'a Config,
    pub(crate) connections: &'a Connections,
    /// The list of servers that counts, as far as it is known.
    pub(crate) ordered: &'a Ordered,
    /// Who asks meanwhile is told why there is no polling yet.
    pub(crate) present: &'a PresentRun,
}

impl Reaching<'_> {
    /// Connects, prepares the streams and reads back the sensors, however long it takes.
    pub(crate) async fn reach(&self) -> Reached {
        let reached = (|| self.reach_once())
            .retry(backoff())
            .notify(|error, pause| {
                let error = chain(error.as_ref());
                warn!(
                    error,
                    retry_ms = pause.as_millis(),
                    "polling cannot start yet; trying again"
                );
                self.present.set_obstacle(error);
            });
        reached.await.expect("it is tried without an end")
    }

    async fn reach_once(&self) -> Result<Reached, StorageError> {
        let (connection, ordered, client, storage) = self.follow().await?;
        let lanes = storage.all_lanes(self.config.lanes).await?;
        let sensors = storage.load_sensors().await?;
        let keys = storage.load_keys().await?;
        Ok(Reached {
            connection,
            ordered,
            client,
            storage,
            lanes,
            sensors,
            keys,
        })
    }

    /// Goes where the link's settings say, and on to where a list of an operator's leads that is stored
    /// there.
    async fn follow(&self) -> Result<(Connection, Ordered, Client, Storage), StorageError> {
        let link = &self.config.connection;
        let shown = link.without_passwords();
        let mut ordered = self.ordered.clone();
        for _ in 0..LISTS_MAX {
            let servers = ordered.servers(&shown).unwrap_or(&link.servers);
            let connection = link.at(servers);
            let (client, storage) = self.open(&connection).await?;
            let stored = storage.load_order().await?;
            let Some(newer) = stored.filter(|stored| stored.version > ordered.version) else {
                return Ok((connection, ordered, client, storage));
            };
            let servers = newer.servers(&shown).unwrap_or(&link.servers);
            let is_there = servers == connection.servers;
            ordered = newer;
            if is_there {
                return Ok((connection, ordered, client, storage));
            }
        }
        Err(format!("{LISTS_MAX} lists of brokers lead from server to server").into())
    }

    async fn open(&self, connection: &Connection) -> Result<(Client, Storage), StorageError> {
        let client = connect(connection, self.connections).await?;
        takes(&client, self.config.batch.bytes)?;
        let (instance, replicas) = (&self.config.instance, connection.replicas);
        let storage = Storage::open(&client, instance, replicas).await?;
        if let Some(subject) = &self.config.events {
            storage.keep_events(subject).await?;
        }
        Ok((client, storage))
    }
}
