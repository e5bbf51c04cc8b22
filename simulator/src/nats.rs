//! Sensors that speak NATS.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, PublishError, Subject, SubscribeError};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::broker::NatsBroker;
use crate::connection::{Connection, Event, Publisher, count_overrun, share};
use crate::login::{Login, LoginError};
use crate::simulation::Simulation;
use crate::topics::Style;

/// What went wrong with a NATS connection.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The credentials could not be read.
    #[error("reading the NATS credentials {path}", path = path.display())]
    Credentials {
        /// Where they should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// User and password could not be read.
    #[error("logging in to NATS")]
    Login(#[from] LoginError),
    /// Nobody is known who could vouch for the server.
    #[error("reading the authorities in {path}", path = path.display())]
    Authorities {
        /// Where they should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No connection within the time allowed.
    #[error("no NATS server answered at {url} within {waited:?}")]
    Connect {
        /// Address without user and password.
        url: String,
        /// How long it was tried.
        waited: Duration,
        /// Why the last attempt failed.
        source: async_nats::ConnectError,
    },
    /// Polls cannot be heard.
    #[error("subscribing to {subject}")]
    Subscribe {
        /// The subject.
        subject: String,
        /// What the client said.
        source: SubscribeError,
    },
    /// The client gave up.
    #[error("publishing a sensor's message")]
    Publish(#[from] PublishError),
}

/// Time between attempts to find the broker, at first and after a loss.
const RETRY: Duration = Duration::from_millis(250);

/// Messages that may wait for a connection; while they do, answering pauses.
const QUEUED_MESSAGES: usize = 8192;

/// How long the last messages may take.
const LAST_FLUSH: Duration = Duration::from_secs(2);

impl Publisher for Client {
    type Topic = Subject;
    type Error = PublishError;

    async fn publish(&self, topic: Subject, payload: Bytes) -> Result<(), PublishError> {
        Client::publish(self, topic, payload).await
    }
}

/// A connected client that has subscribed to its polls.
pub(crate) struct NatsConnection {
    simulation: Arc<Simulation>,
    client: Client,
    polls: async_nats::Subscriber,
    reconnected: Arc<Notify>,
    sensors: Vec<u32>,
}

impl NatsConnection {
    /// Connects and subscribes.
    ///
    /// Every connection subscribes to all polls, in a queue group of this simulation: the server
    /// hands each poll to one of them.
    pub(crate) async fn open(
        simulation: Arc<Simulation>,
        broker: &NatsBroker,
        connection: u32,
        connections: u32,
    ) -> Result<Self, NatsError> {
        let reconnected = Arc::new(Notify::new());
        let client = connect(&simulation, broker, &reconnected).await?;
        let subject = simulation.topics().all_polls();
        let subscribed = if connections == 1 {
            client.subscribe(subject.clone()).await
        } else {
            let group = format!("simulator-{}", simulation.settings().boot);
            client.queue_subscribe(subject.clone(), group).await
        };
        let polls = subscribed.map_err(|source| NatsError::Subscribe { subject, source })?;
        let sensors = share(simulation.settings().sensors, connection, connections);
        Ok(Self {
            simulation,
            client,
            polls,
            reconnected,
            sensors,
        })
    }

    /// The client and what it hears, for one who answers otherwise.
    pub(crate) fn into_parts(self) -> (Client, impl Stream<Item = Event<Subject>>) {
        let polls = poll_events(self.simulation, self.polls);
        let reconnections = reconnections(self.reconnected);
        (self.client, futures::stream::select(polls, reconnections))
    }

    /// Answers polls until told to stop; sends what is left, and leaves.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), NatsError> {
        let say_goodbye = self.simulation.settings().say_goodbye;
        let (simulation, sensors) = (self.simulation.clone(), self.sensors.clone());
        let (client, events) = self.into_parts();
        let mut connection = Connection::new(simulation, client, sensors);
        connection.run(events, &stop).await?;
        let last_words = async {
            if say_goodbye {
                connection.disconnect_sensors().await?;
            }
            // Fails where the connection is gone already: then nothing is left to send.
            connection.publisher().flush().await.ok();
            Ok(())
        };
        timeout(LAST_FLUSH, last_words).await.unwrap_or(Ok(()))
    }
}

fn poll_events(
    simulation: Arc<Simulation>,
    polls: async_nats::Subscriber,
) -> impl Stream<Item = Event<Subject>> {
    let is_modern = simulation.settings().style == Style::Modern;
    polls.map(move |message| Event::Poll {
        sensor: simulation.sensor_at(&message.subject),
        reply: message.reply.filter(|_| is_modern),
        payload: message.payload,
    })
}

fn reconnections(reconnected: Arc<Notify>) -> impl Stream<Item = Event<Subject>> {
    futures::stream::unfold(reconnected, async |reconnected| {
        reconnected.notified().await;
        Some((Event::Reconnected, reconnected))
    })
}

/// Connects, trying again for as long as the settings allow. Once connected, the client reconnects
/// for ever.
async fn connect(
    simulation: &Arc<Simulation>,
    broker: &NatsBroker,
    reconnected: &Arc<Notify>,
) -> Result<Client, NatsError> {
    let patience = simulation.settings().connect_timeout;
    let begun = Instant::now();
    loop {
        let options = options(simulation, broker, reconnected).await?;
        match options.connect(&broker.url).await {
            Ok(client) => return Ok(client),
            Err(source) if begun.elapsed() + RETRY > patience => {
                return Err(NatsError::Connect {
                    url: without_password(&broker.url),
                    waited: patience,
                    source,
                });
            }
            Err(error) => {
                tracing::debug!(%error, "no NATS server yet");
                sleep(RETRY).await;
            }
        }
    }
}

async fn options(
    simulation: &Arc<Simulation>,
    broker: &NatsBroker,
    reconnected: &Arc<Notify>,
) -> Result<ConnectOptions, NatsError> {
    let was_lost = Arc::new(AtomicBool::new(false));
    let simulation = simulation.clone();
    let reconnected = reconnected.clone();
    let options = ConnectOptions::new()
        .name("fieldledger-simulator")
        .client_capacity(QUEUED_MESSAGES)
        .max_reconnects(None)
        // The first attempt counts too, also that of the first connection.
        .reconnect_delay_callback(|attempt| if attempt <= 1 { Duration::ZERO } else { RETRY })
        .event_callback(move |event| {
            match event {
                async_nats::Event::Disconnected => was_lost.store(true, Ordering::Relaxed),
                async_nats::Event::Connected if was_lost.swap(false, Ordering::Relaxed) => {
                    reconnected.notify_one();
                }
                async_nats::Event::SlowConsumer(_) => count_overrun(&simulation),
                _ => {}
            }
            tracing::debug!(%event, "NATS connection");
            async {}
        });
    let options = match &broker.tls_ca {
        Some(path) => {
            // The client reads it again at each attempt, and would say only that there is no server.
            let readable = std::fs::read(path).map(drop);
            readable.map_err(|source| NatsError::Authorities {
                path: path.clone(),
                source,
            })?;
            options
                .require_tls(true)
                .add_root_certificates(path.clone())
        }
        None => options,
    };
    if let Some(path) = &broker.login {
        let Login { user, password } = Login::read(path)?;
        return Ok(options.user_and_password(user, password));
    }
    let Some(path) = &broker.credentials else {
        return Ok(options);
    };
    let with_credentials = options.credentials_file(path).await;
    with_credentials.map_err(|source| NatsError::Credentials {
        path: path.clone(),
        source,
    })
}

/// An address as it may be shown.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("nats://user:secret@host:4222", "nats://host:4222"),
            ("user:secret@host", "host"),
            ("nats://host:4222", "nats://host:4222"),
            ("host:4222", "host:4222"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
