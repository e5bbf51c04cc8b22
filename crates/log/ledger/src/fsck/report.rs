//! What a check found.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Serialize;

/// Findings of one kind that are listed at most; the rest is counted.
const LISTED: usize = 100;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// The keys in its key file, that verify what they sign: compare them with those you trust.
    pub verifier_keys: Vec<String>,
    /// The ledger's folder.
    pub folder: PathBuf,
    /// Where its newest signed tree head is kept: a path, or a URL.
    pub anchor: String,
    /// Whether another process had it open; then it was checked as far as it was signed at the start.
    pub in_use: bool,
    /// Entries that were signed; none where no checkpoint could be trusted.
    pub signed_size: Option<u64>,
    /// Entries that were read.
    pub entries: u64,
    /// Segments that were read.
    pub segments: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What was found, in the order of the log.
    pub findings: Vec<Finding>,
    /// Findings beyond the first hundred of their kind.
    pub left_out: u64,
}

impl Report {
    /// The worst that was found; none if nothing was.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Whether nothing need be done.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.worst().is_none_or(|worst| worst == Severity::Note)
    }
}

/// How bad it is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; nothing need be done.
    Note,
    /// A derived file is wrong: [`crate::fsck::repair`] removes it, and it is computed again.
    Repairable,
    /// What was signed is not there, or is not what is there.
    Damage,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The key is missing or unreadable.
    Key,
    /// The checkpoint is missing, is not signed by the log's key, or is older than it was.
    Checkpoint,
    /// A segment is missing.
    SegmentMissing,
    /// A segment is there that does not belong.
    SegmentUnexpected,
    /// A frame's bytes were changed, or belong to another entry.
    Frame,
    /// An envelope is not in canonical form, or lacks what every envelope has.
    Envelope,
    /// An event is there twice.
    Duplicate,
    /// Time goes back from one entry to the next.
    Order,
    /// An entry is not the one that was signed.
    Altered,
    /// The tree over the entries is not the signed one.
    Tree,
    /// Signed entries are missing at the end.
    EntriesMissing,
    /// Entries at the end are not signed yet.
    EntriesUnsigned,
    /// The end is half written.
    HalfWritten,
    /// A tile of hashes is missing or wrong.
    Tile,
    /// The offsets are wrong.
    Offsets,
    /// The snapshot is wrong.
    Snapshot,
    /// The search index is wrong.
    Index,
    /// A copy in the archive is missing or wrong.
    Archive,
}

impl FindingKind {
    /// Whether it is about a file that can be computed from the others.
    #[must_use]
    pub fn is_derived(self) -> bool {
        matches!(
            self,
            Self::Tile | Self::Offsets | Self::Snapshot | Self::Index
        )
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// In which file: a path, or a URL.
    pub file: PathBuf,
    /// At which byte of it, where that is known.
    pub offset: Option<u64>,
    /// Which entry of the log, where it is about one.
    pub entry: Option<u64>,
    /// What is wrong, in words.
    pub problem: String,
    /// What to do about it, in words.
    pub advice: String,
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Entries that were read.
    pub entries: u64,
    /// Entries there are, as far as is known.
    pub of: u64,
}

/// Gathers findings.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    listed: Vec<Finding>,
    of_kind: HashMap<FindingKind, usize>,
    left_out: u64,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        let of_kind = self.of_kind.entry(finding.kind).or_default();
        *of_kind += 1;
        if *of_kind > LISTED {
            self.left_out += 1;
        } else {
            self.listed.push(finding);
        }
    }

    pub(crate) fn into_parts(self) -> (Vec<Finding>, u64) {
        (self.listed, self.left_out)
    }
}
