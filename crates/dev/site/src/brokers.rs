//! An operator tells the polling provider and devices where else the field's server is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Request};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::SiteError;
use crate::process::file_error;

/// Polling comes to rest within ten seconds, and each server that is not there takes two.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// A list of brokers, best first.
#[derive(Debug, Clone, Serialize)]
pub struct BrokerList {
    /// Higher than that of the list before.
    pub version: u64,
    /// Empty, for the provider: those that its settings name.
    pub brokers: Vec<String>,
    /// Who sends it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What the provider says to a list.
#[derive(Debug, Clone, Deserialize)]
pub struct BrokerAnswer {
    /// Whether it counts from now on.
    pub taken: bool,
    /// Where polling goes on, if it goes anywhere.
    #[serde(default)]
    pub server: String,
    /// Why it does not count.
    #[serde(default)]
    pub reason: String,
}

/// An operator's connection to a field's server.
#[derive(Debug, Clone)]
pub struct FieldOperator {
    client: Client,
    url: String,
}

impl FieldOperator {
    /// Connects to `url` with the seed in a file, and over TLS only where certificates (PEM) of authorities
    /// are given that may vouch for the server.
    ///
    /// # Errors
    ///
    /// [`SiteError::File`] for a seed that cannot be read, [`SiteError::Lattice`] for a server that does
    /// not let it in.
    pub async fn connect(url: &str, seed: &Path, tls_ca: Option<&Path>) -> Result<Self, SiteError> {
        let seed = fs::read_to_string(seed).map_err(|source| file_error("read", seed, source))?;
        let mut options = ConnectOptions::with_nkey(seed.trim().to_owned());
        if let Some(authorities) = tls_ca {
            options = options
                .require_tls(true)
                .add_root_certificates(authorities.to_owned());
        }
        let client = options.connect(url).await;
        let client = client.map_err(|error| unreachable("reach", url, &error))?;
        Ok(Self {
            client,
            url: url.to_owned(),
        })
    }

    /// Sends the polling provider's `instance` a list, and waits for what it says.
    ///
    /// # Errors
    ///
    /// [`SiteError::Lattice`] where nobody answers.
    pub async fn send_to_provider(
        &self,
        instance: &str,
        list: &BrokerList,
    ) -> Result<BrokerAnswer, SiteError> {
        let request = Request::new()
            .payload(payload(list).into())
            .timeout(Some(ANSWER_WITHIN));
        let subject = format!("fieldledger.brokers.{instance}");
        let operation = format!("ask {subject} at");
        let answer = self.client.send_request(subject, request).await;
        let answer = answer.map_err(|error| unreachable(&operation, &self.url, &error))?;
        serde_json::from_slice(&answer.payload)
            .map_err(|error| unreachable(&operation, &self.url, &error))
    }

    /// Sends a device a list. Devices do not answer.
    ///
    /// # Errors
    ///
    /// [`SiteError::Lattice`] where the connection is lost before it has left.
    pub async fn send_to_device(
        &self,
        prefix: &str,
        device: Uuid,
        list: &BrokerList,
    ) -> Result<(), SiteError> {
        // A device reads nothing but these two, and has little room.
        let bare = BrokerList {
            by: String::new(),
            reason: String::new(),
            ..list.clone()
        };
        let subject = format!("{prefix}.{device}.brokers");
        let operation = format!("publish on {subject} at");
        let sent = self.client.publish(subject, payload(&bare).into()).await;
        sent.map_err(|error| unreachable(&operation, &self.url, &error))?;
        let sent = self.client.flush().await;
        sent.map_err(|error| unreachable(&operation, &self.url, &error))
    }
}

fn payload(list: &BrokerList) -> Vec<u8> {
    serde_json::to_vec(list).expect("texts and a number in a fixed shape are always JSON")
}

fn unreachable(operation: &str, url: &str, problem: &dyn std::fmt::Display) -> SiteError {
    SiteError::Lattice {
        operation: format!("{operation} the NATS server at {url}"),
        problem: problem.to_string(),
    }
}
