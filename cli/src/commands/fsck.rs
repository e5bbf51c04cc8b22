//! `fieldledger fsck`: checks a whole log where it lies, without a server.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use fieldledger_ledger::fsck::{self, Finding, Report, Severity};
use fieldledger_ledger::{AnchorPlace, Config, DEFAULT_ORIGIN, ObjectFolder, OpenError};
use serde::Serialize;

use crate::context::Context;
use crate::exit::{Exit, InputError};
use crate::output::{bad, good, pairs, plain};

/// Options of `fsck`.
#[derive(Debug, Args)]
pub(crate) struct FsckArgs {
    /// The ledger's folder, `data_dir` in its settings.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Where its newest signed tree head is kept: a folder or s3://bucket/prefix. Beside the folder
    /// if not given.
    #[arg(long, value_name = "PLACE")]
    anchor: Option<AnchorPlace>,

    /// Where its full segments are archived: file:///folder or s3://bucket/prefix.
    #[arg(long, value_name = "URL")]
    archive: Option<ObjectFolder>,

    /// The log's name in its checkpoints.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_ORIGIN)]
    origin: String,

    /// Remove derived files that are wrong, so that they are computed again.
    #[arg(long)]
    repair: bool,
}

/// The result.
#[derive(Debug, Serialize)]
struct Checked {
    /// Whether nothing need be done.
    clean: bool,
    #[serde(flatten)]
    report: Report,
    /// Files that were removed, to be computed again.
    repaired: Vec<PathBuf>,
}

impl fmt::Display for Checked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        for finding in &report.findings {
            write_finding(formatter, finding)?;
        }
        if report.left_out > 0 {
            writeln!(formatter, "and {} more like these\n", report.left_out)?;
        }
        for path in &self.repaired {
            writeln!(formatter, "removed {}", plain(&path.to_string_lossy()))?;
        }
        let signed = match report.signed_size {
            Some(size) => size.to_string(),
            None => bad("unknown"),
        };
        let state = match report.worst() {
            None | Some(Severity::Note) => good("ok"),
            Some(Severity::Repairable) if !self.repaired.is_empty() => good("repaired"),
            Some(Severity::Repairable) => bad("repairable"),
            Some(Severity::Damage) => bad("damaged"),
        };
        let in_use = match report.in_use {
            true => "another process has it open; checked as far as it was signed at the start",
            false => "nobody has it open",
        };
        formatter.write_str(&pairs([
            ("state", state),
            ("log", plain(&report.origin)),
            ("folder", plain(&report.folder.to_string_lossy())),
            ("anchor", plain(&report.anchor)),
            ("keys", plain(&report.verifier_keys.join(" "))),
            ("signed", signed),
            ("entries", report.entries.to_string()),
            ("segments", report.segments.to_string()),
            ("bytes", report.bytes.to_string()),
            ("in use", in_use.to_owned()),
        ]))
    }
}

fn write_finding(formatter: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    let word = match finding.severity {
        Severity::Note => "note".to_owned(),
        Severity::Repairable => bad("repairable"),
        Severity::Damage => bad("damage"),
    };
    write!(
        formatter,
        "{word}: {}",
        plain(&finding.file.to_string_lossy())
    )?;
    if let Some(offset) = finding.offset {
        write!(formatter, ", byte {offset}")?;
    }
    if let Some(entry) = finding.entry {
        write!(formatter, ", entry {entry}")?;
    }
    writeln!(formatter, "\n  {}", plain(&finding.problem))?;
    writeln!(formatter, "  {}\n", plain(&finding.advice))
}

/// Checks, repairs where asked to, and shows.
pub(crate) fn run(args: &FsckArgs, context: &Context) -> anyhow::Result<Exit> {
    let mut config = Config::new(&args.folder);
    config.anchor = args.anchor.clone().unwrap_or_default();
    config.archive.clone_from(&args.archive);
    config.origin.clone_from(&args.origin);
    let bar = context.output.progress(Some(0), "checking");
    let checked = fsck::check(&config, &mut |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.entries);
    });
    bar.finish_and_clear();
    let report = checked.map_err(|error| match error {
        OpenError::Setting { .. } => anyhow::Error::new(InputError(error.to_string())),
        other => anyhow::Error::new(other),
    })?;
    let repaired = match args.repair {
        true => fsck::repair(&config, &report).context("cannot repair")?,
        false => Vec::new(),
    };
    let is_good =
        report.is_clean() || report.worst() == Some(Severity::Repairable) && !repaired.is_empty();
    context.output.show(&Checked {
        clean: is_good,
        report,
        repaired,
    })?;
    Ok(match is_good {
        true => Exit::Ok,
        false => Exit::Problems,
    })
}
