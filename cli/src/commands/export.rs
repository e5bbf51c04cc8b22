//! `fieldledger export`: the log, or a part of it, as a file.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use fieldledger_api::answers::{EntriesResponse, LogEvent, Root};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::client::{Client, ClientError, LONGEST_NOTE};
use crate::commands::search::Filter;
use crate::context::Context;
use crate::entries::{self, PAGE};
use crate::exit::{Exit, InputError, LogError};
use crate::export::Sink;
use crate::export::csv::{self, Csv};
use crate::export::lines::{self, FORMAT, Header, LOG, Lines, SELECTION};
use crate::export::parquet::Parquet;
use crate::found::{self, LARGEST_RESULT, Query};
use crate::output::pairs;

/// Options of `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Terms, "phrases" and column:value; without any, and without the options below, the whole log.
    query: Vec<String>,

    #[command(flatten)]
    filter: Filter,

    /// Only this entry, counted from 0, and later ones.
    #[arg(long, value_name = "ENTRY")]
    from: Option<u64>,

    /// Only entries before this one.
    #[arg(long, value_name = "ENTRY")]
    to: Option<u64>,

    /// JSON lines hold all that `verify` needs; CSV (RFC 4180) and Parquet are for other programs.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,

    /// Where to; `-` is standard output.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Go on with a file that an export of the same kind began: after an interruption, or to add
    /// what is new since. Not for Parquet.
    #[arg(long)]
    resume: bool,

    /// CSV that a spreadsheet opens right: marked as UTF-8, numbers as numbers, and a ' before texts
    /// that it would run as formulas. Without it a cell is exactly what was logged: do not open such a
    /// file in a spreadsheet.
    #[arg(long)]
    spreadsheet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
    Parquet,
}

/// The result.
#[derive(Debug, Serialize)]
struct Exported {
    file: String,
    /// Entries that this call wrote.
    entries: u64,
    /// The first entry that was not looked at.
    next: u64,
    /// Entries in the log.
    tree_size: u64,
}

impl fmt::Display for Exported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&pairs([
            ("file", self.file.clone()),
            ("entries", self.entries.to_string()),
            ("next", self.next.to_string()),
        ]))
    }
}

/// An export under way.
struct Export<'a> {
    client: Client,
    context: &'a Context,
    sink: Box<dyn Sink>,
    bar: ProgressBar,
    /// The first entry that is not yet there, and the first that is not wanted.
    next: u64,
    bound: u64,
    entries: u64,
    with_proofs: bool,
}

/// Exports.
pub(crate) fn run(args: &ExportArgs, context: &Context) -> anyhow::Result<Exit> {
    let is_standard_output = args.output.as_os_str() == "-";
    check(args, is_standard_output)?;
    let client = context.client()?;
    let root = entries::read(&client, 0, 1, false)?.root;
    let query = args.filter.query(&args.query)?;
    let searches = !query.query.is_empty()
        || !query.search_restriction.is_empty()
        || query.start.is_some()
        || query.end.is_some();
    let is_log = !searches && args.from.is_none() && args.to.is_none();
    let header = Header {
        export: FORMAT.to_owned(),
        what: if is_log { LOG } else { SELECTION }.to_owned(),
        origin: root.tree_name.clone(),
    };
    let (sink, resumed) = open(args, is_standard_output, &header)
        .with_context(|| format!("cannot export to {}", args.output.display()))?;
    let next = resumed.or(args.from).unwrap_or(0);
    let end = match is_log && args.format == Format::Jsonl {
        true => published(&client, &root, next, context)?,
        false => Published::from(&root),
    };
    let bound = args.to.unwrap_or(end.size).min(end.size);
    ensure!(
        next <= root.size,
        InputError(format!(
            "the log has {} entries, fewer than the {next} that come before the first one wanted; was \
             it rolled back?",
            root.size
        ))
    );
    let wanted = bound.saturating_sub(next);
    let mut export = Export {
        client: client.patient(context.output),
        context,
        sink,
        bar: context.output.progress(Some(wanted), "exporting"),
        next,
        bound,
        entries: 0,
        with_proofs: !is_log && args.format == Format::Jsonl,
    };
    match searches {
        true => export.search(query)?,
        false => export.range()?,
    }
    if is_log {
        export.sink.checkpoint(&end.note)?;
    }
    export
        .sink
        .finish()
        .with_context(|| format!("cannot write {}", args.output.display()))?;
    export.bar.finish_and_clear();
    let exported = Exported {
        file: args.output.display().to_string(),
        entries: export.entries,
        next: export.next,
        tree_size: root.size,
    };
    match is_standard_output {
        true => context.output.note(exported.to_string().trim_end()),
        false => context.output.show(&exported)?,
    }
    Ok(Exit::Ok)
}

/// A tree that an export ends with.
struct Published {
    /// Entries in the tree.
    size: u64,
    /// The signed note.
    note: String,
}

impl From<&Root> for Published {
    fn from(root: &Root) -> Self {
        Self {
            size: root.size,
            note: root.note.clone(),
        }
    }
}

/// The tree that an export of the whole log ends with: the one that the site shows to the world, with
/// the cosignatures of its witnesses. `newest` where there is none, or the export is beyond it already.
fn published(
    client: &Client,
    newest: &Root,
    next: u64,
    context: &Context,
) -> anyhow::Result<Published> {
    let note = match client.get_bytes("/log/checkpoint", LONGEST_NOTE) {
        Ok(note) => String::from_utf8_lossy(&note).into_owned(),
        Err(error @ ClientError::Unavailable { .. }) => {
            let text = format!("{error}; the export ends with a tree head without cosignatures");
            context.output.note(&text);
            return Ok(newest.into());
        }
        Err(error) if error.is_not_found() => return Ok(newest.into()),
        Err(error) => return Err(error.into()),
    };
    // Whether it holds is for `verify` to see, as with all that is exported.
    let size = note.lines().nth(1).and_then(|size| size.parse().ok());
    let size = size.filter(|size| *size >= next);
    let Some(size) = size else {
        return Ok(newest.into());
    };
    let later = newest.size.saturating_sub(size);
    if later > 0 {
        context.output.note(&format!(
            "the log is published up to entry {size}; {later} later ones are left out, --resume adds \
             them once they are"
        ));
    }
    Ok(Published { size, note })
}

fn check(args: &ExportArgs, is_standard_output: bool) -> anyhow::Result<()> {
    let refuse = |problem: &str| Err(InputError(problem.to_owned()).into());
    if args.format == Format::Parquet && is_standard_output {
        return refuse("Parquet needs a file; name one with --output");
    }
    if args.format == Format::Parquet && args.resume {
        return refuse(
            "a Parquet file cannot be gone on with; export the rest to another file with --from",
        );
    }
    if is_standard_output && args.resume {
        return refuse("--resume needs a file; name one with --output");
    }
    if args.spreadsheet && args.format != Format::Csv {
        return refuse("--spreadsheet is for --format csv");
    }
    Ok(())
}

/// Opens what is written to; the entry to go on with where something is there already.
fn open(
    args: &ExportArgs,
    is_standard_output: bool,
    header: &Header,
) -> anyhow::Result<(Box<dyn Sink>, Option<u64>)> {
    let path = args.output.as_path();
    let is_there = !is_standard_output && path.exists();
    ensure!(
        args.resume || !is_there,
        InputError("the file exists; go on with it with --resume, or name another".to_owned())
    );
    let (next, file) = match (args.format, is_there) {
        (Format::Parquet, _) => return Ok((Box::new(Parquet::begin(path)?), None)),
        (_, false) if is_standard_output => (None, None),
        (_, false) => (None, Some(create(path)?)),
        (Format::Jsonl, true) => {
            let (next, file) = lines::resume(path, header)?;
            (next, Some(file))
        }
        (Format::Csv, true) => {
            let (next, file) = csv::resume(path)?;
            (next, Some(file))
        }
    };
    let out: Box<dyn Write> = match &file {
        Some(file) => Box::new(BufWriter::new(file.try_clone()?)),
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let sink: Box<dyn Sink> = match (args.format, is_there) {
        (Format::Csv, _) => Box::new(Csv::new(out, file, args.spreadsheet, !is_there)?),
        (_, false) => Box::new(Lines::begin(out, file, header)?),
        (_, true) => Box::new(Lines::go_on(out, file)),
    };
    Ok((sink, next))
}

fn create(path: &Path) -> anyhow::Result<File> {
    let created = File::create_new(path);
    created.map_err(|error| InputError(error.to_string()).into())
}

impl Export<'_> {
    /// All entries up to the bound, by position.
    fn range(&mut self) -> anyhow::Result<()> {
        while self.next < self.bound {
            let limit = (self.bound - self.next).min(PAGE.into()) as u32;
            let EntriesResponse { entries, root } =
                entries::read_in_order(&self.client, self.next, limit, self.with_proofs)?;
            let problem = || {
                let (bound, size) = (self.bound, root.size);
                format!("the log had {bound} entries and has {size} now: it was rolled back")
            };
            ensure!(!entries.is_empty(), LogError(problem()));
            self.take(&entries, &root)?;
        }
        Ok(())
    }

    /// The entries up to the bound that match, in the order of the log. A search holds a limited
    /// number of them; the next one begins at the time at which the last one ended.
    fn search(&mut self, query: Query) -> anyhow::Result<()> {
        let mut query = Query {
            order: "asc",
            max_results: LARGEST_RESULT,
            verbose: true,
            ..query
        };
        if let Some(before) = self.next.checked_sub(1) {
            let range = entries::read_in_order(&self.client, before, 1, false)?;
            let time = range.entries.first().and_then(entries::received_at);
            let time = time.context("the server gives an entry without its leaf")?;
            query.start = later(query.start.take(), time);
        }
        let uses_index = !query.query.is_empty() || !query.search_restriction.is_empty();
        loop {
            let (mut count, mut last) = (0, None);
            let client = self.client.clone();
            found::pages(&client, &query, |page| {
                count = page.count;
                if uses_index && page.indexed_size < self.bound {
                    self.bound = page.indexed_size;
                    self.context.output.note(&format!(
                        "the search index has seen {} of {} entries; what is newer is left out",
                        page.indexed_size, page.root.size
                    ));
                }
                last = page.events.last().and_then(entries::received_at).or(last);
                let mut events = page.events;
                events.retain(|entry| (self.next..self.bound).contains(&entry.leaf_index));
                self.take(&events, &page.root)
            })?;
            if count < LARGEST_RESULT.into() {
                self.next = self.next.max(self.bound);
                return Ok(());
            }
            let last = last.context("the server gives entries without their leaves")?;
            let start = later(None, last);
            ensure!(
                start != query.start,
                "more than {LARGEST_RESULT} entries that match were received at one moment; narrow the \
                 search, or export them all with --from and --to"
            );
            query.start = start;
        }
    }

    fn take(&mut self, entries: &[LogEvent], root: &Root) -> anyhow::Result<()> {
        if self.with_proofs && !entries.is_empty() {
            self.sink.checkpoint(&root.note)?;
        }
        for entry in entries {
            self.sink.entry(entry)?;
            self.next = entry.leaf_index + 1;
        }
        self.entries += entries.len() as u64;
        self.bar.inc(entries.len() as u64);
        Ok(())
    }
}

/// A time in the server's words. What the user asked for stays if it cannot be compared: the server
/// then gives more entries than are wanted, which are passed over.
fn later(asked: Option<String>, micros: u64) -> Option<String> {
    if asked.is_some() {
        return asked;
    }
    let time = jiff::Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()?;
    Some(format!("{time:.6}"))
}
