//! A connection to one broker, over MQTT or NATS: a task that takes orders and reports what happens.

mod login;
mod mqtt;
mod nats;

use std::fmt;

use anyhow::{Context as _, bail};
use tokio::sync::mpsc;

pub(crate) use login::Login;

/// Orders that may wait. A connection that is this far behind is as good as lost.
const QUEUED_ORDERS: usize = 256;

/// What a device tells a connection.
#[derive(Debug)]
enum Order {
    Subscribe { topic: String },
    Publish { topic: String, payload: Vec<u8> },
}

/// What a connection tells a device.
#[derive(Debug)]
pub(crate) enum Event {
    /// Messages can be sent.
    Connected,
    /// It came to nothing, or to an end.
    Lost {
        /// Why, for the log.
        reason: String,
    },
    /// Somebody published.
    Message {
        /// Where, with slashes between the levels.
        topic: String,
        /// Where an answer is expected, over NATS.
        reply: Option<String>,
        /// What.
        payload: Vec<u8>,
    },
}

/// An event and the number of the connection that it is of: those of earlier ones are late.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) link: u64,
    pub(crate) event: Event,
}

/// Where a task reports.
#[derive(Clone)]
struct Reporter {
    link: u64,
    reports: mpsc::Sender<Report>,
}

impl Reporter {
    /// False where nobody listens any more.
    async fn report(&self, event: Event) -> bool {
        let report = Report {
            link: self.link,
            event,
        };
        self.reports.send(report).await.is_ok()
    }

    async fn lost(&self, reason: impl fmt::Display) {
        let reason = reason.to_string();
        self.report(Event::Lost { reason }).await;
    }
}

/// A protocol, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) is_nats: bool,
    pub(crate) is_encrypted: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Reads `mqtt://host:port` or `nats://host:port`, or with TLS `mqtts://` or `tls://`; the port may
    /// be left out.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let expected = "expected mqtt://host:port, mqtts://, nats:// or tls://";
        let (scheme, rest) = text.split_once("://").context(expected)?;
        let (is_nats, is_encrypted, default_port) = match scheme {
            "mqtt" => (false, false, 1883),
            "mqtts" => (false, true, 8883),
            "nats" => (true, false, 4222),
            "tls" => (true, true, 4222),
            other => bail!("{other}:// is not known; {expected}"),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().context("the port is no number")?),
            None => (rest, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['/', '@']) {
            bail!("{text:?} names no plain host; {expected}");
        }
        Ok(Self {
            is_nats,
            is_encrypted,
            host: host.to_owned(),
            port,
        })
    }
}

/// A connection, as long as it is kept.
#[derive(Debug)]
pub(crate) struct Link {
    number: u64,
    orders: mpsc::Sender<Order>,
    task: tokio::task::JoinHandle<()>,
}

impl Link {
    /// Begins to connect.
    pub(crate) fn open(
        address: &Address,
        login: &Login,
        number: u64,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let (sender, orders) = mpsc::channel(QUEUED_ORDERS);
        let reporter = Reporter {
            link: number,
            reports,
        };
        let (address, login) = (address.clone(), login.clone());
        let task = match address.is_nats {
            true => tokio::spawn(nats::serve(address, login, orders, reporter)),
            false => tokio::spawn(mqtt::serve(address, login, orders, reporter)),
        };
        Self {
            number,
            orders: sender,
            task,
        }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Hands over a subscription. False where the connection is gone or far behind.
    pub(crate) fn subscribe(&self, topic: &str) -> bool {
        let topic = topic.to_owned();
        self.orders.try_send(Order::Subscribe { topic }).is_ok()
    }

    /// Hands over a message. False where the connection is gone or far behind.
    pub(crate) fn publish(&self, topic: &str, payload: &[u8]) -> bool {
        let (topic, payload) = (topic.to_owned(), payload.to_owned());
        self.orders
            .try_send(Order::Publish { topic, payload })
            .is_ok()
    }

    /// Ends it once what was handed over is sent.
    pub(crate) async fn close(self) {
        drop(self.orders);
        let _ = self.task.await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, is_nats, is_encrypted, host, port) in [
            ("mqtt://10.0.0.1:1884", false, false, "10.0.0.1", 1884),
            ("nats://broker.example", true, false, "broker.example", 4222),
            (
                "mqtts://broker.example",
                false,
                true,
                "broker.example",
                8883,
            ),
            ("tls://broker.example", true, true, "broker.example", 4222),
            ("mqtt://[::1]:1883", false, false, "::1", 1883),
        ] {
            let host = host.to_owned();
            let expected = Address {
                is_nats,
                is_encrypted,
                host,
                port,
            };
            assert_eq!(Address::parse(text).unwrap(), expected);
        }
        for text in [
            "",
            "10.0.0.1:1883",
            "http://a:1",
            "mqtt://",
            "mqtt://a:x",
            "nats://u:p@h:1",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
