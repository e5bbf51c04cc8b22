//! Entries of the log, as the server gives them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_verifier::leaf::Leaf;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::client::{Client, ClientError};
use crate::exit::LogError;

/// Entries that one request asks for.
pub(crate) const PAGE: u32 = 1_000;

/// One entry.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    /// Position in the log.
    #[serde(rename = "leaf_index")]
    pub(crate) index: u64,
    /// The envelope's exact text; none where it was removed.
    pub(crate) envelope: Option<Box<RawValue>>,
    /// Where the envelope went.
    pub(crate) removed: Option<Removal>,
    /// What the tree's leaf hashes, base64.
    #[serde(default)]
    pub(crate) leaf: String,
    /// Audit path, base64; where it was asked for.
    pub(crate) inclusion_proof: Option<Vec<String>>,
}

/// Why an entry has no envelope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Removal {
    /// `erased` or `given_up`.
    pub(crate) kind: String,
    /// The entry that says so.
    pub(crate) entry: u64,
    /// Why, in words.
    pub(crate) reason: String,
}

/// The signed tree that covers entries.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Root {
    /// Name of the log.
    pub(crate) tree_name: String,
    /// Entries in the tree.
    pub(crate) size: u64,
    /// The signed note.
    pub(crate) note: String,
}

/// Entries that follow each other.
#[derive(Debug, Deserialize)]
pub(crate) struct Range {
    /// The entries.
    pub(crate) entries: Vec<Entry>,
    /// The newest signed tree.
    pub(crate) root: Root,
}

impl Entry {
    /// The bytes that the tree's leaf hashes; none where the server gave something else.
    pub(crate) fn leaf_bytes(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(&self.leaf).unwrap_or_default()
    }

    /// When the ledger took the entry, microseconds since the Unix epoch, as its leaf says; none
    /// where that cannot be read.
    pub(crate) fn received_at(&self) -> Option<u64> {
        Leaf::read(&self.leaf_bytes())
            .ok()
            .map(|leaf| leaf.received_at)
    }

    /// The envelope's text.
    pub(crate) fn text(&self) -> Option<&str> {
        self.envelope.as_deref().map(RawValue::get)
    }
}

/// The entries from `first` on, at most `limit` of them; none beyond the end of the log.
///
/// # Errors
///
/// [`ClientError`] where there is no such answer. Whether the entries are the right ones is not
/// checked.
pub(crate) fn read(
    client: &Client,
    first: u64,
    limit: u32,
    with_proofs: bool,
) -> Result<Range, ClientError> {
    let path = format!("/api/entries?from={first}&limit={limit}&proofs={with_proofs}");
    let mut range: Range = client.get(&path)?;
    range.entries.truncate(limit as usize);
    Ok(range)
}

/// As [`read`], for entries that are shown or exported: they must be the ones that were asked for.
///
/// # Errors
///
/// As [`read`]; an error too where the server gives others, or none although it has them.
pub(crate) fn read_in_order(
    client: &Client,
    first: u64,
    limit: u32,
    with_proofs: bool,
) -> anyhow::Result<Range> {
    let range = read(client, first, limit, with_proofs)?;
    for (expected, entry) in (first..).zip(&range.entries) {
        let problem = || {
            let (url, index) = (client.url(), entry.index);
            format!("{url} gave entry {index} where entry {expected} was asked for")
        };
        anyhow::ensure!(entry.index == expected, LogError(problem()));
    }
    let is_cut_short = range.entries.is_empty() && first < range.root.size;
    let problem = || {
        let (url, size) = (client.url(), range.root.size);
        format!("{url} has {size} entries but gives none from {first} on")
    };
    anyhow::ensure!(!is_cut_short, LogError(problem()));
    Ok(range)
}
