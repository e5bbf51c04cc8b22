//! Where the sensors' messages go.

use std::path::PathBuf;

use crate::topics::Protocol;

/// The broker that the sensors speak to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broker {
    /// Over NATS.
    Nats(NatsBroker),
    /// Over MQTT 3.1.1.
    Mqtt(MqttBroker),
}

impl Broker {
    /// What it speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Nats(_) => Protocol::Nats,
            Self::Mqtt(_) => Protocol::Mqtt,
        }
    }
}

/// A NATS server and how to get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsBroker {
    /// Address, such as `nats://127.0.0.1:4222`.
    pub url: String,
    /// File with a JWT and the seed of its key.
    pub credentials: Option<PathBuf>,
    /// File with user and password; see [`Login`](crate::Login).
    pub login: Option<PathBuf>,
    /// File with the authorities (PEM) that vouch for it; TLS is spoken only then.
    pub tls_ca: Option<PathBuf>,
}

impl Default for NatsBroker {
    /// A server on this machine.
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".to_owned(),
            credentials: None,
            login: None,
            tls_ca: None,
        }
    }
}

/// An MQTT broker, such as nats-server's gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttBroker {
    /// Name or address.
    pub host: String,
    /// TCP port, usually 1883.
    pub port: u16,
    /// File with user and password; see [`Login`](crate::Login).
    pub login: Option<PathBuf>,
}
