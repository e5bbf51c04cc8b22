//! `fieldledger restore`: makes a ledger's folder from a backup, and never a fork.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use fieldledger_ledger::{AnchorPlace, BackupError, Config, Ledger, RestoreMode, restore};
use serde::Serialize;

use super::backup::show;
use crate::context::Context;
use crate::exit::{Exit, InputError};
use crate::output::{pairs, plain};

/// Options of `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup's folder.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,

    /// The ledger's folder, `data_dir` in its settings. Empty, or not there.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Where the log's newest signed tree head is kept, if not beside the folder. It tells whether
    /// the log went on after the backup.
    #[arg(long, value_name = "PLACE")]
    anchor: Option<AnchorPlace>,

    /// The log's key file, where the backup has none.
    #[arg(long, value_name = "FILE", conflicts_with = "read_only")]
    key: Option<PathBuf>,

    /// Restore a log that can be read but never goes on, such as one whose end is lost.
    #[arg(long)]
    read_only: bool,

    /// Begin a log of this name that goes on where the read-only one ends.
    #[arg(long, value_name = "NAME", requires_all = ["read_only", "successor_folder"])]
    successor: Option<String>,

    /// The folder of that log.
    #[arg(long, value_name = "FOLDER", requires = "successor")]
    successor_folder: Option<PathBuf>,

    /// Where that log's newest signed tree head is kept, if not beside its folder.
    #[arg(long, value_name = "PLACE", requires = "successor")]
    successor_anchor: Option<AnchorPlace>,
}

/// The result.
#[derive(Debug, Serialize)]
struct Done {
    folder: PathBuf,
    origin: String,
    tree_size: u64,
    /// Entries that were signed, as far as is known.
    signed_size: u64,
    read_only: bool,
    successor: Option<Begun>,
}

/// A log that goes on from the restored one.
#[derive(Debug, Serialize)]
struct Begun {
    folder: PathBuf,
    origin: String,
    verifier_key: String,
}

impl fmt::Display for Done {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.read_only {
            true => "read-only",
            false => "ready to go on",
        };
        let mut lines = vec![
            ("log", plain(&self.origin)),
            ("folder", plain(&self.folder.to_string_lossy())),
            (
                "entries",
                format!("{} of {} signed", self.tree_size, self.signed_size),
            ),
            ("state", state.to_owned()),
        ];
        if let Some(successor) = &self.successor {
            lines.push(("successor", plain(&successor.origin)));
            lines.push(("its folder", plain(&successor.folder.to_string_lossy())));
            lines.push(("its key", plain(&successor.verifier_key)));
        }
        formatter.write_str(&pairs(lines))
    }
}

/// Restores and shows what became of it.
pub(crate) fn run(args: &RestoreArgs, context: &Context) -> anyhow::Result<Exit> {
    let mut config = Config::new(&args.folder);
    config.anchor = args.anchor.clone().unwrap_or_default();
    let mode = match args.read_only {
        true => RestoreMode::ReadOnly,
        false => RestoreMode::GoOn,
    };
    let bar = context.output.progress(Some(0), "restore");
    let restored = restore(
        &args.backup,
        &config,
        args.key.as_deref(),
        mode,
        &mut |what, done, of| show(&bar, what, done, of),
    );
    bar.finish_and_clear();
    let restored = restored.map_err(|error| match error {
        refused @ (BackupError::Behind { .. } | BackupError::NoAnchor { .. }) => {
            anyhow::Error::new(InputError(format!(
                "{refused}: --read-only, or --read-only --successor <NAME> --successor-folder \
                 <FOLDER>"
            )))
        }
        other => other.into(),
    })?;
    let size = restored.backup.tree_size;
    let successor = match (&args.successor, &args.successor_folder) {
        (Some(origin), Some(folder)) => {
            let mut config = Config::new(folder);
            config.origin.clone_from(origin);
            config.anchor = args.successor_anchor.clone().unwrap_or_default();
            let ledger = Ledger::succeed(config, &restored.newest, size)
                .context("the log was restored, but its successor could not begin")?;
            let verifier_key = ledger.checkpoint().verifier_key;
            ledger.close();
            Some(Begun {
                folder: folder.clone(),
                origin: origin.clone(),
                verifier_key,
            })
        }
        _ => None,
    };
    context.output.show(&Done {
        folder: args.folder.clone(),
        origin: restored.backup.origin,
        tree_size: size,
        signed_size: restored.newest.tree_size,
        read_only: args.read_only,
        successor,
    })?;
    Ok(Exit::Ok)
}
