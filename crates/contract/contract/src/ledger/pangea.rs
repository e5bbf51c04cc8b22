//! The log as clients of Pangea's Secure Audit Log know it. Hashes are in lower-case hexadecimal,
//! proofs in Pangea's notation.

use fieldledger_contract_derive::Wire;

use crate::audit::Removal;
use crate::base::WallTime;

/// A root of one of Pangea's trees. Hashes are in hexadecimal, proofs in Pangea's notation.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct PangeaRoot {
    /// Name of the tree.
    pub tree_name: String,
    /// Leaves: published roots in the cold tree, entries in the hot one.
    pub size: u64,
    /// The root.
    pub root_hash: String,
    /// When it was published; none for the hot tree's.
    pub published_at: Option<WallTime>,
    /// Proof that it continues the tree of one leaf less.
    pub consistency_proof: Vec<String>,
}

/// An entry of the log as an event of Pangea's.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
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
    /// Its path to the page's root, or to that of the hot tree where it is not published.
    pub membership_proof: Option<String>,
}

/// A page of a search's result.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct PangeaPage {
    /// Names the result for [`PangeaLog::pangea_page`](crate::calls::PangeaLog::pangea_page).
    pub id: String,
    /// When the result goes.
    pub expires_at: WallTime,
    /// Events in the whole result: those that match, at most `max_results`.
    pub count: u64,
    /// Events that match.
    pub total: u64,
    /// Events of this page.
    pub events: Vec<PangeaEvent>,
    /// The published root that they are proven against.
    pub root: Option<PangeaRoot>,
    /// The root of what is not published.
    pub unpublished_root: Option<PangeaRoot>,
}

/// An event that was just logged.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct PangeaLogged {
    /// The event, with its path to `unpublished_root`.
    pub event: PangeaEvent,
    /// The root of its hot tree.
    pub unpublished_root: String,
    /// Proof that this tree continues the one whose root the client knows.
    pub consistency_proof: Option<Vec<String>>,
}
