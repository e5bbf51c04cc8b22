//! `fieldledger serve`: a ledger's folder over HTTP, without a lattice.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use fieldledger_cosigning::{Cosigning, CosigningSettings};
use fieldledger_ledger::{AnchorPlace, Config, DEFAULT_ORIGIN, Ledger, ObjectFolder};
use fieldledger_standalone::{OverLedger, Standalone};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{pairs, plain};

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The ledger's folder; created where it is missing.
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,

    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// The log's name in its checkpoints.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_ORIGIN)]
    origin: String,

    /// Where the log's newest signed tree head is kept, if not beside it.
    #[arg(long, value_name = "PLACE")]
    anchor: Option<AnchorPlace>,

    /// Where its full segments are archived: file:///folder or s3://bucket/prefix.
    #[arg(long, value_name = "URL")]
    archive: Option<ObjectFolder>,

    /// How many archived segments stay on the disk as well; all unless given.
    #[arg(long, value_name = "COUNT", requires = "archive")]
    local_segments: Option<usize>,

    /// Keep no search index: searches with text are refused.
    #[arg(long)]
    no_index: bool,

    #[command(flatten)]
    witnesses: WitnessArgs,
}

/// Witnesses of this log, and this server as one of other logs.
#[derive(Debug, Args)]
struct WitnessArgs {
    /// Which witnesses cosign the log's checkpoints, and how many are needed: a file as
    /// c2sp.org/tlog-policy has it.
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<String>,

    /// What is published while too few have cosigned.
    #[arg(long, value_name = "WHAT", value_parser = ["serve", "hold"], default_value = "serve")]
    witness_behaviour: String,

    /// Authorities of your own that may vouch for witnesses at https:// URLs: a file with their
    /// certificates in PEM.
    #[arg(long, value_name = "FILE", requires = "witness_policy")]
    witness_ca: Option<String>,

    /// The name under which this server cosigns the logs of others.
    #[arg(long, value_name = "NAME", requires = "witness_dir")]
    witness_name: Option<String>,

    /// The logs that it cosigns: a file that begins with `logs/v0`.
    #[arg(long, value_name = "FILE", requires = "witness_name")]
    witness_logs: Option<String>,

    /// Where it keeps its own key and what it has cosigned.
    #[arg(long, value_name = "FOLDER", requires = "witness_name")]
    witness_dir: Option<String>,
}

impl WitnessArgs {
    fn settings(&self) -> anyhow::Result<CosigningSettings> {
        let given = [
            ("witness_policy", &self.witness_policy),
            ("witness_behaviour", &Some(self.witness_behaviour.clone())),
            ("witness_ca", &self.witness_ca),
            ("witness_name", &self.witness_name),
            ("witness_logs", &self.witness_logs),
            ("witness_dir", &self.witness_dir),
        ];
        let given = given.into_iter().filter_map(|(name, value)| {
            let value = value.clone()?;
            Some((name.to_owned(), value))
        });
        let given: HashMap<String, String> = given.collect();
        Ok(CosigningSettings::read(&given)?)
    }
}

/// What is shown once it serves.
#[derive(Debug, Serialize)]
struct Serving {
    url: String,
    origin: String,
    tree_size: u64,
    verifier_key: String,
    /// The key under which this server cosigns the logs of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    witness_key: Option<String>,
    recovery: String,
}

impl fmt::Display for Serving {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![
            ("serving", self.url.clone()),
            ("log", plain(&self.origin)),
            ("entries", self.tree_size.to_string()),
            ("key", plain(&self.verifier_key)),
        ];
        if let Some(key) = &self.witness_key {
            lines.push(("witness key", plain(key)));
        }
        lines.push(("recovery", plain(&self.recovery)));
        formatter.write_str(&pairs(lines))
    }
}

/// Serves until it is stopped by Ctrl-C or a termination signal.
pub(crate) fn run(args: &ServeArgs, context: &Context) -> anyhow::Result<Exit> {
    let mut config = Config::new(&args.folder);
    config.origin.clone_from(&args.origin);
    config.anchor = args.anchor.clone().unwrap_or_default();
    config.archive.clone_from(&args.archive);
    config.local_segments = args.local_segments;
    config.index = !args.no_index;
    let cosigning = args.witnesses.settings()?;
    let ledger = Ledger::open(config)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the server's threads")?;
    let served = runtime.block_on(serve(
        &ledger,
        &args.folder,
        cosigning,
        args.listen,
        context,
    ));
    ledger.close();
    served?;
    Ok(Exit::Ok)
}

async fn serve(
    ledger: &Ledger,
    folder: &Path,
    cosigning: CosigningSettings,
    listen: SocketAddr,
    context: &Context,
) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for a signal")?;
    let cosigning = Arc::new(Cosigning::start(ledger, folder, cosigning)?);
    let served = OverLedger::new(ledger.clone()).with_cosigning(Arc::clone(&cosigning));
    let server = Standalone::start_with(served, listen).await?;
    let checkpoint = ledger.checkpoint();
    context.output.show(&Serving {
        url: server.url(),
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        verifier_key: checkpoint.verifier_key,
        witness_key: cosigning.witness_status().map(|witness| witness.key),
        recovery: ledger.status().recovery,
    })?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C")?,
        _ = terminated.recv() => {}
    }
    context
        .output
        .note("stopping: requests under way are answered");
    cosigning.stop();
    server.stop().await?;
    Ok(())
}
