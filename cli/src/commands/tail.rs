//! `fieldledger tail`: the newest entries, and those that follow.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::client::ClientError;
use crate::context::Context;
use crate::entries::{self, PAGE};
use crate::exit::{Exit, InputError, LogError};
use crate::files;
use crate::shown::Shown;

/// Longest pause before a server that does not answer is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Options of `tail`.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Begin with this entry, counted from 0, instead of the newest ones.
    #[arg(long, value_name = "ENTRY", conflicts_with = "count")]
    from: Option<u64>,

    /// Begin so many entries before the end.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 10)]
    count: u64,

    /// Go on with entries as they come, until Ctrl-C; an outage of the server is waited out.
    #[arg(long, short)]
    follow: bool,

    /// Remember in this file which entry comes next, and begin there if the file exists. An entry
    /// is remembered after it was printed, so that none is left out.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,

    /// Seconds between two looks for new entries.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = parse_interval)]
    interval: f64,
}

fn parse_interval(text: &str) -> Result<f64, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .filter(|seconds| (0.01..=86_400.0).contains(seconds))
        .ok_or_else(|| "give seconds, 0.01 to 86400".to_owned())
}

/// Prints entries, one on a line.
pub(crate) fn run(args: &TailArgs, context: &Context) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let remembered = match &args.resume {
        Some(path) => read_position(path)?,
        None => None,
    };
    let mut next = match remembered.or(args.from) {
        Some(next) => next,
        None => {
            let size = entries::read(&client, 0, 1, false)?.root.size;
            size.saturating_sub(args.count)
        }
    };
    let interval = Duration::from_secs_f64(args.interval);
    let mut pause = interval;
    let mut largest = 0;
    loop {
        let range = match entries::read_in_order(&client, next, PAGE, false) {
            Ok(range) => range,
            Err(error) if args.follow && is_outage(&error) => {
                context
                    .output
                    .note(&format!("{error:#}; asking again in {pause:.0?}"));
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            Err(error) => return Err(error),
        };
        pause = interval;
        let size = range.root.size;
        if size < largest || (next > size && remembered.is_some()) {
            let before = largest.max(next);
            let problem = format!(
                "the log has {size} entries and had {before} before: it was rolled back, or another \
                 one is served"
            );
            return Err(LogError(problem).into());
        }
        largest = size;
        let is_empty = range.entries.is_empty();
        for entry in range.entries {
            next = entry.leaf_index + 1;
            context.output.line(&Shown::from(entry))?;
        }
        if let (Some(path), false) = (&args.resume, is_empty) {
            files::replace(path, format!("{next}\n").as_bytes())?;
        }
        if next >= size {
            if !args.follow {
                return Ok(Exit::Ok);
            }
            thread::sleep(interval);
        }
    }
}

fn is_outage(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<ClientError>();
    error.is_some_and(ClientError::is_outage)
}

fn read_position(path: &Path) -> anyhow::Result<Option<u64>> {
    let Some(text) = files::read_if_there(path)? else {
        return Ok(None);
    };
    let position = text.trim().parse().map_err(|_| {
        InputError(format!(
            "{:?} is not the number of an entry; remove the file to begin anew",
            text.trim()
        ))
    });
    position
        .map(Some)
        .with_context(|| format!("cannot go on from {}", path.display()))
}
