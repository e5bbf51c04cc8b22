//! `fieldledger backup`: copies a log to a folder, while it goes on.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use fieldledger_ledger::{AnchorPlace, BackupReport, Config, ObjectFolder, backup};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{pairs, plain};

/// Options of `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The ledger's folder, `data_dir` in its settings. A server may hold it.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Where the backup goes: an empty folder, or that of an earlier backup of the same log, to
    /// which only what is new is added.
    #[arg(value_name = "TARGET")]
    target: PathBuf,

    /// Where the log's newest signed tree head is kept, if not beside it.
    #[arg(long, value_name = "PLACE")]
    anchor: Option<AnchorPlace>,

    /// Where its full segments are archived: file:///folder or s3://bucket/prefix.
    #[arg(long, value_name = "URL")]
    archive: Option<ObjectFolder>,

    /// Copy the secret keys, too. Who has them can sign in the log's name.
    #[arg(long)]
    with_keys: bool,
}

/// The result.
#[derive(Debug, Serialize)]
struct BackedUp {
    target: PathBuf,
    origin: String,
    tree_size: u64,
    root_hash: String,
    entries_before: u64,
    bytes_copied: u64,
    entries_erased: u64,
    with_keys: bool,
}

impl BackedUp {
    fn new(target: PathBuf, report: BackupReport) -> Self {
        Self {
            target,
            origin: report.backup.origin,
            tree_size: report.backup.tree_size,
            root_hash: report.backup.root_hash,
            entries_before: report.entries_before,
            bytes_copied: report.bytes_copied,
            entries_erased: report.erased,
            with_keys: report.backup.with_keys,
        }
    }
}

impl fmt::Display for BackedUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = match self.with_keys {
            true => "in the backup; keep it as safe as the keys",
            false => "not in the backup; keep the file key elsewhere, no log goes on without it",
        };
        let new = self.tree_size - self.entries_before;
        formatter.write_str(&pairs([
            ("log", plain(&self.origin)),
            ("backup", plain(&self.target.to_string_lossy())),
            (
                "entries",
                format!("{}, of which {new} are new", self.tree_size),
            ),
            ("root", plain(&self.root_hash)),
            ("copied", format!("{} bytes", self.bytes_copied)),
            ("erased", format!("{} entries", self.entries_erased)),
            ("keys", keys.to_owned()),
        ]))
    }
}

/// Copies and shows what is in the backup now.
pub(crate) fn run(args: &BackupArgs, context: &Context) -> anyhow::Result<Exit> {
    let mut config = Config::new(&args.folder);
    config.anchor = args.anchor.clone().unwrap_or_default();
    config.archive = args.archive.clone();
    let bar = context.output.progress(Some(0), "backup");
    let report = backup(
        &config,
        &args.target,
        args.with_keys,
        &mut |what, done, of| show(&bar, what, done, of),
    );
    bar.finish_and_clear();
    let result = BackedUp::new(args.target.clone(), report?);
    context.output.show(&result)?;
    Ok(Exit::Ok)
}

/// Moves the bar.
pub(crate) fn show(bar: &ProgressBar, what: &'static str, done: u64, of: u64) {
    bar.set_prefix(what);
    bar.set_length(of);
    bar.set_position(done);
}
