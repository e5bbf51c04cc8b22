//! A device that speaks plain NATS and answers whatever a test tells it to, however wrong.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::Client;
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The id of a test's sensor number `number`.
#[must_use]
pub fn sensor_id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// A heartbeat that is accepted, on the original simulator's subjects.
#[must_use]
pub fn heartbeat(id: &str) -> Value {
    json!({
        "alias": format!("device {id}"),
        "id": id,
        "poll_interval": 1_000,
        "poll_topic": format!("sim.poll.{id}"),
        "read_topic": format!("sim.read.{id}"),
        "disconnect_topic": format!("sim.disconnect.{id}"),
        "ip_addr": "127.0.0.1",
        "mac_addr": [2, 0, 0, 0, 0, 1],
        "location": "Test bench",
    })
}

/// A poll as a device hears it.
#[derive(Debug, Clone)]
pub struct Poll {
    /// Its number.
    pub number: u64,
    /// Where the poller waits for the answer to this poll.
    pub reply: String,
    /// The device's read topic, as a NATS subject.
    pub read: String,
}

/// What a device sends.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where.
    pub subject: String,
    /// What.
    pub payload: Vec<u8>,
    /// How long after the poll.
    pub after: Duration,
}

impl Poll {
    /// An answer on the poll's own reply subject.
    #[must_use]
    pub fn direct(&self, payload: impl Into<Vec<u8>>) -> Message {
        Message {
            subject: self.reply.clone(),
            payload: payload.into(),
            after: Duration::ZERO,
        }
    }

    /// An answer on the device's read topic, as MQTT devices give it.
    #[must_use]
    pub fn published(&self, payload: impl Into<Vec<u8>>) -> Message {
        Message {
            subject: self.read.clone(),
            ..self.direct(payload)
        }
    }
}

impl Message {
    /// The same, later.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// A device that answers until it is dropped.
#[derive(Debug)]
pub struct Device(JoinHandle<()>);

impl Device {
    /// Listens for polls, then sends `heartbeat` to `heartbeat_subject`; each poll gets what `answer`
    /// says.
    ///
    /// # Errors
    /// Where the heartbeat has no topics, or the server cannot be reached.
    pub async fn start(
        client: &Client,
        heartbeat_subject: &str,
        heartbeat: &impl Display,
        answer: impl Fn(&Poll) -> Vec<Message> + Send + 'static,
    ) -> Result<Self> {
        let heartbeat = heartbeat.to_string();
        let fields: Value = serde_json::from_str(&heartbeat)?;
        let subject = |field: &str| -> Result<String> {
            let topic = fields[field].as_str().context("no topic")?;
            Ok(topic.replace('/', "."))
        };
        let read = subject("read_topic")?;
        let mut polls = client.subscribe(subject("poll_topic")?).await?;
        client.flush().await?;
        client
            .publish(heartbeat_subject.to_owned(), heartbeat.into())
            .await?;
        let client = client.clone();
        Ok(Self(tokio::spawn(async move {
            while let Some(message) = polls.next().await {
                let poll = Poll {
                    number: poll_number(&message.payload),
                    reply: message
                        .reply
                        .map_or_else(String::new, |subject| subject.to_string()),
                    read: read.clone(),
                };
                for message in answer(&poll) {
                    tokio::spawn(send(client.clone(), message));
                }
            }
        })))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn poll_number(payload: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Payload {
        poll: u64,
    }
    serde_json::from_slice(payload).map_or(0, |Payload { poll }| poll)
}

async fn send(client: Client, message: Message) {
    tokio::time::sleep(message.after).await;
    // A server that has gone ends the test in another way.
    let _ = client
        .publish(message.subject, message.payload.into())
        .await;
}
