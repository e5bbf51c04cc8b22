//! What is answered about Pangea's trees. Hashes are in lower-case hexadecimal, proofs in Pangea's
//! notation, times in microseconds since the Unix epoch.

use fieldledger_audit::log::Removal;

/// A root of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PangeaRoot {
    /// The log's origin.
    pub tree_name: String,
    /// Leaves of the tree: published roots in the cold tree, entries in the hot one.
    pub size: u64,
    /// The root.
    pub root_hash: String,
    /// When it was published; none for the hot tree's.
    pub published_at: Option<u64>,
    /// Proof that it continues the cold tree of one leaf less; empty for the first.
    pub consistency_proof: Vec<String>,
}

/// An entry of the log as an event of Pangea's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PangeaEvent {
    /// Position in the log.
    pub index: u64,
    /// Canonical JSON; empty where it was removed.
    pub envelope: String,
    /// SHA-256 of the envelope.
    pub hash: String,
    /// Where the envelope went, if it is gone.
    pub removed: Option<Removal>,
    /// The leaf of the cold tree that covers it; none where it is not published.
    pub leaf_index: Option<u64>,
    /// Its path to the answer's root, or where it is not published to that of the hot tree; none
    /// unless asked for.
    pub membership_proof: Option<String>,
}

/// A page of a search's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PangeaPage {
    /// Names the result.
    pub id: String,
    /// When the id stops working.
    pub expires_at: u64,
    /// Events in the whole result.
    pub count: u64,
    /// Those of the page.
    pub events: Vec<PangeaEvent>,
    /// The published root that they are proven against; none where nothing was published, or no
    /// proofs were asked for, as with `unpublished_root`.
    pub root: Option<PangeaRoot>,
    /// The root of what is not published; none where everything is.
    pub unpublished_root: Option<PangeaRoot>,
}

/// An event that was just logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The event, with its path to `unpublished_root`.
    pub event: PangeaEvent,
    /// The root of its hot tree.
    pub unpublished_root: String,
    /// Proof that this hot tree continues the one whose root the client knows; none where that is
    /// none of this tree's.
    pub consistency_proof: Option<Vec<String>>,
}
