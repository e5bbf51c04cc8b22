//! `fieldledger rotate-key` and `retire-key`: lets a new key take over from the one that signs.

use std::fmt;

use clap::Args;
use fieldledger_contract::calls::LogControl;
use fieldledger_contract::ledger::KeyChange;
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::ledger_target::{LedgerTarget, Target, changed};
use crate::output::{pairs, plain};

/// Options of `rotate-key` and of `retire-key`.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Why. It stays in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    target: LedgerTarget,
}

/// The two halves of a rotation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A new key signs beside the old one.
    Rotate,
    /// The new key signs alone.
    Retire,
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Changed(KeyChange);

impl fmt::Display for Changed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&pairs([
            ("recorded by entry", self.0.entry.to_string()),
            ("old key", plain(&self.0.old)),
            ("new key", plain(&self.0.new)),
            ("signing now", plain(&self.0.verifier_keys.join(" and "))),
        ]))
    }
}

/// Changes the keys and shows which sign now.
pub(crate) fn run(step: Step, args: &KeyArgs, context: &Context) -> anyhow::Result<Exit> {
    let change = match args.target.open(context)? {
        Target::Server(client) => {
            let path = match step {
                Step::Rotate => "/api/log/rotate-key",
                Step::Retire => "/api/log/retire-key",
            };
            client.post(path, &json!({"reason": args.reason}))?
        }
        Target::Folder(ledger, actor) => {
            let change = changed(match step {
                Step::Rotate => LogControl::rotate_key(&ledger, &args.reason, &actor),
                Step::Retire => LogControl::retire_key(&ledger, &args.reason, &actor),
            })?;
            ledger.close();
            change
        }
    };
    context.output.show(&Changed(change))?;
    Ok(Exit::Ok)
}
