//! `fieldledger verify`: whether a proof, an export or a live log is what was signed.
//!
//! ```text
//! keys.rs      whose signature counts
//! proof.rs     one entry, from a file
//! export.rs    a whole log, or a selection, from a file
//! live.rs      a log that is served, from the start or since the last time
//! state.rs     what is remembered of a log between two times
//! report.rs    what was found
//! ```
//!
//! All checks are `fieldledger_verifier`'s, which shares no code with the ledger.

mod export;
mod keys;
mod live;
mod proof;
mod report;
mod state;

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, InputError};

/// How each file but an export in JSON lines is told from one.
const EXPORT: &[u8] = b"{\"export\":";

/// Options of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
The key is the log's public key, name+hash+key. Get it from whoever runs the log, and not from
where the log is served: a forger would serve a forged log with a key of their own.

With --state each check begins where the last one ended, and a log that was rolled back or rewritten
in between is caught, even if all of it is signed.")]
pub(crate) struct VerifyArgs {
    /// A proof (`/api/proof/{entry}`, `/api/proof/{entry}/bundle`, `/log/proof/{entry}`) or an export
    /// in JSON lines; the log at --url if none is named.
    file: Option<PathBuf>,

    /// The log's public key, or a file with one or more of them, one on a line. While one key takes
    /// over from another, give both.
    #[arg(long, short, value_name = "KEY|FILE")]
    key: Vec<String>,

    /// Remember in this file what of the live log was checked, and go on from there the next time.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    state: Option<PathBuf>,

    /// Check the live log from its first entry on, whatever the state says.
    #[arg(long, conflicts_with = "file")]
    all: bool,
}

/// Checks and reports.
pub(crate) fn run(args: &VerifyArgs, context: &Context) -> anyhow::Result<Exit> {
    let keys = keys::read(&args.key)?;
    let report = match &args.file {
        Some(path) => {
            if keys.is_empty() {
                let problem = "verify needs the log's public key; give it with --key";
                return Err(InputError(problem.to_owned()).into());
            }
            let file = File::open(path).map_err(|error| InputError(error.to_string()));
            let opened = || format!("cannot read {}", path.display());
            let mut input = BufReader::new(file.with_context(opened)?);
            let start = input.fill_buf().with_context(opened)?;
            match start.starts_with(EXPORT) {
                true => export::verify(input, path, &keys, context)?,
                false => proof::verify(input, path, &keys)?,
            }
        }
        None => live::verify(args.state.as_deref(), args.all, &keys, context)?,
    };
    context.output.show(&report)?;
    Ok(match report.holds {
        true => Exit::Ok,
        false => Exit::Problems,
    })
}
