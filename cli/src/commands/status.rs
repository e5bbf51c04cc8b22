//! `fieldledger status`: how the log and the sensors are.

use std::fmt;

use clap::Args;
use indicatif::HumanBytes;
use serde::{Deserialize, Serialize};

use crate::client::ClientError;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{bad, good, pairs, plain};

/// Longest answer of `/metrics` that is read, bytes.
const LONGEST_METRICS: u64 = 4 << 20;

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
    /// Entries that the search index has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    indexed_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_on_disk: Option<u64>,
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
        if let Some(indexed) = self.indexed_size {
            lines.push(("searchable", indexed.to_string()));
        }
        if let Some(bytes) = self.bytes_on_disk {
            lines.push(("on disk", HumanBytes(bytes).to_string()));
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
    let metrics = client.get_bytes("/metrics", LONGEST_METRICS)?;
    let metrics = String::from_utf8_lossy(&metrics);
    let healthy = problem.is_none();
    context.output.show(&Status {
        url: client.url().to_owned(),
        healthy,
        problem,
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        indexed_size: gauge(&metrics, "fieldledger_ledger_indexed_size"),
        bytes_on_disk: gauge(&metrics, "fieldledger_ledger_bytes_on_disk"),
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

/// The value of a gauge in Prometheus' text.
fn gauge(metrics: &str, name: &str) -> Option<u64> {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.parse().ok()
}
