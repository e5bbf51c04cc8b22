//! Lists of servers that an operator sends: checked, kept, and recorded.
//!
//! They come as requests on `fieldledger.brokers.<instance>`, and the server says who may publish there.
//! The answer is `{"taken":true,…}`, or `{"taken":false,"reason":…}` where nothing has changed. A list is
//! taken only where the best of its servers that can be reached has streams. Then polling comes to rest as for
//! a return to a better server; what a start must know goes along: the list, the sensors, and whose keys
//! were approved; and this run ends, for one to begin there.

use std::sync::Arc;

use async_nats::{Client, Message};
use bytes::Bytes;
use fieldledger_polling::brokers::{Order, OrderError, Ordered};
use fieldledger_polling::chain;
use fieldledger_polling::config::Connection;
use futures::StreamExt;
use serde_json::json;
use thiserror::Error;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::connection::{ConnectError, probe, takes};
use crate::progress::Progress;
use crate::questions::{Question, remembered};
use crate::rest::come_to_rest;
use crate::storage::{Storage, StorageError};

/// Where the event logger listens. Who orders what is an operator's action, and belongs into the log.
const EVENTS: &str = "events.audit";

/// What the log calls it.
const ACTION: &str = "BROKERS_CHANGE";

/// Who it was, where the message does not say.
const SOMEBODY: &str = "operator";

/// Why a list is not taken.
#[derive(Debug, Error)]
enum Refusal {
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("no broker of the list can be reached; the last one, {server}")]
    Unreachable {
        server: String,
        #[source]
        source: ConnectError,
    },
    #[error("broker {server} is the best that can be reached, and not fit to be polled from")]
    Unfit {
        server: String,
        #[source]
        source: StorageError,
    },
    #[error("results wait to be delivered here; a list is taken once they are")]
    Restless,
    #[error("polling has ended")]
    Ended,
    #[error("the list could not be stored")]
    Store(#[source] StorageError),
}

/// What is done with a list.
enum Taken {
    /// It was already.
    Again,
    /// From now on, here first.
    New(Ordered, String),
}

pub(crate) struct Orders {
    /// As the link's settings have it.
    pub(crate) link: Connection,
    /// What was taken last.
    pub(crate) present: Ordered,
    pub(crate) instance: String,
    /// The largest message that a server has to take.
    pub(crate) batch_bytes: usize,
    pub(crate) client: Client,
    pub(crate) storage: Storage,
    pub(crate) progress: Arc<Progress>,
    pub(crate) questions: mpsc::Sender<Question>,
}

impl Orders {
    /// Waits for a list that can be taken, answering each; the one that was. Polling stands still then.
    pub(crate) async fn next(self) -> Ordered {
        let subject = format!("fieldledger.brokers.{}", self.instance);
        match self.client.subscribe(subject.clone()).await {
            Ok(mut requests) => {
                while let Some(request) = requests.next().await {
                    if let Some(ordered) = self.request(&request).await {
                        return ordered;
                    }
                }
            }
            Err(error) => {
                warn!(subject, %error, "cannot subscribe; lists of brokers are not heard");
            }
        }
        // The client has ended, and polling with it.
        std::future::pending().await
    }

    async fn request(&self, request: &Message) -> Option<Ordered> {
        let taken = self.take(&request.payload).await;
        let (answer, ordered) = match taken {
            Ok(Taken::Again) => {
                let version = self.present.version;
                (json!({"taken": true, "version": version}), None)
            }
            Ok(Taken::New(ordered, server)) => {
                let version = ordered.version;
                info!(version, server, "a list of brokers is taken; moving there");
                let answer = json!({"taken": true, "version": version, "server": server});
                (answer, Some(ordered))
            }
            Err(refusal) => {
                let reason = chain(&refusal);
                warn!(reason, "a list of brokers is refused");
                (json!({"taken": false, "reason": reason}), None)
            }
        };
        if let Some(sender) = request.reply.clone() {
            // Whoever sent it may have given up meanwhile.
            let _ = self.client.publish(sender, answer.to_string().into()).await;
        }
        let _ = self.client.flush().await;
        ordered
    }

    async fn take(&self, message: &[u8]) -> Result<Taken, Refusal> {
        let order = Order::parse(message)?;
        if order.repeats(&self.present) {
            return Ok(Taken::Again);
        }
        let link = self.link.without_passwords();
        let ordered = order.after(&self.present, link.clone())?;
        let servers = ordered.servers(&link).unwrap_or(&self.link.servers);
        let servers = self.link.at(servers);
        self.tell(&order, "REQUESTED", &order.reason).await;
        match self.prepare(&servers, &ordered).await {
            Ok(server) => {
                self.tell(&order, "SUCCESS", &order.reason).await;
                Ok(Taken::New(ordered, server))
            }
            Err(refusal) => {
                self.tell(&order, "FAILURE", &chain(&refusal)).await;
                Err(refusal)
            }
        }
    }

    /// Everything before the move; the server that will be moved to.
    async fn prepare(&self, servers: &Connection, ordered: &Ordered) -> Result<String, Refusal> {
        let (server, there) = self.reach(servers).await?;
        let _turn = self.progress.moves.lock().await;
        let is_left = self.is_left(&there).await.map_err(Refusal::Store)?;
        if !come_to_rest(&self.progress, &self.storage, is_left).await {
            return Err(Refusal::Restless);
        }
        let kept = self.keep(&there, ordered, is_left).await;
        if kept.is_err() {
            self.progress.hold(false);
        }
        kept.map(|()| server)
    }

    /// The best of the servers that can be reached: the next run connects to no other.
    async fn reach(&self, servers: &Connection) -> Result<(String, Storage), Refusal> {
        let mut unreachable = Refusal::Ended;
        for (address, server) in servers.servers_without_passwords() {
            match probe(servers, address).await {
                Ok(client) => {
                    return match self.storage_at(&client).await {
                        Ok(storage) => Ok((server, storage)),
                        Err(source) => Err(Refusal::Unfit { server, source }),
                    };
                }
                Err(source) => unreachable = Refusal::Unreachable { server, source },
            }
        }
        Err(unreachable)
    }

    async fn storage_at(&self, client: &Client) -> Result<Storage, StorageError> {
        takes(client, self.batch_bytes)?;
        self.storage.at(client).await
    }

    /// Whether there is another stream than here.
    async fn is_left(&self, there: &Storage) -> Result<bool, StorageError> {
        Ok(there.created().await? != self.storage.created().await?)
    }

    /// Stores the list there and here. That here comes last, for it is what the next start finds: it has
    /// moved, or it has not.
    async fn keep(&self, there: &Storage, ordered: &Ordered, is_left: bool) -> Result<(), Refusal> {
        if is_left {
            let memory = remembered(&self.questions).await.ok_or(Refusal::Ended)?;
            there.remember(&memory).await.map_err(Refusal::Store)?;
            there.save_order(ordered).await.map_err(Refusal::Store)?;
        }
        let stored = self.storage.save_order(ordered).await;
        stored.map_err(Refusal::Store)
    }

    /// Has the event logger record it, as well as it can from here: it answers nobody.
    async fn tell(&self, order: &Order, status: &str, message: &str) {
        let link = self.link.without_passwords();
        let old = self.present.servers(&link).unwrap_or(&link);
        let actor = match order.by.as_str() {
            "" => SOMEBODY,
            by => by,
        };
        let event = json!({
            "action": ACTION,
            "actor": actor,
            "message": message,
            "new": order.brokers.join(","),
            "old": old.join(","),
            "source": self.instance,
            "status": status,
        });
        let event = Bytes::from(event.to_string());
        if let Err(error) = self.client.publish(EVENTS, event).await {
            warn!(%error, "who sent a list of brokers is not recorded");
        }
    }
}
