//! `fieldledger status`: how the log and the sensors are.

use std::fmt;

use clap::Args;
use indicatif::HumanBytes;
use serde::{Deserialize, Serialize};

use crate::client::{Client, ClientError};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{bad, good, pairs, plain};

/// Options of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {}

/// What `GET /healthz` answers.
#[derive(Debug, Deserialize)]
struct Health {
    sensors_ok: u64,
    sensors_stale: u64,
    sensors_down: u64,
}

/// Sensors by liveness.
#[derive(Debug, Serialize)]
struct Sensors {
    ok: u64,
    stale: u64,
    down: u64,
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

/// What `GET /api/checkpoint` answers.
#[derive(Debug, Deserialize)]
struct Checkpoint {
    origin: String,
    tree_size: u64,
    root_hash: String,
    verifier_key: String,
}

/// What `GET /api/status` answers.
#[derive(Debug, Default, Deserialize)]
struct LogStatus {
    indexed_size: Option<u64>,
    bytes_on_disk: Option<u64>,
    ended: Option<String>,
    index_problem: Option<String>,
    archive: Option<Archive>,
}

/// What is in the archive of the log's full segments.
#[derive(Debug, Deserialize, Serialize)]
struct Archive {
    segments: u64,
    entries: u64,
    bytes: u64,
    /// Segments that are there only.
    removed: u64,
    /// Why nothing more can be archived at present.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    problem: String,
}

impl fmt::Display for Archive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segments,
            entries,
            removed,
            ..
        } = self;
        let bytes = HumanBytes(self.bytes);
        write!(
            formatter,
            "{entries} entries in {segments} segments, {bytes}; {removed} of them there only"
        )?;
        match self.problem.as_str() {
            "" => Ok(()),
            problem => write!(formatter, "; {} {}", bad("fails:"), plain(problem)),
        }
    }
}

/// What `GET /api/log/witnesses` answers about this log.
#[derive(Debug, Deserialize, Serialize)]
struct Witnesses {
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<OwnWitnesses>,
}

#[derive(Debug, Deserialize, Serialize)]
struct OwnWitnesses {
    behaviour: String,
    witnessed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    witnessed_size: Option<u64>,
    witnesses: Vec<Witness>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Witness {
    name: String,
    cosigned_size: u64,
    lag: u64,
    failures: u32,
    last_error: String,
    refuses: bool,
}

impl Witnesses {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let Some(own) = &self.own else {
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
}

/// The result.
#[derive(Debug, Serialize)]
struct Status {
    url: String,
    /// Every part of the system answers.
    healthy: bool,
    /// What does not answer, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<Archive>,
    root_hash: String,
    verifier_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sensors: Option<Sensors>,
    witnesses: Witnesses,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.problem {
            None => good("ok"),
            Some(problem) => format!("{}: {}", bad("degraded"), plain(problem)),
        };
        let mut lines = vec![
            ("state", state),
            ("log", plain(&self.origin)),
            ("entries", self.tree_size.to_string()),
        ];
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
        if let Some(archive) = &self.archive {
            lines.push(("archive", archive.to_string()));
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
        lines.extend(self.witnesses.lines());
        formatter.write_str(&pairs(lines))
    }
}

/// Asks and shows.
pub(crate) fn run(_args: &StatusArgs, context: &Context) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let checkpoint: Checkpoint = client.get("/api/checkpoint")?;
    let health: Result<Health, ClientError> = client.get("/healthz");
    let (sensors, problem) = match health {
        Ok(health) => (Some(health.into()), None),
        Err(ClientError::Unavailable { detail, .. }) => (None, Some(detail)),
        Err(error) => return Err(error.into()),
    };
    let witnesses: Witnesses = client.get("/api/log/witnesses")?;
    let status = log_status(&client)?;
    let healthy = problem.is_none();
    context.output.show(&Status {
        url: client.url().to_owned(),
        healthy,
        problem,
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        ended: status.ended,
        indexed_size: status.indexed_size,
        index_problem: status.index_problem,
        bytes_on_disk: status.bytes_on_disk,
        archive: status.archive,
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

/// How the log is; nothing of it where the ledger does not answer, or the server does not tell.
fn log_status(client: &Client) -> Result<LogStatus, ClientError> {
    match client.get("/api/status") {
        Err(error) if error.is_not_found() => Ok(LogStatus::default()),
        Err(ClientError::Unavailable { .. }) => Ok(LogStatus::default()),
        answered => answered,
    }
}
