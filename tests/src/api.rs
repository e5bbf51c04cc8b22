//! The HTTP interface, as a client sees it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fieldledger_verifier::{
    Hash,
    entry::EntryProof,
    note::{LogKey, TreeHead},
    tree,
};
use reqwest::{Method, header::HeaderMap};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use crate::plant::until;

/// Entries fetched at a time.
const PAGE: u32 = 500;

/// The gateway's own limit for what it calls is 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A client of one site.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: reqwest::Client,
}

/// An answer of any status.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
    /// The body, byte for byte.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// A header's value; empty where it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// Where it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {:.300}", self.body))
    }
}

/// An entry as `/api/logs` gives it.
#[derive(Debug, Deserialize)]
pub struct LogEvent {
    /// The exact text that was hashed.
    pub envelope: Box<RawValue>,
    /// Position in the log.
    pub leaf_index: u64,
    leaf: Option<String>,
    inclusion_proof: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct LogResponse {
    result: LogResult,
}

#[derive(Debug, Deserialize)]
struct LogResult {
    count: u64,
    events: Vec<LogEvent>,
    id: String,
    root: Root,
    indexed_size: u64,
}

#[derive(Debug, Deserialize)]
struct Root {
    size: u64,
    note: String,
    verifier_key: String,
}

/// What an envelope holds.
#[derive(Debug, Clone, Deserialize)]
pub struct Envelope {
    /// The event's fields.
    pub event: std::collections::BTreeMap<String, String>,
    /// The producer that numbered it.
    pub producer: Option<String>,
    /// Its number.
    pub sequence: Option<u64>,
}

/// An entry whose proof has been checked.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Position in the log.
    pub index: u64,
    /// What the tree holds of it: no other text, position or time of receipt has the same.
    pub leaf_hash: Hash,
    /// What it holds.
    pub envelope: Envelope,
}

impl Entry {
    /// A field of the event; empty where it is absent.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.envelope.event.get(name).map_or("", String::as_str)
    }

    /// The reading inside the event.
    ///
    /// # Errors
    /// Where the message is not JSON.
    pub fn reading(&self) -> Result<Value> {
        serde_json::from_str(self.field("message")).context("the message of a reading is not JSON")
    }
}

impl Api {
    /// A client of the site at `base`.
    #[must_use]
    pub fn new(base: String) -> Self {
        // A request that is never answered must fail the test, not hang it.
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build();
        Self {
            base,
            client: client.unwrap_or_default(),
        }
    }

    /// Sends a request and takes whatever is answered.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?.to_vec();
        Ok(Answer {
            status: status.as_u16(),
            headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
            bytes,
        })
    }

    /// A `GET`, answered with any status.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], "").await
    }

    /// A `POST` of JSON, answered with any status.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Result<Answer> {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, body).await
    }

    /// JSON of a `GET` that must succeed.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn get_json(&self, path: &str) -> Result<Value> {
        let answer = self.get(path).await?;
        let (status, body) = (answer.status, &answer.body);
        ensure!(status == 200, "GET {path} answered {status}: {body}");
        answer.json()
    }

    /// JSON of a `POST` that must succeed.
    ///
    /// # Errors
    /// Where it does not, or answers something else than is wanted.
    pub async fn post_json<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let answer = self.post(path, body.to_string()).await?;
        let (status, text) = (answer.status, &answer.body);
        ensure!(status == 200, "POST {path} answered {status}: {text}");
        serde_json::from_str(text).with_context(|| format!("POST {path} answered {text:.300}"))
    }

    /// Waits until every part answers.
    ///
    /// # Errors
    /// After `patience`, with what `/healthz` said last.
    pub async fn until_healthy(&self, patience: Duration) -> Result<()> {
        until("/healthz answers 200", patience, async || {
            let answer = self.get("/healthz").await?;
            let (status, body) = (answer.status, &answer.body);
            ensure!(status == 200, "/healthz answered {status}: {body}");
            Ok(Some(()))
        })
        .await
    }

    /// The newest signed tree head, its signature checked, and the key.
    ///
    /// # Errors
    /// Where it does not verify.
    pub async fn checkpoint(&self) -> Result<(TreeHead, LogKey)> {
        let checkpoint = self.get_json("/api/checkpoint").await?;
        let key = LogKey::parse(
            checkpoint["verifier_key"]
                .as_str()
                .context("no verifier_key")?,
        )?;
        let head = fieldledger_verifier::note::open(
            checkpoint["note"].as_str().context("no note")?,
            &key,
        )?;
        Ok((head, key))
    }

    /// A value of `/metrics`.
    ///
    /// # Errors
    /// Where there is no such metric.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let body = self.get("/metrics").await?.body;
        let line = body
            .lines()
            .find(|line| line.split([' ', '{']).next() == Some(name));
        let line = line.with_context(|| format!("no metric {name} in:\n{body}"))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    }

    /// Waits until the search index has seen the whole log; returns its size.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn until_indexed(&self, patience: Duration) -> Result<u64> {
        until("the index has caught up", patience, async || {
            let found: LogResponse = self.post_json("/api/logs", &json!({"limit": 1})).await?;
            let page = found.result;
            Ok((page.indexed_size >= page.root.size).then_some(page.root.size))
        })
        .await
    }

    /// All entries that match, oldest first, each with its proof checked by the verifier.
    ///
    /// # Errors
    /// Where a proof does not hold, or the API fails.
    pub async fn entries(&self, restriction: Value) -> Result<Vec<Entry>> {
        let search = json!({
            "search_restriction": restriction, "order": "asc", "verbose": true,
            "start": "1d", "limit": PAGE, "max_results": 10_000,
        });
        let found: LogResponse = self.post_json("/api/logs", &search).await?;
        let mut page = found.result;
        let count = page.count;
        ensure!(
            count < 10_000,
            "{count} entries or more match: the test would not see all"
        );
        let mut entries = Vec::new();
        loop {
            let key = LogKey::parse(&page.root.verifier_key)?;
            for event in page.events {
                entries.push(checked(event, &page.root.note, &key)?);
            }
            if entries.len() as u64 >= count {
                ensure!(
                    entries.len() as u64 == count,
                    "{} entries of {count}",
                    entries.len()
                );
                return Ok(entries);
            }
            let next = json!({"id": page.id, "offset": entries.len(), "limit": PAGE});
            let found: LogResponse = self.post_json("/api/results", &next).await?;
            page = found.result;
            ensure!(
                !page.events.is_empty(),
                "an empty page after {} of {count} entries",
                entries.len()
            );
        }
    }
}

fn checked(event: LogEvent, note: &str, key: &LogKey) -> Result<Entry> {
    let leaf = event.leaf.context("an entry without leaf")?;
    let leaf_hash = tree::leaf_hash(&STANDARD.decode(&leaf)?);
    let proof = EntryProof {
        index: event.leaf_index,
        envelope: Some(event.envelope.get().to_owned()),
        leaf,
        inclusion_proof: event.inclusion_proof.context("an entry without proof")?,
        checkpoint: note.to_owned(),
    };
    proof.verify(key)?;
    Ok(Entry {
        index: proof.index,
        leaf_hash,
        envelope: serde_json::from_str(event.envelope.get())?,
    })
}
