//! `fieldledger verify`: whether a proof, an export or a live log is what was signed.
//!
//! ```text
//! keys.rs      whose signature counts
//! proof.rs     one entry, from a file
//! export.rs    a whole log, or a selection, from a file
//! live.rs      a log that is served, from the start or since the last time
//! state.rs     what is remembered of a log between two times
//! trust.rs     the keys and the witness policy that a tree head is held against
//! witnesses.rs which witnesses have cosigned, and whether they are enough
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
mod trust;
mod witnesses;

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use self::live::Extent;
use self::trust::Trust;
use crate::context::Context;
use crate::exit::{Exit, InputError};

/// How an export in JSON lines begins, and no other file.
const EXPORT: &[u8] = b"{\"export\":";

/// Options of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
The key is the log's public key, name+hash+key. Get it from whoever runs the log, and not from
where the log is served: a forger would serve a forged log with a key of their own.

With --state each check begins where the last one ended, and a log that was rolled back or rewritten
in between is caught, even if all of it is signed.

With --policy the tree head must also carry the cosignatures of as many witnesses as the policy asks
for: then the log has shown them the history that it shows you. A live log, an export of the whole log
and a bundle (`/api/proof/{entry}/bundle`) have the published tree head, which carries them; a selection
and `/api/proof/{entry}` lead to the newest one, which mostly does not.")]
pub(crate) struct VerifyArgs {
    /// A proof (`/api/proof/{entry}`, `/api/proof/{entry}/bundle`, `/log/proof/{entry}`), an export in
    /// JSON lines, or the URL of a live log; the log at --url if none is named.
    #[arg(value_name = "FILE|URL")]
    source: Option<String>,

    /// The log's public key, or a file with one or more of them, one on a line. While one key takes
    /// over from another, give both.
    #[arg(long, short, value_name = "KEY|FILE")]
    key: Vec<String>,

    /// Whose cosignatures count, and how many are needed: a file as c2sp.org/tlog-policy has it. Its
    /// `log` lines take the place of --key where that is not given.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Remember in this file what of the live log was checked, and go on from there the next time.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Check the live log from its first entry on, whatever the state says.
    #[arg(long)]
    all: bool,

    /// Also fetch each payload of the live log by itself, from `/log/payload/{entry}`: one request for
    /// each entry.
    #[arg(long)]
    payloads: bool,
}

impl VerifyArgs {
    /// The file that is named, if one is.
    ///
    /// # Errors
    ///
    /// [`InputError`] where options are given that a file has no use for.
    fn file(&self) -> Result<Option<&Path>, InputError> {
        let file = self.source.as_deref().filter(|source| !is_url(source));
        if file.is_some() && (self.state.is_some() || self.all || self.payloads) {
            let problem = "--state, --all and --payloads are for a live log, not for a file";
            return Err(InputError(problem.to_owned()));
        }
        Ok(file.map(Path::new))
    }
}

fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// Checks and reports.
pub(crate) fn run(args: &VerifyArgs, context: &Context) -> anyhow::Result<Exit> {
    let trust = Trust::read(&args.key, args.policy.as_deref())?;
    let report = match args.file()? {
        Some(path) => {
            if trust.keys.is_empty() {
                let problem = "verify needs the log's public key; give it with --key";
                return Err(InputError(problem.to_owned()).into());
            }
            let file = File::open(path).map_err(|error| InputError(error.to_string()));
            let opened = || format!("cannot read {}", path.display());
            let mut input = BufReader::new(file.with_context(opened)?);
            let start = input.fill_buf().with_context(opened)?;
            match start.starts_with(EXPORT) {
                true => export::verify(input, path, &trust, context)?,
                false => proof::verify(input, path, &trust)?,
            }
        }
        None => {
            let client = match &args.source {
                Some(url) => context.client_of(url)?,
                None => context.client()?,
            };
            let extent = Extent {
                state_path: args.state.as_deref(),
                from_start: args.all,
                payloads: args.payloads,
            };
            live::verify(client, &extent, &trust, context)?
        }
    };
    context.output.show(&report)?;
    Ok(match report.holds {
        true => Exit::Ok,
        false => Exit::Problems,
    })
}
