//! What tests of devices stand on: a nats-server with MQTT, and the server's side of the wire contract.
//!
//! A failure quotes what the device under test has said, since that is what one wants to know first.
#![forbid(unsafe_code)]
// It is for tests, where a panic is how a failure is told.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Message, Subscriber};
use fieldledger_site::{Access, NatsOptions, NatsServer, Place, find_nats_server, free_port};
use fieldledger_wire::bulk::Bulk;
use fieldledger_wire::heartbeat::{Device, Heartbeat, Limits, POLL_INTERVALS_MS};
use fieldledger_wire::reply::Reply;
use fieldledger_wire::topic::TopicRules;
use futures::StreamExt as _;
use tempfile::TempDir;
use tokio::time::timeout;

/// What anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long a poll waits for its answer.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// A broker, and a client of it.
#[derive(Debug)]
pub struct Rig {
    /// Everything that a test leaves behind.
    pub folder: TempDir,
    /// The broker, to be killed and started again.
    pub nats: NatsServer,
    /// Where MQTT devices connect, on loopback.
    pub mqtt_port: u16,
    /// The server's connection.
    pub client: Client,
}

impl Rig {
    /// Starts a broker on free ports of loopback, which lets anyone in.
    pub async fn start() -> Self {
        Self::start_with(|_options| {}).await
    }

    /// Starts a broker with other options.
    pub async fn start_with(change: impl FnOnce(&mut NatsOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = IpAddr::from(Ipv4Addr::LOCALHOST);
        let mqtt_port = free_port(listen).unwrap();
        let mut options = NatsOptions {
            program: find_nats_server().unwrap(),
            listen,
            port: free_port(listen).unwrap(),
            mqtt_port: Some(mqtt_port),
            monitor_port: None,
            access: Access::Anyone,
            tls: None,
            place: Place::Alone,
            folder: folder.path().join("nats"),
            logs: folder.path().to_owned(),
        };
        change(&mut options);
        let nats = NatsServer::start(options).await.unwrap();
        let client = login(nats.options())
            .reconnect_delay_callback(|_attempt| Duration::from_millis(100))
            .connect(nats.url())
            .await
            .unwrap();
        Self {
            folder,
            nats,
            mqtt_port,
            client,
        }
    }

    /// The log of the device under test.
    #[must_use]
    pub fn device_log(&self) -> PathBuf {
        self.folder.path().join("device.log")
    }

    /// What the device under test has said so far.
    #[must_use]
    pub fn device_says(&self) -> String {
        std::fs::read_to_string(self.device_log()).unwrap_or_default()
    }

    /// Listens to a subject, for sure once this returns.
    pub async fn subscribe(&self, subject: &str) -> Subscriber {
        let subscriber = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.client.flush().await.unwrap();
        subscriber
    }

    /// The next message.
    pub async fn next(&self, subscriber: &mut Subscriber) -> Message {
        match timeout(PATIENCE, subscriber.next()).await {
            Ok(Some(message)) => message,
            _ => panic!("nothing came; the device says:\n{}", self.device_says()),
        }
    }

    /// Polls until the device answers on its read topic.
    pub async fn poll(&self, device: &Device, answers: &mut Subscriber, number: u64) -> Reply {
        let poll = fieldledger_wire::poll::Poll::numbered(number).payload();
        for _ in 0..PATIENCE.as_secs() {
            let subject = device.poll.to_string();
            let sent = self.client.publish(subject, poll.clone().into()).await;
            sent.unwrap();
            if let Ok(Some(message)) = timeout(POLL_TIMEOUT, answers.next()).await {
                return Reply::parse(&message.payload).unwrap();
            }
        }
        panic!("no answer; the device says:\n{}", self.device_says())
    }

    /// Says that history is stored.
    pub async fn acknowledge(&self, device: &Device, bulk: &Bulk) {
        let ack = serde_json::to_vec(&bulk.ack()).unwrap();
        let sent = self
            .client
            .publish(device.read.history_ack().to_string(), ack.into());
        sent.await.unwrap();
    }
}

/// As one who may do all that can be done there.
fn login(options: &NatsOptions) -> ConnectOptions {
    let login = match options.access {
        Access::Field { .. } => {
            let seed = options.users().operator_seed();
            ConnectOptions::with_nkey(std::fs::read_to_string(seed).unwrap())
        }
        Access::Anyone | Access::Lattice => ConnectOptions::new(),
    };
    match &options.tls {
        Some(authority) => authority.required_by(login),
        None => login,
    }
}

/// A heartbeat that passes every check of the polling provider.
#[must_use]
pub fn announced(message: &Message) -> Device {
    let limits = Limits {
        topics: TopicRules::new(&["picow".to_owned(), "field".to_owned()], "default").unwrap(),
        poll_interval_ms: POLL_INTERVALS_MS,
    };
    Heartbeat::parse(&message.payload, &limits).unwrap()
}
