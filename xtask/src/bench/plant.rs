//! A fresh site with a simulated field, to be measured.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fieldledger_site::{Artifacts, Simulator, Site, SiteOptions};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::bench::Case;

/// The process whose work is not the system's.
pub(crate) const SIMULATOR: &str = "simulator";

/// How long forty to ten thousand sensors take to be known.
const ANNOUNCED: Duration = Duration::from_secs(60);

/// A site at work.
pub(crate) struct Plant {
    site: Site,
    simulator: Simulator,
    /// Removed with it.
    _folder: TempDir,
}

impl Plant {
    /// Starts it, and returns once all sensors are known.
    pub(crate) async fn start(artifacts: Artifacts, case: Case) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("fieldledger-bench-")?;
        let mut options = SiteOptions::new(artifacts, folder.path().to_owned())?;
        options.log_level = "warn".to_owned();
        let site = Site::start(options).await?;
        let (sensors, interval) = (case.sensors.to_string(), case.interval_ms.to_string());
        let arguments = [
            "--sensors",
            &sensors,
            "--interval",
            &interval,
            "--no-faulty",
        ];
        let simulator = site.start_simulator(SIMULATOR, &arguments).await?;
        let plant = Self {
            site,
            simulator,
            _folder: folder,
        };
        plant.until_known(case.sensors).await?;
        Ok(plant)
    }

    /// Its processes by name, and their ids.
    pub(crate) fn processes(&self) -> anyhow::Result<Vec<(&'static str, u32)>> {
        let mut processes = vec![
            ("host", self.site.host.process.id()),
            ("nats-server", self.site.nats.process.id()),
            ("lattice", self.site.lattice_nats.process.id()),
            (SIMULATOR, self.simulator.process.id()),
        ];
        for provider in ["http-edge", "ledger", "nats-polling"] {
            let process = self.site.host.provider_process(provider);
            let process = process.with_context(|| format!("no process of provider {provider}"))?;
            processes.push((provider, process));
        }
        Ok(processes)
    }

    /// All samples of `/metrics`, by name with labels.
    pub(crate) async fn metrics(&self) -> anyhow::Result<HashMap<String, f64>> {
        let url = format!("{}/metrics", self.site.http_url());
        let text = tokio::task::spawn_blocking(move || -> Result<String, ureq::Error> {
            ureq::get(&url).call()?.body_mut().read_to_string()
        })
        .await??;
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            });
        Ok(samples.collect())
    }

    /// Stops the site, but not the field, and starts it again with all that it kept. Returns when that
    /// start began.
    pub(crate) async fn start_again(&mut self) -> anyhow::Result<Instant> {
        self.site.stop().await;
        let options = self.site.options().clone();
        let begun = Instant::now();
        self.site = Site::start(options).await?;
        Ok(begun)
    }

    /// Stops all of it.
    pub(crate) async fn stop(mut self) {
        self.simulator.stop().await;
        self.site.stop().await;
    }

    async fn until_known(&self, sensors: u32) -> anyhow::Result<()> {
        let deadline = Instant::now() + ANNOUNCED;
        loop {
            let metrics = self.metrics().await?;
            let known = metrics.get("fieldledger_sensors{liveness=\"ok\"}").copied();
            let known = known.unwrap_or(0.0);
            if known >= f64::from(sensors) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("only {known} of {sensors} sensors were known after {ANNOUNCED:?}");
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}
