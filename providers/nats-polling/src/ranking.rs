//! Several servers, best first: back to a better one, and what was left behind on another.
//!
//! The client itself takes the next server where one is lost. It does not come back, and where servers
//! are no cluster each has a stream of its own: batches that were stored on one and not yet delivered
//! when it was lost lie there until somebody fetches them.

use std::sync::Arc;

use async_nats::Client;
use async_nats::connection::State;
use fieldledger_polling::chain;
use fieldledger_polling::config::Connection;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::connection::{Connections, probe};
use crate::delivery::Deliveries;
use crate::progress::Progress;
use crate::questions::{Question, remembered};
use crate::rest::{LOOK_AGAIN, come_to_rest};
use crate::storage::{Storage, StorageError};

pub(crate) struct Ranking {
    pub(crate) connection: Connection,
    pub(crate) client: Client,
    pub(crate) connections: Connections,
    pub(crate) storage: Storage,
    pub(crate) lanes: u32,
    pub(crate) deliveries: Deliveries,
    pub(crate) progress: Arc<Progress>,
    pub(crate) questions: mpsc::Sender<Question>,
}

impl Ranking {
    /// Looks around every so often, forever.
    pub(crate) async fn run(self) {
        if self.connection.servers.len() < 2 {
            return;
        }
        loop {
            tokio::time::sleep(self.connection.return_after).await;
            if self.client.connection_state() == State::Connected {
                self.look_around().await;
            }
        }
    }

    /// Fetches what was left behind on servers that can be reached, and goes to the best of them.
    async fn look_around(&self) {
        let here = self.client.server_info().server_id;
        let mut is_better = true;
        for server in self.connection.servers_without_passwords() {
            let (server, shown) = server;
            let Ok(other) = probe(&self.connection, server).await else {
                continue;
            };
            if other.server_info().server_id == here {
                is_better = false;
                continue;
            }
            if let Err(error) = self.fetch_from(&other).await {
                let error = chain(error.as_ref());
                warn!(
                    server = shown,
                    error, "server is there, but its streams are not"
                );
                continue;
            }
            if is_better {
                self.go_to_better(&other, &shown).await;
                // The others are looked at the next time, from there.
                return;
            }
        }
    }

    /// Delivers the batches of a stream that is not the one of the present server.
    async fn fetch_from(&self, other: &Client) -> Result<(), StorageError> {
        let storage = self.storage.at(other).await?;
        if storage.created().await? == self.storage.created().await? {
            return Ok(());
        }
        let batches = storage.pending().await?;
        if batches == 0 {
            return Ok(());
        }
        info!(
            batches,
            "batches left behind on another server are delivered"
        );
        let stop = CancellationToken::new();
        let lanes = storage.all_lanes(self.lanes).await?;
        // Of the connection that is looked through; it is not made again.
        let connections = Connections::new();
        let deliveries = self.deliveries.start(&storage, lanes, &connections, &stop);
        let delivered = tokio::time::timeout(self.connection.return_after, async {
            while storage.pending().await? > 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok::<(), StorageError>(())
        });
        let delivered = delivered.await;
        stop.cancel();
        deliveries.join_all().await;
        // What is left after that time is for the next look.
        delivered.unwrap_or(Ok(()))
    }

    /// Changes the server at a moment when nothing is under way, so that no poll is lost.
    async fn go_to_better(&self, other: &Client, server: &str) {
        let _turn = self.progress.moves.lock().await;
        if come_to_rest(&self.progress, &self.storage, true).await {
            // What was decided here counts there, too.
            if let Err(error) = self.take_along(other).await {
                let error = chain(error.as_ref());
                warn!(
                    server,
                    error, "a better server is back, but takes no records; staying"
                );
                return self.progress.hold(false);
            }
            info!(server, "a better server is back; moving there");
            let connected = self.connections.next();
            // Fails only where the client has ended, and polling with it.
            if self.client.force_reconnect().await.is_ok() {
                connected.await;
            }
        } else {
            warn!(
                server,
                "a better server is back, but batches wait; staying for now"
            );
        }
        self.progress.hold(false);
    }

    /// Stores what the engine knows of sensors and keys at a server that has streams of its own.
    async fn take_along(&self, other: &Client) -> Result<(), StorageError> {
        let there = self.storage.at(other).await?;
        if there.created().await? == self.storage.created().await? {
            return Ok(());
        }
        match remembered(&self.questions).await {
            Some(memory) => there.remember(&memory).await,
            None => Err("polling has ended".into()),
        }
    }
}
