//! `fieldledger status`: how the log and the sensors are.

use std::fmt;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{good, pairs, plain};

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

/// What `GET /api/checkpoint` answers.
#[derive(Debug, Deserialize)]
struct Checkpoint {
    origin: String,
    tree_size: u64,
    root_hash: String,
    verifier_key: String,
}

/// The result.
#[derive(Debug, Serialize)]
struct Status {
    url: String,
    origin: String,
    tree_size: u64,
    root_hash: String,
    verifier_key: String,
    sensors_ok: u64,
    sensors_stale: u64,
    sensors_down: u64,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sensors = format!(
            "{} ok, {} stale, {} down",
            self.sensors_ok, self.sensors_stale, self.sensors_down
        );
        formatter.write_str(&pairs([
            ("state", good("ok")),
            ("log", plain(&self.origin)),
            ("entries", self.tree_size.to_string()),
            ("root", plain(&self.root_hash)),
            ("key", plain(&self.verifier_key)),
            ("sensors", sensors),
        ]))
    }
}

/// Asks and shows.
pub(crate) fn run(_args: &StatusArgs, context: &Context) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let health: Health = client.get("/healthz")?;
    let checkpoint: Checkpoint = client.get("/api/checkpoint")?;
    context.output.show(&Status {
        url: client.url().to_owned(),
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        root_hash: checkpoint.root_hash,
        verifier_key: checkpoint.verifier_key,
        sensors_ok: health.sensors_ok,
        sensors_stale: health.sensors_stale,
        sensors_down: health.sensors_down,
    })?;
    Ok(Exit::Ok)
}
