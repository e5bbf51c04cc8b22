//! `fieldledger retain`: gives up the payloads of old entries, and shows what that freed.

use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use fieldledger_api::TimeInput;
use fieldledger_contract::WallTime;
use fieldledger_contract::calls::LogControl;
use fieldledger_contract::ledger::{Retained, Retention, RetentionScope};
use fieldledger_ledger::{Clock, Ledger};
use indicatif::HumanBytes;
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, InputError};
use crate::ledger_target::{LedgerTarget, Target, changed};
use crate::output::pairs;

/// How often it asks how far the giving up is.
const INTERVAL: Duration = Duration::from_millis(200);

/// Options of `retain`.
#[derive(Debug, Args)]
pub(crate) struct RetainArgs {
    /// Give up what was received before this: an RFC 3339 time, a span before now such as 30d, or
    /// milliseconds since 1970. Only full segments are given up, 64 MiB each.
    #[arg(long, value_name = "TIME")]
    before: String,

    /// Which payloads: those of readings, or all but the log's own entries.
    #[arg(long, value_name = "WHICH", default_value_t)]
    scope: RetentionScope,

    /// Why. It stays in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    target: LedgerTarget,
}

/// The result.
#[derive(Debug, Serialize)]
struct Freed {
    marker: Option<u64>,
    below: u64,
    scope: RetentionScope,
    freed_bytes: u64,
}

impl fmt::Display for Freed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marker = match self.marker {
            Some(marker) => marker.to_string(),
            None => "none, since nothing more was old enough".to_owned(),
        };
        formatter.write_str(&pairs([
            (
                "given up",
                format!("{} below entry {}", self.scope, self.below),
            ),
            ("recorded by entry", marker),
            ("freed", HumanBytes(self.freed_bytes).to_string()),
        ]))
    }
}

/// Gives up, waits until the disk is free, and shows how much of it.
pub(crate) fn run(args: &RetainArgs, context: &Context) -> anyhow::Result<Exit> {
    let freed = match args.target.open(context)? {
        Target::Server(client) => on_server(args, &client)?,
        Target::Folder(ledger, actor) => {
            let freed = in_folder(args, &ledger, &actor)?;
            ledger.close();
            freed
        }
    };
    context.output.show(&freed)?;
    Ok(Exit::Ok)
}

fn on_server(args: &RetainArgs, client: &Client) -> anyhow::Result<Freed> {
    let earlier: Retention = client.get("/api/log/retention")?;
    let params = json!({"before": args.before, "scope": args.scope, "reason": args.reason});
    let retained: Retained = client.post("/api/log/retain", &params)?;
    let freed_bytes = wait(|| {
        let retention: Retention = client.get("/api/log/retention")?;
        Ok((retention.pending, retention.freed_bytes, retention.problem))
    })?;
    Ok(Freed {
        marker: retained.marker,
        below: retained.below,
        scope: args.scope,
        freed_bytes: freed_bytes.saturating_sub(earlier.freed_bytes),
    })
}

fn in_folder(args: &RetainArgs, ledger: &Ledger, actor: &str) -> anyhow::Result<Freed> {
    let now = WallTime::from_micros(Clock::default().now());
    let before = TimeInput::from_text(&args.before).resolve(now);
    let before = before.map_err(|problem| InputError(format!("--before: {problem}")))?;
    let earlier = changed(ledger.retention())?.freed_bytes;
    let retained = changed(LogControl::retain(
        ledger,
        before,
        args.scope,
        &args.reason,
        actor,
    ))?;
    let freed_bytes = wait(|| {
        let retention = changed(ledger.retention())?;
        Ok((retention.pending, retention.freed_bytes, retention.problem))
    })?;
    Ok(Freed {
        marker: retained.marker,
        below: retained.below,
        scope: args.scope,
        freed_bytes: freed_bytes.saturating_sub(earlier),
    })
}

/// Asks whether there is more to be done, how many bytes are freed, and what is wrong, until all is
/// done; the bytes.
fn wait(mut ask: impl FnMut() -> anyhow::Result<(bool, u64, String)>) -> anyhow::Result<u64> {
    loop {
        let (pending, freed_bytes, problem) = ask()?;
        if !problem.is_empty() {
            bail!(
                "payloads are given up, but the disk cannot be freed now: {problem}; the ledger goes \
                 on trying"
            );
        }
        if !pending {
            return Ok(freed_bytes);
        }
        thread::sleep(INTERVAL);
    }
}
