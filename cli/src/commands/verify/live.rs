//! A log that is served, from the start or since the last check.

use std::path::Path;

use fieldledger_verifier::log::LogCheck;
use fieldledger_verifier::note::{NoteError, TreeHead};
use fieldledger_verifier::tiles::{self, TILE_WIDTH, Tile};
use serde::Deserialize;

use super::report::Report;
use super::state::State;
use super::trust::Trust;
use crate::client::{Client, ClientError, LONGEST_NOTE};
use crate::context::Context;
use crate::entries::{self, PAGE};
use crate::exit::InputError;

/// Longest tile or bundle that is read, bytes; more than any honest one has.
const LONGEST_TILE: u64 = 16 << 20;

/// How much of a live log is checked.
pub(super) struct Extent<'a> {
    /// Where it is remembered what was checked.
    pub(super) state_path: Option<&'a Path>,
    /// From the first entry on, whatever the state says.
    pub(super) from_start: bool,
    /// Each payload is fetched by itself, too.
    pub(super) payloads: bool,
}

/// Checks the log that `client` asks.
///
/// # Errors
///
/// Where the log cannot be read; what is wrong with it is in the report.
pub(super) fn verify(
    client: Client,
    extent: &Extent,
    trust: &Trust,
    context: &Context,
) -> anyhow::Result<Report> {
    let state_path = extent.state_path;
    let (note, has_tiles) = newest(&client)?;
    if trust.keys.is_empty() {
        return Err(no_key(&client).into());
    }
    let mut report = Report::new("live log", client.url().to_owned());
    report.lacks_tiles = !has_tiles;
    let state = match state_path {
        Some(path) => State::read(path, &trust.keys)?,
        None => None,
    };
    let head = match trust.open(&note) {
        Ok((head, _)) => head,
        Err(error) => {
            report.add(None, foreign(&error, &client));
            return Ok(report.finish());
        }
    };
    report.name(&head);
    trust.judge(&note, None, &mut report);
    let mut live = Live {
        client: client.patient(context.output),
        context,
        has_tiles,
        payloads: extent.payloads,
        head,
        report,
    };
    if let Some(state) = &state
        && !live.continues(state, &note)
    {
        return Ok(live.report.finish());
    }
    let start = match &state {
        Some(state) if !extent.from_start => LogCheck::after(state.edge.clone(), state.received_at),
        _ => LogCheck::default(),
    };
    let check = live.check(start)?;
    if let (Err(_), Some(state)) = (check.matches(&live.head), &state) {
        live.blame(state, &note)?;
    }
    let report = live.report.finish();
    if let (true, Some(path)) = (report.holds, state_path) {
        let state = State {
            note,
            head: live.head,
            edge: check.edge().clone(),
            received_at: check.received_at(),
        };
        state.write(path)?;
    }
    Ok(report)
}

/// A live log that is being checked.
struct Live<'a> {
    client: Client,
    context: &'a Context,
    has_tiles: bool,
    payloads: bool,
    head: TreeHead,
    report: Report,
}

impl Live<'_> {
    /// Whether a tree as large as this one can continue the one that was checked before.
    fn continues(&mut self, state: &State, note: &str) -> bool {
        let (old, new) = (&state.head, &self.head);
        let problem = if old.origin != new.origin {
            format!(
                "the state is of log {:?}, and {:?} is served",
                old.origin, new.origin
            )
        } else if new.size < old.size {
            format!(
                "the log was rolled back: it has {} entries, and {} had been signed and checked",
                new.size, old.size
            )
        } else if new.size == old.size && new.root != old.root {
            format!(
                "the log was forked: the {} entries are others than were signed and checked before",
                new.size
            )
        } else {
            return true;
        };
        self.report.add(None, problem);
        self.report.evidence = vec![state.note.clone(), note.to_owned()];
        false
    }

    /// Reads the entries that `check` has not seen, and their tiles.
    fn check(&mut self, mut check: LogCheck) -> anyhow::Result<LogCheck> {
        let first = check.edge().size();
        let size = self.head.size;
        self.report.first = first;
        let bar = self
            .context
            .output
            .progress(Some(size.saturating_sub(first)), "verifying");
        let mut problems = Vec::new();
        let mut leaves = Vec::new();
        let mut tiles = 0;
        while check.edge().size() < size {
            let next = check.edge().size();
            let limit = (size - next).min(PAGE.into()) as u32;
            let range = entries::read(&self.client, next, limit, false)?;
            if range.entries.is_empty() {
                break;
            }
            for entry in &range.entries {
                let leaf = entries::leaf_bytes(entry);
                let envelope = entries::text(entry).map(str::as_bytes);
                let index = check.edge().size();
                let full = check.add(&leaf, envelope, &mut problems);
                if self.payloads {
                    self.compare_payload(index, envelope)?;
                }
                leaves.push(leaf);
                for tile in full {
                    tiles += self.compare(&tile, &leaves)?;
                    if tile.level == 0 {
                        leaves.clear();
                    }
                }
                self.report.add_all(&mut problems);
            }
            bar.inc(range.entries.len() as u64);
        }
        for tile in check.edge().partial_tiles() {
            tiles += self.compare(&tile, &leaves)?;
        }
        bar.finish_and_clear();
        self.report.entries = check.edge().size() - first;
        self.report.tiles = self.has_tiles.then_some(tiles);
        self.report.payloads = self.payloads.then_some(self.report.entries);
        if let Err(problem) = check.matches(&self.head) {
            problems.push(problem);
        }
        self.report.without_envelope = check.missing(&mut problems);
        self.report.signed_readings = check.signed();
        self.report.add_all(&mut problems);
        Ok(check)
    }

    /// Compares a tile with the one that is served, and the entries of one of level 0 with the
    /// bundle. How many were compared.
    fn compare(&mut self, tile: &Tile, leaves: &[Vec<u8>]) -> anyhow::Result<u64> {
        if !self.has_tiles {
            return Ok(0);
        }
        let path = tile.path();
        match self.served(&path)? {
            Some(served) if served == tile.hashes.concat() => {}
            Some(_) => self.report.add(
                None,
                format!("/log/{path} is not the tile of these entries"),
            ),
            None => self.report.add(None, format!("/log/{path} is not served")),
        }
        // A check that goes on in the midst of a bundle has not seen all of its leaves.
        if tile.level > 0 || leaves.len() != tile.hashes.len() {
            return Ok(1);
        }
        let path = tiles::bundle_path(tile.number, tile.hashes.len());
        let first = tile.number * TILE_WIDTH as u64;
        match self.served(&path)? {
            Some(served) => match tiles::split_bundle(&served) {
                Ok(entries) if entries == leaves => {}
                Ok(entries) => {
                    let same = entries
                        .iter()
                        .zip(leaves)
                        .take_while(|(entry, leaf)| entry == leaf);
                    let index = first + same.count() as u64;
                    let problem = format!("entry {index}: /log/{path} holds another leaf");
                    self.report.add(Some(index), problem);
                }
                Err(position) => {
                    let index = first + position as u64;
                    let problem = format!("entry {index}: /log/{path} ends within its leaf");
                    self.report.add(Some(index), problem);
                }
            },
            None => self.report.add(None, format!("/log/{path} is not served")),
        }
        Ok(2)
    }

    /// Compares the payload at its own URL with the envelope that was checked.
    fn compare_payload(&mut self, index: u64, envelope: Option<&[u8]>) -> anyhow::Result<()> {
        let path = format!("payload/{index}");
        let problem = match (self.served(&path)?, envelope) {
            (Some(served), Some(envelope)) if served == envelope => return Ok(()),
            (None, None) => return Ok(()),
            (Some(_), Some(_)) => "is not the envelope that was signed",
            (Some(_), None) => "is served, although the log has it removed",
            (None, Some(_)) => "is not served",
        };
        let problem = format!("entry {index}: /log/{path} {problem}");
        self.report.add(Some(index), problem);
        Ok(())
    }

    fn served(&self, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match self.client.get_bytes(&format!("/log/{path}"), LONGEST_TILE) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_there() => Ok(None),
            Err(error @ ClientError::TooLong { .. }) => {
                self.context.output.note(&error.to_string());
                Ok(Some(Vec::new()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The entries since the last check do not lead to the signed tree: says whether all entries do,
    /// in which case those before were replaced.
    fn blame(&mut self, state: &State, note: &str) -> anyhow::Result<()> {
        let mut whole = Live {
            client: self.client.clone(),
            context: self.context,
            has_tiles: false,
            payloads: false,
            head: self.head.clone(),
            report: Report::default(),
        };
        let check = whole.check(LogCheck::default())?;
        if check.matches(&self.head).is_ok() {
            self.report.add(
                None,
                format!(
                    "the log was forked: it does not begin with the {} entries that were signed and \
                     checked before",
                    state.head.size
                ),
            );
            self.report.evidence = vec![state.note.clone(), note.to_owned()];
        }
        Ok(())
    }
}

/// The newest signed tree head, and whether the log is served as tiles.
fn newest(client: &Client) -> Result<(String, bool), ClientError> {
    match client.get_bytes("/log/checkpoint", LONGEST_NOTE) {
        // What is not text has no signature either.
        Ok(note) => Ok((String::from_utf8_lossy(&note).into_owned(), true)),
        Err(error) if error.is_not_found() => {
            let claim: Claim = client.get("/api/checkpoint")?;
            Ok((claim.note, false))
        }
        Err(error) => Err(error),
    }
}

/// What `GET /api/checkpoint` answers.
#[derive(Deserialize)]
struct Claim {
    note: String,
    verifier_key: String,
}

/// What to say where the log is not signed by a key that is trusted.
fn foreign(error: &NoteError, client: &Client) -> String {
    let claim: Result<Claim, _> = client.get("/api/checkpoint");
    let claim =
        claim.map(|claim| format!("; the server says that its key is {}", claim.verifier_key));
    format!(
        "the log is not signed by the key that was given: {error}{}. Either that is the key of another \
         log, or this is not the log that you mean: ask whoever runs it",
        claim.unwrap_or_default()
    )
}

/// What to say where no key is given: what the server claims, for the user to confirm.
fn no_key(client: &Client) -> InputError {
    let claim: Result<Claim, _> = client.get("/api/checkpoint");
    let claim = claim.map(|claim| format!("; the server says that it is {}", claim.verifier_key));
    InputError(format!(
        "verify needs the log's public key; give it with --key, and get it from whoever runs the log\
         {}",
        claim.unwrap_or_default()
    ))
}
