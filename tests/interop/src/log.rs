//! A log that is served.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use fieldledger_ledger::{Checkpoint, Config, EventColumns, Ledger};
use fieldledger_standalone::Standalone;
use tempfile::TempDir;

/// A log in a folder of its own, served on a port of its own.
#[derive(Debug)]
pub struct Log {
    ledger: Ledger,
    server: Standalone,
    folder: TempDir,
}

impl Log {
    /// An empty log.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened or served.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut config = Config::new(folder.path().join("log"));
        config.origin = "example.com/plant".to_owned();
        let ledger = Ledger::open(config)?;
        let server = Standalone::start(ledger.clone(), "127.0.0.1:0".parse()?).await?;
        Ok(Self {
            ledger,
            server,
            folder,
        })
    }

    /// Appends events until the log has this size.
    ///
    /// # Errors
    ///
    /// Where the ledger refuses them.
    pub async fn grow_to(&self, size: u64) -> Result<Checkpoint> {
        let first = self.ledger.checkpoint().tree_size;
        let message = (first..size).map(|number| format!("valve {number} opened, 21 °C"));
        let events = EventColumns {
            message: message.collect(),
            ..EventColumns::default()
        };
        if !events.message.is_empty() {
            self.ledger.append(events).await?;
        }
        Ok(self.ledger.checkpoint())
    }

    /// The server's URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The key that verifies the log's checkpoints.
    #[must_use]
    pub fn key(&self) -> String {
        self.ledger.checkpoint().verifier_key
    }

    /// A file beside the log's own.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the server answers with 200.
    ///
    /// # Errors
    ///
    /// Any other answer, or none.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let answer = reqwest::get(self.url() + path).await?;
        let status = answer.status();
        let body = answer.bytes().await?.to_vec();
        anyhow::ensure!(
            status == 200,
            "{path}: {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// Where the server had failed.
    pub async fn stop(self) -> Result<()> {
        self.server.stop().await.context("stopping the server")?;
        self.ledger.close();
        Ok(())
    }
}
