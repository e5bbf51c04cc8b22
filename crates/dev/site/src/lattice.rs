//! Deploys applications, over the NATS requests that wash makes.

use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::SiteError;
use crate::host::Host;
use crate::manifest::Manifest;

/// Pause between two questions for an application's status.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A lattice, seen by someone who deploys.
#[derive(Debug, Clone)]
pub struct Lattice {
    client: Client,
    name: String,
}

/// An application's state, as wadm sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationStatus {
    /// `deployed`, `reconciling`, `failed`, `undeployed`, `waiting` or `unhealthy`.
    pub state: String,
    /// The parts that are not deployed, each with wadm's reason.
    pub unfinished: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    result: String,
    #[serde(default)]
    message: String,
}

impl Lattice {
    /// Speaks to the lattice `name` through `client`.
    #[must_use]
    pub fn new(client: Client, name: &str) -> Self {
        Self {
            client,
            name: name.to_owned(),
        }
    }

    /// Forgets manifests, links and settings of earlier runs. Right only while no host is alive.
    ///
    /// A host that finds them starts what they say before it hears what is wanted now, for
    /// instance an HTTP server on the port of the run before.
    ///
    /// # Errors
    ///
    /// [`SiteError::Lattice`] if JetStream refuses.
    pub async fn forget(&self) -> Result<(), SiteError> {
        let jetstream = jetstream::new(self.client.clone());
        let buckets = [
            "wadm_manifests".to_owned(),
            format!("LATTICEDATA_{}", self.name),
            format!("CONFIGDATA_{}", self.name),
        ];
        for bucket in buckets {
            if jetstream.get_key_value(&bucket).await.is_ok() {
                jetstream
                    .delete_key_value(&bucket)
                    .await
                    .map_err(|error| lattice_error(format!("delete bucket {bucket}"), error))?;
            }
        }
        Ok(())
    }

    /// Deploys `manifest` and returns once all its parts are in place.
    ///
    /// # Errors
    ///
    /// [`SiteError::Lattice`] if wadm refuses, [`SiteError::NotDeployed`] with its reasons if the
    /// application is not up after `patience`.
    pub async fn deploy(&self, manifest: &Manifest, patience: Duration) -> Result<(), SiteError> {
        let name = manifest.name();
        self.ask("put the manifest", "put".to_owned(), manifest.to_yaml())
            .await?;
        self.ask("deploy", format!("deploy.{name}"), "{}".to_owned())
            .await?;
        self.until_deployed(name, patience).await
    }

    /// Waits until all parts of an application are in place.
    ///
    /// # Errors
    ///
    /// As [`Lattice::deploy`].
    pub async fn until_deployed(&self, name: &str, patience: Duration) -> Result<(), SiteError> {
        let deadline = Instant::now() + patience;
        loop {
            let status = self.status(name).await?;
            if status.state == "deployed" {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(SiteError::NotDeployed {
                    application: name.to_owned(),
                    waited: patience,
                    state: format!("{} ({})", status.state, status.unfinished.join("; ")),
                });
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Says of a host that ended without a word that it has stopped. wadm would take it to be alive for
    /// 70 s, and place nothing anew.
    ///
    /// # Errors
    ///
    /// [`SiteError::Lattice`] if it cannot be said.
    pub async fn say_stopped(&self, host: &Host) -> Result<(), SiteError> {
        let id = host.id();
        let subject = format!("wasmbus.evt.{}.host_stopped", self.name);
        // A CloudEvent (https://cloudevents.io), as hosts publish it.
        let event = json!({
            "specversion": "1.0",
            "id": Uuid::new_v4(),
            "type": "com.wasmcloud.lattice.host_stopped",
            "source": id,
            "datacontenttype": "application/json",
            // wadm looks again at what asks for these.
            "data": {"id": id, "labels": host.labels()},
        });
        let fail = |error: String| SiteError::Lattice {
            operation: format!("say that host {id} has stopped"),
            problem: error,
        };
        let published = self.client.publish(subject, event.to_string().into()).await;
        published.map_err(|error| fail(error.to_string()))?;
        let flushed = self.client.flush().await;
        flushed.map_err(|error| fail(error.to_string()))
    }

    /// Takes an application down.
    ///
    /// # Errors
    ///
    /// [`SiteError::Lattice`] if wadm refuses.
    pub async fn undeploy(&self, application: &str) -> Result<(), SiteError> {
        let subject = format!("undeploy.{application}");
        self.ask("undeploy", subject, "{}".to_owned()).await?;
        Ok(())
    }

    /// What wadm says of an application.
    ///
    /// # Errors
    ///
    /// [`SiteError::Lattice`] if wadm does not answer or does not know it.
    pub async fn status(&self, application: &str) -> Result<ApplicationStatus, SiteError> {
        let subject = format!("status.{application}");
        let answer = self
            .ask("ask for the status", subject, String::new())
            .await?;
        Ok(ApplicationStatus::read(&answer["status"]))
    }

    async fn ask(
        &self,
        operation: &str,
        subject: String,
        payload: String,
    ) -> Result<Value, SiteError> {
        let subject = format!("wadm.api.{}.model.{subject}", self.name);
        let fail = |problem: String| SiteError::Lattice {
            operation: format!("{operation} ({subject})"),
            problem,
        };
        let answer = self
            .client
            .request(subject.clone(), payload.into())
            .await
            .map_err(|error| fail(error.to_string()))?;
        let value: Value =
            serde_json::from_slice(&answer.payload).map_err(|error| fail(error.to_string()))?;
        let summary = Answer::deserialize(&value).map_err(|error| fail(error.to_string()))?;
        match summary.result.as_str() {
            "error" | "notfound" => Err(fail(summary.message)),
            _ => Ok(value),
        }
    }
}

impl ApplicationStatus {
    fn read(status: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let scalers = status["scalers"].as_array().into_iter().flatten();
        let unfinished = scalers
            .filter(|scaler| scaler["status"]["type"] != "deployed")
            .map(|scaler| {
                format!(
                    "{} {}: {} {}",
                    text(&scaler["kind"]),
                    text(&scaler["name"]),
                    text(&scaler["status"]["type"]),
                    text(&scaler["status"]["message"]),
                )
            })
            .collect();
        Self {
            state: text(&status["status"]["type"]),
            unfinished,
        }
    }
}

fn lattice_error(operation: String, error: impl std::error::Error) -> SiteError {
    SiteError::Lattice {
        operation,
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_the_parts_that_are_not_in_place() {
        let status = ApplicationStatus::read(&json!({
            "status": {"type": "failed", "message": "x"},
            "scalers": [
                {"kind": "LinkScaler", "name": "a -> b", "status": {"type": "deployed"}},
                {"kind": "SpreadScaler", "name": "b", "status": {"type": "failed", "message": "no file"}},
            ],
        }));
        assert_eq!(status.state, "failed");
        assert_eq!(status.unfinished, ["SpreadScaler b: failed no file"]);
    }
}
