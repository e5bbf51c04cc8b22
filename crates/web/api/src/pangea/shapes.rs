//! Events and roots as the SDKs read them. What is absent is left out: some of them take a null for
//! a value.

use std::borrow::Cow;

use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::{PangeaEvent, PangeaPage, PangeaRoot};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::failure::Failure;

/// A root.
#[derive(Serialize)]
pub(super) struct RootShape<'a> {
    tree_name: &'a str,
    size: u64,
    root_hash: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<WallTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency_proof: Option<&'a [String]>,
}

impl<'a> RootShape<'a> {
    pub(super) fn new(root: &'a PangeaRoot, base_url: &str) -> Self {
        let published = root.published_at.is_some();
        let size = root.size;
        Self {
            tree_name: &root.tree_name,
            size,
            root_hash: &root.root_hash,
            url: published.then(|| format!("{base_url}/arweave/{size}/")),
            published_at: root.published_at,
            // The first root continues nothing.
            consistency_proof: (published && size > 1).then_some(&root.consistency_proof),
        }
    }
}

/// An event that was found.
#[derive(Serialize)]
pub(super) struct EventShape<'a> {
    envelope: Cow<'a, RawValue>,
    /// Absent where the envelope was removed: a client would take it for tampered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'a str>,
    published: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership_proof: Option<&'a str>,
}

impl<'a> EventShape<'a> {
    pub(super) fn new(event: &'a PangeaEvent) -> Result<Self, Failure> {
        let there = event.removed.is_none();
        Ok(Self {
            envelope: envelope(event)?,
            hash: there.then_some(event.hash.as_str()),
            published: event.leaf_index.is_some(),
            // Only with its proof, and so on a page with its root: an SDK that is told to verify
            // takes a leaf without a root for tampered with.
            leaf_index: event
                .leaf_index
                .filter(|_| event.membership_proof.is_some()),
            membership_proof: event.membership_proof.as_deref().filter(|_| there),
        })
    }
}

/// The envelope as the log has it, byte for byte; of one that was removed, what the log says of it.
pub(super) fn envelope(event: &PangeaEvent) -> Result<Cow<'_, RawValue>, Failure> {
    #[derive(Serialize)]
    struct Removed {
        event: RemovedEvent,
    }
    #[derive(Serialize)]
    struct RemovedEvent {
        message: String,
    }
    if let Some(removal) = &event.removed {
        let (entry, reason) = (removal.entry, &removal.reason);
        let message = format!("removed, as entry {entry} of the log tells: {reason}");
        let removed = Removed {
            event: RemovedEvent { message },
        };
        let raw = to_raw_value(&removed).map_err(|error| Failure::internal(error.to_string()))?;
        return Ok(Cow::Owned(raw));
    }
    serde_json::from_str::<&RawValue>(&event.envelope)
        .map(Cow::Borrowed)
        .map_err(|error| {
            Failure::internal(format!("entry {} is not an envelope: {error}", event.index))
        })
}

/// A page of a search's result.
#[derive(Serialize)]
pub(super) struct PageShape<'a> {
    id: &'a str,
    expires_at: WallTime,
    count: u64,
    events: Vec<EventShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<RootShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unpublished_root: Option<RootShape<'a>>,
}

impl<'a> PageShape<'a> {
    pub(super) fn new(page: &'a PangeaPage, base_url: &str) -> Result<Self, Failure> {
        let root = |root: &'a Option<PangeaRoot>| {
            let root = root.as_ref();
            root.map(|root| RootShape::new(root, base_url))
        };
        Ok(Self {
            id: &page.id,
            expires_at: page.expires_at,
            count: page.count,
            events: page
                .events
                .iter()
                .map(EventShape::new)
                .collect::<Result<_, _>>()?,
            root: root(&page.root),
            unpublished_root: root(&page.unpublished_root),
        })
    }
}
