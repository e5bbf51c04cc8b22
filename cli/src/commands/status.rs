//! `fieldledger status`: how the log and the sensors are.

use std::fmt;

use clap::Args;
use fieldledger_api::answers::Health;
use fieldledger_contract::audit::Checkpoint;
use fieldledger_contract::ledger::{ArchiveStatus, ClockProblem, LedgerStatus, Witnessing};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::client::{Client, ClientError};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{bad, good, pairs, plain};

/// Options of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {}

/// Sensors by liveness.
#[derive(Debug, Serialize)]
struct Sensors {
    ok: u32,
    stale: u32,
    down: u32,
}

impl From<Health> for Sensors {
    fn from(health: Health) -> Self {
        Self {
            ok: health.sensors_ok,
            stale: health.sensors_stale,
            down: health.sensors_down,
        }
    }
}

/// What is in the archive, in words.
fn archived(archive: &ArchiveStatus) -> String {
    let ArchiveStatus {
        segments,
        entries,
        bytes,
        removed,
        problem,
    } = archive;
    let bytes = HumanBytes(*bytes);
    let text =
        format!("{entries} entries in {segments} segments, {bytes}; {removed} of them there only");
    match problem.as_str() {
        "" => text,
        problem => format!("{text}; {} {}", bad("fails:"), plain(problem)),
    }
}

/// How witnesses do, in words.
fn witnessed(witnessing: &Witnessing) -> Vec<(&'static str, String)> {
    let Some(own) = &witnessing.own else {
        return vec![("witnesses", "none configured".to_owned())];
    };
    let published = match (own.witnessed, own.witnessed_size) {
        (true, Some(size)) => good(&format!("the published tree of {size} is witnessed")),
        (true, None) => good("none needed"),
        (false, Some(size)) => bad(&format!("not witnessed beyond {size} entries")),
        (false, None) => bad("nothing witnessed yet"),
    };
    let mut lines = vec![("witnesses", published)];
    for witness in &own.witnesses {
        let name = plain(&witness.name);
        let progress = format!("{name}: {} cosigned", witness.cosigned_size);
        let problem = plain(&witness.last_error);
        let state = match witness {
            witness if witness.refuses => format!("{progress}; {} {problem}", bad("REFUSES:")),
            witness if witness.failures > 0 => {
                format!("{progress}; {} {problem}", bad("fails:"))
            }
            _ => format!("{progress}, {} behind", witness.lag),
        };
        lines.push(("", state));
    }
    lines
}

/// The result.
#[derive(Debug, Serialize)]
struct Status {
    url: String,
    /// Every part of the system answers, and nothing needs a person.
    healthy: bool,
    /// What does not answer, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What a person should look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    origin: String,
    tree_size: u64,
    /// Why the log takes no more events, if it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// Entries that the search index has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    indexed_size: Option<u64>,
    /// Why it sees no more at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    index_problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_on_disk: Option<u64>,
    /// How fast the log grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveStatus>,
    /// Why the times of entries cannot be believed at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockProblem>,
    root_hash: String,
    verifier_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sensors: Option<Sensors>,
    witnesses: Witnessing,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.problem {
            None if self.warnings.is_empty() => good("ok"),
            None => bad("degraded"),
            Some(problem) => format!("{}: {}", bad("degraded"), plain(problem)),
        };
        let mut lines = vec![("state", state)];
        lines.extend(self.warnings.iter().map(|warning| ("", plain(warning))));
        lines.extend([
            ("log", plain(&self.origin)),
            ("entries", self.tree_size.to_string()),
        ]);
        if let Some(ended) = &self.ended {
            lines.push(("ended", plain(ended)));
        }
        if let Some(indexed) = self.indexed_size {
            let problem = self.index_problem.as_deref();
            let problem = problem.map(|problem| format!("; {} {}", bad("fails:"), plain(problem)));
            lines.push((
                "searchable",
                format!("{indexed}{}", problem.unwrap_or_default()),
            ));
        }
        if let Some(bytes) = self.bytes_on_disk {
            lines.push(("on disk", HumanBytes(bytes).to_string()));
        }
        if let Some(bytes) = self.bytes_per_day {
            lines.push(("appended", format!("{} a day", HumanBytes(bytes))));
        }
        if let Some(archive) = &self.archive {
            lines.push(("archive", archived(archive)));
        }
        if let Some(clock) = &self.clock {
            lines.push(("clock", format!("{} {clock}", bad("STEPPED:"))));
        }
        lines.push(("root", plain(&self.root_hash)));
        lines.push(("key", plain(&self.verifier_key)));
        if let Some(sensors) = &self.sensors {
            let text = format!(
                "{} ok, {} stale, {} down",
                sensors.ok, sensors.stale, sensors.down
            );
            lines.push(("sensors", text));
        }
        lines.extend(witnessed(&self.witnesses));
        formatter.write_str(&pairs(lines))
    }
}

/// Asks and shows.
pub(crate) fn run(_args: &StatusArgs, context: &Context) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let checkpoint: Checkpoint = client.get("/api/checkpoint")?;
    let health: Result<Health, ClientError> = client.get("/healthz");
    let (sensors, problem, warnings) = match health {
        Ok(mut health) => {
            let warnings = std::mem::take(&mut health.warnings);
            (Some(health.into()), None, warnings)
        }
        Err(ClientError::Unavailable { detail, .. }) => (None, Some(detail), Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let witnesses: Witnessing = client.get("/api/log/witnesses")?;
    let status = log_status(&client)?;
    let healthy = problem.is_none() && warnings.is_empty();
    context.output.show(&Status {
        url: client.url().to_owned(),
        healthy,
        problem,
        warnings,
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        ended: status.as_ref().and_then(|status| status.ended.clone()),
        indexed_size: status.as_ref().map(|status| status.indexed_size),
        index_problem: status
            .as_ref()
            .map(|status| status.index_problem.clone())
            .filter(|problem| !problem.is_empty()),
        bytes_on_disk: status.as_ref().map(|status| status.bytes_on_disk),
        bytes_per_day: status.as_ref().map(|status| status.bytes_per_day),
        clock: status.as_ref().and_then(|status| status.clock),
        archive: status.and_then(|status| status.archive),
        root_hash: checkpoint.root_hash,
        verifier_key: checkpoint.verifier_key,
        sensors,
        witnesses,
    })?;
    Ok(match healthy {
        true => Exit::Ok,
        false => Exit::Problems,
    })
}

/// How the log is; none where the ledger does not answer, or the server does not tell.
fn log_status(client: &Client) -> Result<Option<LedgerStatus>, ClientError> {
    match client.get("/api/status") {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(ClientError::Unavailable { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
