//! A wasmCloud 1.9 host and, if asked, its application manager wadm, in one process.
//!
//! It takes the options and the `WASMCLOUD_*` variables of the stock host, so that
//! `wash up --host-path` can start it, and differs in what a site needs: the builtin providers are
//! on, calls may take as long as a commit to a slow disk, and stopping drains the providers.
//! Once it serves, it prints one line of JSON on standard output.
//!
//! | module | holds |
//! |---|---|
//! | `args` | the command line, and the environment variables that stand for it |
//! | `connect`, `credentials` | NATS connections of our own, and how they log in |
//! | `host` | the wasmCloud host: settings, start, stop |
//! | `manager` | wadm, in the same process |
//! | `sole_owner` | removes from wadm's state the hosts that are gone |
//! | `drain` | stops the providers one after another |
//! | `logging` | logs, on standard error |
//!
//! **Invariants.** A provider that calls is stopped before one that is called, so that each can finish what
//! it has accepted.
#![forbid(unsafe_code)]

mod args;
mod connect;
mod credentials;
mod drain;
mod host;
mod logging;
mod manager;
mod sole_owner;

use anyhow::Context as _;
use clap::Parser as _;
use fieldledger_lifeline::Parent;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use args::Args;
use mimalloc::MiMalloc;

/// Calls come and go on all threads, and compiling the components takes memory that is not needed again.
/// glibc's allocator kept 211 MiB of an idle site's host, this one 176.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let parent = Parent::now();
    let args = Args::parse();
    logging::start(args.log_level, args.structured_logging)?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;

    let settings = host::settings(&args)?;
    if args.sole_owner {
        sole_owner::forget_manager_state(&settings).await?;
    }
    let mut manager = match args.with_wadm {
        true => Some(manager::Manager::start(&settings).await?),
        false => None,
    };
    let host = host::RunningHost::start(settings).await?;
    println!(
        "{}",
        json!({"ready": true, "host_id": host.id(), "lattice": args.lattice, "wadm": args.with_wadm})
    );

    let drain = tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => true,
        () = parent_gone(parent, args.exit_with_parent) => true,
        // Stopped over the lattice: the host no longer takes commands, not even ours to drain.
        stopped = host.stopped() => { stopped?; false }
        ended = manager_ended(manager.as_mut()) => {
            return Err(ended.context("wadm ended, and with it the host"));
        }
    };
    info!("stopping");
    // The manager first, or it would start again what is being stopped.
    if let Some(manager) = manager {
        manager.stop();
    }
    host.stop(drain).await
}

async fn parent_gone(parent: Parent, asked_to_follow: bool) {
    if !asked_to_follow {
        std::future::pending::<()>().await;
    }
    parent.gone().await;
}

async fn manager_ended(manager: Option<&mut manager::Manager>) -> anyhow::Error {
    match manager {
        Some(manager) => manager.ended().await,
        None => std::future::pending().await,
    }
}
