//! `fieldledger serve`: a ledger's folder over HTTP, without a lattice.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use fieldledger_ledger::{AnchorPlace, Config, DEFAULT_ORIGIN, Ledger};
use fieldledger_standalone::Standalone;
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

    /// Keep no search index: searches with text are refused.
    #[arg(long)]
    no_index: bool,
}

/// What is shown once it serves.
#[derive(Debug, Serialize)]
struct Serving {
    url: String,
    origin: String,
    tree_size: u64,
    verifier_key: String,
    recovery: String,
}

impl fmt::Display for Serving {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&pairs([
            ("serving", self.url.clone()),
            ("log", plain(&self.origin)),
            ("entries", self.tree_size.to_string()),
            ("key", plain(&self.verifier_key)),
            ("recovery", plain(&self.recovery)),
        ]))
    }
}

/// Serves until it is told to stop, by Ctrl-C or a termination signal.
pub(crate) fn run(args: &ServeArgs, context: &Context) -> anyhow::Result<Exit> {
    let mut config = Config::new(&args.folder);
    config.origin.clone_from(&args.origin);
    config.anchor = args.anchor.clone().unwrap_or_default();
    config.index = !args.no_index;
    let ledger = Ledger::open(config)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the server's threads")?;
    let served = runtime.block_on(serve(&ledger, args.listen, context));
    ledger.close();
    served?;
    Ok(Exit::Ok)
}

async fn serve(ledger: &Ledger, listen: SocketAddr, context: &Context) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for a signal")?;
    let server = Standalone::start(ledger.clone(), listen).await?;
    let checkpoint = ledger.checkpoint();
    context.output.show(&Serving {
        url: server.url(),
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        verifier_key: checkpoint.verifier_key,
        recovery: ledger.status().recovery,
    })?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C")?,
        _ = terminated.recv() => {}
    }
    context
        .output
        .note("stopping: requests under way are answered");
    server.stop().await?;
    Ok(())
}
