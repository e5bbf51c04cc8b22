//! Sensors that speak MQTT 3.1.1, such as through nats-server's gateway.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use rumqttc::{
    AsyncClient, ClientError, ConnectionError, EventLoop, MqttOptions, Outgoing, Packet, QoS,
    SubscribeFilter,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::broker::MqttBroker;
use crate::connection::{Connection, Event, Publisher, share};
use crate::login::{Login, LoginError};
use crate::simulation::Simulation;

/// What went wrong with an MQTT connection.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// User and password could not be read.
    #[error("logging in to the MQTT broker")]
    Login(#[from] LoginError),
    /// No connection within the time allowed.
    #[error("no MQTT broker answered at {host}:{port} within {waited:?}")]
    Connect {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
        /// How long it was tried.
        waited: Duration,
        /// Why the last attempt failed.
        source: Box<ConnectionError>,
    },
    /// The client gave up.
    #[error("handing a sensor's message to the MQTT client")]
    Client(#[from] ClientError),
}

/// Time between attempts to find the broker, at first and after a loss.
const RETRY: Duration = Duration::from_millis(250);

/// Messages that may wait for the connection; while they do, answering pauses.
const QUEUED_MESSAGES: usize = 8192;

/// Largest packet accepted and sent. A SUBSCRIBE of 100 topics takes about 5 KB.
const LARGEST_PACKET: usize = 64 * 1024;

/// Topics per SUBSCRIBE packet.
const TOPICS_PER_SUBSCRIBE: usize = 100;

/// How long the last messages may take.
const LAST_FLUSH: Duration = Duration::from_secs(2);

const KEEP_ALIVE: Duration = Duration::from_secs(30);

impl Publisher for AsyncClient {
    type Topic = String;
    type Error = ClientError;

    async fn publish(&self, topic: String, payload: Bytes) -> Result<(), ClientError> {
        self.publish_bytes(topic, QoS::AtMostOnce, false, payload)
            .await
    }
}

/// A connected client.
pub(crate) struct MqttConnection {
    simulation: Arc<Simulation>,
    client: AsyncClient,
    event_loop: EventLoop,
    sensors: Vec<u32>,
}

impl MqttConnection {
    /// Connects, trying again for as long as the settings allow.
    ///
    /// MQTT 3.1.1 has no queue groups, so each connection subscribes to its own sensors' topics.
    pub(crate) async fn open(
        simulation: Arc<Simulation>,
        broker: &MqttBroker,
        connection: u32,
        connections: u32,
    ) -> Result<Self, MqttError> {
        let patience = simulation.settings().connect_timeout;
        // Two clients of one id push each other out for ever: the process makes ids differ where
        // two simulations run under the same boot id.
        let id = format!(
            "fieldledger-simulator-{}-{}-{connection}",
            simulation.settings().boot,
            std::process::id()
        );
        let mut options = MqttOptions::new(id, &broker.host, broker.port);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_max_packet_size(LARGEST_PACKET, LARGEST_PACKET);
        if let Some(path) = &broker.login {
            let Login { user, password } = Login::read(path)?;
            options.set_credentials(user, password);
        }
        let (client, mut event_loop) = AsyncClient::new(options, QUEUED_MESSAGES);
        let begun = Instant::now();
        loop {
            // The first event of a connection is its CONNACK.
            match event_loop.poll().await {
                Ok(_) => break,
                Err(source) if begun.elapsed() + RETRY > patience => {
                    return Err(MqttError::Connect {
                        host: broker.host.clone(),
                        port: broker.port,
                        waited: patience,
                        source: Box::new(source),
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "no MQTT broker yet");
                    sleep(RETRY).await;
                }
            }
        }
        let sensors = share(simulation.settings().sensors, connection, connections);
        Ok(Self {
            simulation,
            client,
            event_loop,
            sensors,
        })
    }

    /// Answers polls until told to stop; sends what is left, and leaves.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), MqttError> {
        let say_goodbye = self.simulation.settings().say_goodbye;
        // Not bounded: the event loop must never wait for the task that waits for the event loop.
        // What polls put here is bounded by the sensors, which one poller asks one at a time.
        let (sender, receiver) = mpsc::unbounded_channel();
        let topics: Vec<String> = self
            .sensors
            .iter()
            .map(|&index| self.simulation.sensors()[index as usize].id())
            .map(|id| self.simulation.topics().poll(id))
            .collect();
        let network = tokio::spawn(drive(self.event_loop, self.simulation.clone(), sender));

        subscribe(&self.client, &topics).await?;
        let client = self.client.clone();
        let mut connection = Connection::new(self.simulation, client, self.sensors);
        let events = events(receiver, self.client.clone(), topics);
        connection.run(events, &stop).await?;

        let last_words = async {
            if say_goodbye {
                connection.disconnect_sensors().await?;
            }
            connection.publisher().disconnect().await
        };
        let said = timeout(LAST_FLUSH, last_words).await.unwrap_or(Ok(()));
        let abort = network.abort_handle();
        if timeout(LAST_FLUSH, network).await.is_err() {
            abort.abort();
        }
        Ok(said?)
    }
}

/// Subscribes to polls, a packet for each hundred.
async fn subscribe(client: &AsyncClient, topics: &[String]) -> Result<(), ClientError> {
    for chunk in topics.chunks(TOPICS_PER_SUBSCRIBE) {
        let filters = chunk
            .iter()
            .map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtMostOnce));
        client.subscribe_many(filters).await?;
    }
    Ok(())
}

/// Passes on what the network brings. A new session begins without subscriptions, so they are
/// made again before the sensors announce themselves.
fn events(
    receiver: mpsc::UnboundedReceiver<Event<String>>,
    client: AsyncClient,
    topics: Vec<String>,
) -> impl Stream<Item = Event<String>> {
    futures::stream::unfold(
        (receiver, client, topics),
        async |(mut receiver, client, topics)| {
            let event = receiver.recv().await?;
            if matches!(event, Event::Reconnected) {
                subscribe(&client, &topics).await.ok()?;
            }
            Some((event, (receiver, client, topics)))
        },
    )
}

/// Moves bytes until the client disconnects; connects again whenever the broker is lost.
async fn drive(
    mut event_loop: EventLoop,
    simulation: Arc<Simulation>,
    events: mpsc::UnboundedSender<Event<String>>,
) {
    loop {
        let event = match event_loop.poll().await {
            Ok(rumqttc::Event::Incoming(Packet::Publish(poll))) => Event::Poll {
                sensor: simulation.sensor_at(&poll.topic),
                reply: None,
                payload: poll.payload,
            },
            Ok(rumqttc::Event::Incoming(Packet::ConnAck(_))) => Event::Reconnected,
            Ok(rumqttc::Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => continue,
            Err(error) => {
                tracing::debug!(%error, "MQTT connection lost");
                sleep(RETRY).await;
                continue;
            }
        };
        if events.send(event).is_err() {
            tracing::debug!("an event came after the connection was told to stop");
        }
    }
}
