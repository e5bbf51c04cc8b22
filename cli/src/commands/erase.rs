//! `fieldledger erase`: removes the payload of an entry for good.

use std::fmt;

use clap::Args;
use fieldledger_contract::calls::LogControl;
use fieldledger_contract::ledger::Erasure;
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::ledger_target::{LedgerTarget, Target, changed};
use crate::output::pairs;

/// Options of `erase`.
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The entry, by its position in the log, from 0.
    entry: u64,

    /// Why. It stays in the log, so it must not say what is erased.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    target: LedgerTarget,
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Erased(Erasure);

impl fmt::Display for Erased {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0.already {
            true => "was erased before",
            false => "erased",
        };
        formatter.write_str(&pairs([
            ("entry", self.0.entry.to_string()),
            ("payload", state.to_owned()),
            ("recorded by entry", self.0.marker.to_string()),
        ]))
    }
}

/// Erases and shows what became of it.
pub(crate) fn run(args: &EraseArgs, context: &Context) -> anyhow::Result<Exit> {
    let erasure = match args.target.open(context)? {
        Target::Server(client) => {
            let params = json!({"entry": args.entry, "reason": args.reason});
            client.post("/api/log/erase", &params)?
        }
        Target::Folder(ledger, actor) => {
            let erasure = LogControl::erase(&ledger, args.entry, &args.reason, &actor);
            let erasure = changed(erasure)?;
            ledger.close();
            erasure
        }
    };
    context.output.show(&Erased(erasure))?;
    Ok(Exit::Ok)
}
