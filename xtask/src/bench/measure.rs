//! One case: a fresh site, a field, and two looks at its counters.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, bail};
use fieldledger_site::{
    Access, Artifacts, NatsOptions, NatsServer, Place, Site, SiteOptions, find_nats_server,
    free_port,
};
use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::{Instant, sleep};

use crate::bench::Case;

/// What a case showed.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) sensors: u32,
    pub(crate) interval_ms: u32,
    /// Polls a second that the field would have if every poll were sent when it is due.
    pub(crate) offered_per_second: f64,
    /// Entries a second that became durable and signed.
    pub(crate) audited_per_second: f64,
    /// Polls a second that were sent, answered or not.
    pub(crate) polled_per_second: f64,
    /// Of the polls sent, those that got no answer in time.
    pub(crate) unanswered: f64,
    /// Poll sent to entry durable, milliseconds.
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p99_ms: f64,
    /// Batches that waited in the stream at the end.
    pub(crate) batches_pending: f64,
    pub(crate) processes: BTreeMap<String, Usage>,
}

/// What one process used.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Usage {
    /// Cores kept busy, on average.
    pub(crate) cores: f64,
    /// Resident memory at the end, MiB.
    pub(crate) memory_mib: f64,
}

impl Outcome {
    /// Resident memory of all but the simulator, MiB.
    pub(crate) fn system_memory(&self) -> f64 {
        let system = self
            .processes
            .iter()
            .filter(|(name, _)| *name != "simulator");
        system.map(|(_, usage)| usage.memory_mib).sum()
    }
}

/// How long forty to ten thousand sensors take to be known.
const ANNOUNCED: Duration = Duration::from_secs(60);

/// Runs one case on a fresh site.
pub(crate) async fn case(case: Case, seconds: u64) -> anyhow::Result<Outcome> {
    let folder = tempfile::TempDir::with_prefix("fieldledger-bench-")?;
    let mut options = SiteOptions::new(Artifacts::locate()?, folder.path().to_owned())?;
    options.log_level = "warn".to_owned();
    let mut site = Site::start(options).await?;
    let (sensors, interval) = (case.sensors.to_string(), case.interval_ms.to_string());
    let simulator = site
        .start_simulator(
            "simulator",
            &[
                "--sensors",
                &sensors,
                "--interval",
                &interval,
                "--no-faulty",
            ],
        )
        .await?;
    let page = site.http_url();
    until_known(&page, case.sensors).await?;
    sleep(Duration::from_secs(seconds)).await;

    let mut watched = vec![
        ("host", site.host.process.id()),
        ("nats-server", site.nats.process.id()),
        ("lattice", site.lattice_nats.process.id()),
        ("simulator", simulator.process.id()),
    ];
    for provider in ["http-edge", "ledger", "nats-polling"] {
        let process = site.host.provider_process(provider);
        watched.push((
            provider,
            process.with_context(|| format!("no process of provider {provider}"))?,
        ));
    }
    let before = Look::take(&page, &watched).await?;
    sleep(Duration::from_secs(seconds)).await;
    let after = Look::take(&page, &watched).await?;
    simulator.stop().await;
    site.stop().await;
    Ok(before.until(&after, case))
}

async fn until_known(page: &str, sensors: u32) -> anyhow::Result<()> {
    let deadline = Instant::now() + ANNOUNCED;
    loop {
        let known = metrics(page)
            .await?
            .get("fieldledger_sensors{liveness=\"ok\"}")
            .copied()
            .unwrap_or(0.0);
        if known >= f64::from(sensors) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("only {known} of {sensors} sensors were known after {ANNOUNCED:?}");
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// A look at all counters.
struct Look {
    at: Instant,
    metrics: HashMap<String, f64>,
    /// Accumulated CPU time in seconds, memory in MiB.
    processes: BTreeMap<String, (f64, f64)>,
}

impl Look {
    async fn take(page: &str, watched: &[(&'static str, u32)]) -> anyhow::Result<Self> {
        let mut system = System::new();
        let pids: Vec<Pid> = watched.iter().map(|(_, pid)| Pid::from_u32(*pid)).collect();
        let what = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, what);
        let mut processes = BTreeMap::new();
        for ((name, _), pid) in watched.iter().zip(pids) {
            let process = system
                .process(pid)
                .with_context(|| format!("{name} is gone"))?;
            let cpu = process.accumulated_cpu_time() as f64 / 1e3;
            let memory = process.memory() as f64 / (1024.0 * 1024.0);
            processes.insert((*name).to_owned(), (cpu, memory));
        }
        Ok(Self {
            at: Instant::now(),
            metrics: metrics(page).await?,
            processes,
        })
    }

    fn value(&self, metric: &str) -> f64 {
        self.metrics.get(metric).copied().unwrap_or(0.0)
    }

    fn until(&self, after: &Self, case: Case) -> Outcome {
        let seconds = (after.at - self.at).as_secs_f64();
        let gained = |metric| after.value(metric) - self.value(metric);
        let polls = gained("fieldledger_polling_polls_total");
        let processes = after.processes.iter().map(|(name, (cpu, memory_mib))| {
            let spent = cpu - self.processes.get(name).map_or(0.0, |(cpu, _)| *cpu);
            (
                name.clone(),
                Usage {
                    cores: spent / seconds,
                    memory_mib: *memory_mib,
                },
            )
        });
        Outcome {
            sensors: case.sensors,
            interval_ms: case.interval_ms,
            offered_per_second: f64::from(case.sensors) * 1_000.0 / f64::from(case.interval_ms),
            audited_per_second: gained("fieldledger_ledger_appended_total") / seconds,
            polled_per_second: polls / seconds,
            unanswered: gained("fieldledger_polling_timeouts_total") / polls.max(1.0),
            latency_p50_ms: after.value("fieldledger_poll_to_durable_seconds{quantile=\"0.5\"}")
                * 1e3,
            latency_p99_ms: after.value("fieldledger_poll_to_durable_seconds{quantile=\"0.99\"}")
                * 1e3,
            batches_pending: after.value("fieldledger_polling_batches_pending"),
            processes: processes.collect(),
        }
    }
}

/// All samples of `/metrics`, by name with labels.
async fn metrics(page: &str) -> anyhow::Result<HashMap<String, f64>> {
    let url = format!("{page}/metrics");
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

/// What a rate measurement prints.
#[derive(serde::Deserialize)]
struct RawRate {
    polls_per_second: f64,
}

/// Plain request/reply on a nats-server of its own, with the simulator's own kind of answer.
pub(crate) async fn raw_rate(seconds: u64) -> anyhow::Result<f64> {
    let folder = tempfile::TempDir::with_prefix("fieldledger-bench-")?;
    let listen = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let mut nats = NatsServer::start(NatsOptions {
        program: find_nats_server()?,
        listen,
        port: free_port(listen)?,
        mqtt_port: None,
        monitor_port: None,
        access: Access::Anyone,
        tls: None,
        place: Place::Alone,
        folder: folder.path().join("nats"),
        logs: folder.path().join("logs"),
    })
    .await?;
    let output = tokio::process::Command::new(Artifacts::locate()?.rawrate())
        .args(["--url", &nats.url(), "--seconds", &seconds.to_string()])
        .output()
        .await?;
    nats.stop().await;
    if !output.status.success() {
        bail!(
            "fieldledger-rawrate: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let rate: RawRate = serde_json::from_slice(&output.stdout)?;
    Ok(rate.polls_per_second)
}
