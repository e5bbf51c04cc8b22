//! One case: a fresh site, a field, and two looks at its counters.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fieldledger_site::{
    Access, Artifacts, NatsOptions, NatsServer, Place, find_nats_server, free_port,
};
use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::{Instant, sleep};

use crate::bench::Case;
use crate::bench::plant::{Plant, SIMULATOR};

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
    /// Processor time for each reading that became durable, microseconds.
    pub(crate) micros_per_reading: f64,
    /// Resident memory at the end, MiB.
    pub(crate) memory_mib: f64,
    /// Of it, pages of files, which the system takes back when it needs them: the program itself, and
    /// what it has mapped.
    pub(crate) mapped_mib: f64,
    /// By how much resident memory grew between the two looks, MiB.
    pub(crate) growth_mib: f64,
}

impl Outcome {
    /// Resident memory of all but the simulator, MiB.
    pub(crate) fn system_memory(&self) -> f64 {
        self.of_system(|usage| usage.memory_mib)
    }

    /// Processor time of all but the simulator for each reading that became durable, microseconds.
    pub(crate) fn system_micros(&self) -> f64 {
        self.of_system(|usage| usage.micros_per_reading)
    }

    fn of_system(&self, figure: impl Fn(&Usage) -> f64) -> f64 {
        let processes = self.processes.iter();
        let system = processes.filter(|(name, _)| *name != SIMULATOR);
        system.map(|(_, usage)| figure(usage)).sum()
    }
}

/// Runs one case on a fresh site.
pub(crate) async fn case(
    artifacts: Artifacts,
    case: Case,
    seconds: u64,
) -> anyhow::Result<Outcome> {
    let plant = Plant::start(artifacts, case).await?;
    sleep(Duration::from_secs(seconds)).await;
    let watched = plant.processes()?;
    let before = Look::take(&plant, &watched).await?;
    sleep(Duration::from_secs(seconds)).await;
    let after = Look::take(&plant, &watched).await?;
    plant.stop().await;
    Ok(before.until(&after, case))
}

/// A look at all counters.
struct Look {
    at: Instant,
    metrics: HashMap<String, f64>,
    processes: BTreeMap<String, Process>,
}

/// What a process has used and uses.
#[derive(Debug, Clone, Copy)]
struct Process {
    cpu_seconds: f64,
    memory_mib: f64,
    mapped_mib: f64,
}

impl Look {
    async fn take(plant: &Plant, watched: &[(&'static str, u32)]) -> anyhow::Result<Self> {
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
            let process = Process {
                cpu_seconds: process.accumulated_cpu_time() as f64 / 1e3,
                memory_mib: process.memory() as f64 / (1024.0 * 1024.0),
                mapped_mib: mapped_mib(pid)?,
            };
            processes.insert((*name).to_owned(), process);
        }
        Ok(Self {
            at: Instant::now(),
            metrics: plant.metrics().await?,
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
        let appended = gained("fieldledger_ledger_appended_total");
        let processes = after.processes.iter().map(|(name, now)| {
            let then = self.processes.get(name).unwrap_or(now);
            let spent = now.cpu_seconds - then.cpu_seconds;
            let usage = Usage {
                cores: spent / seconds,
                micros_per_reading: spent * 1e6 / appended.max(1.0),
                memory_mib: now.memory_mib,
                mapped_mib: now.mapped_mib,
                growth_mib: now.memory_mib - then.memory_mib,
            };
            (name.clone(), usage)
        });
        Outcome {
            sensors: case.sensors,
            interval_ms: case.interval_ms,
            offered_per_second: f64::from(case.sensors) * 1_000.0 / f64::from(case.interval_ms),
            audited_per_second: appended / seconds,
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

/// Resident pages of files, MiB, which the system's table of processes does not have.
fn mapped_mib(pid: Pid) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let pages = status
        .lines()
        .find_map(|line| line.strip_prefix("RssFile:"));
    let kib = pages.and_then(|pages| pages.trim().strip_suffix(" kB")?.trim().parse().ok());
    let kib: f64 = kib.with_context(|| format!("{path} says nothing of resident files"))?;
    Ok(kib / 1024.0)
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
