//! A site in a temporary folder.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use fieldledger_site::{Artifacts, Site, SiteOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::api::Api;

/// How long a test waits for a condition before it fails. Generous: the machines are shared, and
/// a test that passes never waits this long.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A token of the scope `admin`, for a site that was started with [`ADMIN_SETTING`].
pub const ADMIN_TOKEN: &str = "e2e_admin";

/// The gateway's setting `tokens` with that token, whose holder is `officer`.
pub const ADMIN_SETTING: &str =
    "officer:admin:b27c35c2508290b7c6e3aada6e835664cc84a56c24432c19616dc74d956c339f";

/// A running site whose state goes when the test passes and stays when it fails.
pub struct Plant {
    /// The processes.
    pub site: Site,
    /// Its HTTP interface.
    pub api: Api,
    folder: Option<TempDir>,
}

impl Plant {
    /// Starts a site with the manifest as it is.
    ///
    /// # Errors
    /// That of the part which did not come up.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_options| {}).await
    }

    /// Starts a site with changed options.
    ///
    /// # Errors
    /// That of the part which did not come up.
    pub async fn start_with(change: impl FnOnce(&mut SiteOptions)) -> Result<Self> {
        let mut folder =
            TempDir::with_prefix("fieldledger-e2e-").context("cannot make a folder")?;
        folder.disable_cleanup(true);
        let mut options = SiteOptions::new(Artifacts::locate()?, folder.path().to_owned())?;
        change(&mut options);
        let site = Site::start(options)
            .await
            .with_context(|| format!("site did not start, see {}", folder.path().display()))?;
        let api = Api::new(site.http_url());
        api.until_healthy(PATIENCE).await?;
        Ok(Self {
            site,
            api,
            folder: Some(folder),
        })
    }

    /// A file in the site's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.site.state().join(name)
    }

    /// A NATS client of the field's server that may do all that can be done there.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub async fn nats(&self) -> Result<async_nats::Client> {
        Ok(self.site.nats.connect().await?)
    }

    /// Runs `fieldledger --json` against the site, with this token, and gives what it printed.
    ///
    /// # Errors
    /// Where it fails, with what it said.
    pub async fn command_line(&self, token: &str, arguments: &[&str]) -> Result<Value> {
        let output = Command::new(Artifacts::locate()?.command_line())
            .args(["--json", "--url", &self.site.http_url()])
            .args(arguments)
            .env("FIELDLEDGER_TOKEN", token)
            .output()
            .await
            .context("cannot run fieldledger")?;
        let (said, complaint) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(
            output.status.success(),
            "fieldledger {arguments:?}: {}\n{said}{complaint}",
            output.status
        );
        serde_json::from_str(&said).with_context(|| format!("no JSON: {said}"))
    }

    /// Waits until every result of a poll is in the log, and the log in its index.
    ///
    /// # Errors
    /// After [`PATIENCE`], with what is not delivered yet.
    pub async fn until_settled(&self) -> Result<()> {
        until("all batches are delivered", PATIENCE, async || {
            let buffered = self
                .api
                .metric("fieldledger_polling_results_buffered")
                .await?;
            let pending = self
                .api
                .metric("fieldledger_polling_batches_pending")
                .await?;
            ensure!(
                buffered + pending == 0.0,
                "{buffered} results and {pending} batches wait"
            );
            Ok(Some(()))
        })
        .await?;
        self.api.until_indexed(PATIENCE).await?;
        Ok(())
    }

    /// Waits until the log has so many entries more than now.
    ///
    /// # Errors
    /// After [`PATIENCE`].
    pub async fn until_grown_by(&self, entries: u64) -> Result<()> {
        let mut goal = None;
        until("the log grows", PATIENCE, async || {
            let (head, _) = self.api.checkpoint().await?;
            let goal = *goal.get_or_insert(head.size + entries);
            Ok((head.size >= goal).then_some(()))
        })
        .await
    }

    /// Stops all processes and starts the same site again.
    ///
    /// # Errors
    /// That of the part which did not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.site.stop().await;
        self.site = Site::start(self.site.options().clone()).await?;
        self.api.until_healthy(PATIENCE).await
    }

    /// Stops all processes; the test has passed, so the folder goes.
    pub async fn finish(mut self) {
        self.site.stop().await;
        if let Some(mut folder) = self.folder.take() {
            folder.disable_cleanup(false);
        }
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            eprintln!("state and logs are in {}", folder.path().display());
        }
    }
}

/// Waits until `condition` yields something, which it is asked five times a second.
///
/// # Errors
/// After `patience`, with `what` and the last thing that `condition` complained of.
pub async fn until<T>(
    what: &str,
    patience: Duration,
    mut condition: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let outcome = condition().await;
        if let Ok(Some(value)) = outcome {
            return Ok(value);
        }
        if tokio::time::Instant::now() > deadline {
            let last = outcome
                .err()
                .unwrap_or_else(|| anyhow::anyhow!("the condition never held"));
            return Err(last.context(format!("waited {patience:?} for this: {what}")));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
