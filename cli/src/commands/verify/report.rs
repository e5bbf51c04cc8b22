//! What a check found.

use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_verifier::log::Problem;
use fieldledger_verifier::note::TreeHead;
use serde::Serialize;

use super::witnesses::Witnesses;
use crate::output::{bad, chain, good, plain};

/// Problems that are listed; the rest are counted.
const LISTED: usize = 100;

/// The result of a check.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// All that was checked is what was signed.
    pub(super) holds: bool,
    /// `proof`, `export`, `selection` or `live log`.
    pub(super) what: &'static str,
    /// File or URL.
    pub(super) source: String,
    /// Name of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<String>,
    /// Entries in the newest signed tree that was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tree_size: Option<u64>,
    /// Its root, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) root_hash: Option<String>,
    /// First entry that was checked now; those before it had been checked earlier.
    pub(super) first: u64,
    /// Entries that were checked.
    pub(super) entries: u64,
    /// Those of them that have no envelope any more: their hashes were checked.
    pub(super) without_envelope: u64,
    /// Tiles and bundles that were compared with the entries; none where the server has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tiles: Option<u64>,
    /// The server has no tiles that could be compared.
    #[serde(skip)]
    pub(super) lacks_tiles: bool,
    /// Payloads that were fetched by themselves, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payloads: Option<u64>,
    /// Readings that are signed by a key which the log had approved for their sensor; none where
    /// the check did not begin with the log's first entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signed_readings: Option<u64>,
    /// Fingerprint of the key that a single reading is signed by. Whether it is the sensor's is for
    /// whoever knows the device to say, or for the whole log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device_key: Option<String>,
    /// Who has cosigned the tree head, where a policy was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) witnesses: Option<Witnesses>,
    /// How many problems there are.
    pub(super) problem_count: u64,
    /// The first of them.
    pub(super) problems: Vec<Found>,
    /// Two signed tree heads that cannot both be true: whoever signed both has two histories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) evidence: Vec<String>,
}

/// A problem.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    /// The entry it is in, if it is in one.
    index: Option<u64>,
    /// What is wrong.
    problem: String,
}

impl Report {
    pub(super) fn new(what: &'static str, source: String) -> Self {
        Self {
            what,
            source,
            ..Self::default()
        }
    }

    /// Notes a problem.
    pub(super) fn add(&mut self, index: Option<u64>, problem: String) {
        self.problem_count += 1;
        if self.problems.len() < LISTED {
            self.problems.push(Found { index, problem });
        }
    }

    /// Notes an error with its causes.
    pub(super) fn add_error(&mut self, index: Option<u64>, error: &(dyn Error + 'static)) {
        self.add(index, chain(error).join(": "));
    }

    /// Notes what was found in a log.
    pub(super) fn add_all(&mut self, problems: &mut Vec<Problem>) {
        for problem in problems.drain(..) {
            self.add(problem.index(), problem.to_string());
        }
    }

    /// Names the signed tree that was checked.
    pub(super) fn name(&mut self, head: &TreeHead) {
        self.origin = Some(head.origin.clone());
        self.tree_size = Some(head.size);
        self.root_hash = Some(BASE64_STANDARD.encode(head.root));
    }

    /// The verdict, when all was checked.
    pub(super) fn finish(mut self) -> Self {
        self.holds = self.problem_count == 0;
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.as_deref().map(plain).unwrap_or_default();
        let source = plain(&self.source);
        if self.holds {
            let (entries, first) = (self.entries, self.first);
            let checked = match (self.what, entries) {
                ("live log", 0) => "nothing new since the last check".to_owned(),
                (_, 1) => format!("entry {first} is what was signed"),
                ("selection", _) => format!("each of {entries} entries is what was signed"),
                _ => format!(
                    "entries {first} to {} are what was signed",
                    first + entries - 1
                ),
            };
            writeln!(formatter, "{}  {origin}: {checked}", good("ok"))?;
        } else {
            let count = self.problem_count;
            let plural = if count == 1 { "problem" } else { "problems" };
            writeln!(formatter, "{}  {source}: {count} {plural}", bad("FAILED"))?;
            for found in &self.problems {
                writeln!(formatter, "  {}", plain(&found.problem))?;
            }
            let more = count - self.problems.len() as u64;
            if more > 0 {
                writeln!(formatter, "  and {more} more")?;
            }
            for note in &self.evidence {
                writeln!(formatter, "keep this as evidence:\n{}", plain_lines(note))?;
            }
        }
        if self.without_envelope > 0 {
            let count = self.without_envelope;
            writeln!(
                formatter,
                "{count} of them without an envelope (erased or given up): their hashes were checked"
            )?;
        }
        if self.lacks_tiles {
            writeln!(
                formatter,
                "this server has no /log: tiles were not checked, entries were"
            )?;
        }
        match self.signed_readings {
            None | Some(0) => {}
            Some(1) => writeln!(formatter, "one of them is a reading signed by its device")?,
            Some(count) => writeln!(
                formatter,
                "{count} of them are readings signed by their devices"
            )?,
        }
        if let Some(key) = &self.device_key {
            writeln!(formatter, "read and signed by the device with key {key}")?;
        }
        if let (Some(size), Some(root)) = (self.tree_size, &self.root_hash) {
            writeln!(
                formatter,
                "signed tree: {size} entries, root {}",
                plain(root)
            )?;
        }
        if let Some(witnesses) = &self.witnesses {
            formatter.write_str(&witnesses.text())?;
        }
        Ok(())
    }
}

fn plain_lines(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("  {}", plain(line)))
        .collect();
    lines.join("\n")
}
