//! Entries of the log, as the server gives them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_api::answers::{EntriesResponse, LogEvent};
use fieldledger_verifier::leaf::Leaf;
use serde_json::value::RawValue;

use crate::client::{Client, ClientError};
use crate::exit::LogError;

/// Entries that one request asks for.
pub(crate) const PAGE: u32 = 1_000;

/// The bytes that the tree's leaf hashes; none where the server gave something else.
pub(crate) fn leaf_bytes(entry: &LogEvent) -> Vec<u8> {
    let leaf = entry.leaf.as_deref().unwrap_or_default();
    BASE64_STANDARD.decode(leaf).unwrap_or_default()
}

/// When the ledger took the entry, microseconds since the Unix epoch, as its leaf says; none where
/// that cannot be read.
pub(crate) fn received_at(entry: &LogEvent) -> Option<u64> {
    Leaf::read(&leaf_bytes(entry))
        .ok()
        .map(|leaf| leaf.received_at)
}

/// The envelope's exact text; none where it was removed.
pub(crate) fn text(entry: &LogEvent) -> Option<&str> {
    entry.envelope.as_deref().map(RawValue::get)
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
) -> Result<EntriesResponse, ClientError> {
    let path = format!("/api/entries?from={first}&limit={limit}&proofs={with_proofs}");
    let mut range: EntriesResponse = client.get(&path)?;
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
) -> anyhow::Result<EntriesResponse> {
    let range = read(client, first, limit, with_proofs)?;
    for (expected, entry) in (first..).zip(&range.entries) {
        let problem = || {
            let (url, index) = (client.url(), entry.leaf_index);
            format!("{url} gave entry {index} where entry {expected} was asked for")
        };
        anyhow::ensure!(entry.leaf_index == expected, LogError(problem()));
    }
    let is_cut_short = range.entries.is_empty() && first < range.root.size;
    let problem = || {
        let (url, size) = (client.url(), range.root.size);
        format!("{url} has {size} entries but gives none from {first} on")
    };
    anyhow::ensure!(!is_cut_short, LogError(problem()));
    Ok(range)
}
