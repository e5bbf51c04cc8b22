//! `fieldledger freeze`: ends a log.

use std::fmt;

use clap::Args;
use fieldledger_contract::calls::LogControl;
use fieldledger_contract::ledger::{Freeze, Successor};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::ledger_target::{LedgerTarget, Target, changed};
use crate::output::{pairs, plain};

/// Options of `freeze`.
#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    /// Why. It stays in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Name of the log that goes on.
    #[arg(long, value_name = "NAME")]
    successor: Option<String>,

    /// The key that verifies the log that goes on.
    #[arg(long, value_name = "KEY", requires = "successor")]
    successor_key: Option<String>,

    #[command(flatten)]
    target: LedgerTarget,
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Frozen(Freeze);

impl fmt::Display for Frozen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&pairs([
            ("log", plain(&self.0.checkpoint.origin)),
            ("state", "frozen forever".to_owned()),
            ("last entry", self.0.entry.to_string()),
            ("entries", self.0.checkpoint.tree_size.to_string()),
            ("root", plain(&self.0.checkpoint.root_hash)),
        ]))
    }
}

/// Ends the log and shows its last tree head.
pub(crate) fn run(args: &FreezeArgs, context: &Context) -> anyhow::Result<Exit> {
    let successor = args.successor.as_ref().map(|origin| Successor {
        origin: origin.clone(),
        verifier_key: args.successor_key.clone().unwrap_or_default(),
    });
    let frozen = match args.target.open(context)? {
        Target::Server(client) => {
            let params = json!({"reason": args.reason, "successor": successor});
            client.post("/api/log/freeze", &params)?
        }
        Target::Folder(ledger, actor) => {
            let frozen = LogControl::freeze(&ledger, successor.as_ref(), &args.reason, &actor);
            let frozen = changed(frozen)?;
            ledger.close();
            frozen
        }
    };
    context.output.show(&Frozen(frozen))?;
    Ok(Exit::Ok)
}
