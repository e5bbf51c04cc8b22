//! The audit log as an application sees it: `fieldledger:audit/types`.
//!
//! Hashes are SHA-256, in standard base64.

use fieldledger_contract_derive::{Packed, Shape, Wire};

use crate::base::WallTime;

/// Field and the exact values that it may have.
pub type Restriction = Vec<(String, Vec<String>)>;

/// Events, column by column.
///
/// `message` has one item per event. Every other list is either as long as `message`, or empty
/// where no event has that field. An empty string means that the event lacks the field. At most
/// 10,000 events in one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Shape, Packed)]
pub struct EventColumns {
    /// Who numbers these events; see `sequence`. At most 160 bytes.
    pub producer: Vec<String>,
    /// The producer's number for the event, below 2^53. An event with a producer is appended once
    /// for each pair of producer and sequence, however often it is written.
    pub sequence: Vec<u64>,
    /// What happened. Required. At most 32,766 characters, as `new` and `old`.
    pub message: Vec<String>,
    /// Who did it. At most 128 characters, as `source`, `target`, `tenant_id` and `timestamp`.
    pub actor: Vec<String>,
    /// What was done. At most 32 characters, as `status`.
    pub action: Vec<String>,
    /// The value after the action.
    pub new: Vec<String>,
    /// The value before the action.
    pub old: Vec<String>,
    /// From where it was done.
    pub source: Vec<String>,
    /// How it ended.
    pub status: Vec<String>,
    /// What it was done to.
    pub target: Vec<String>,
    /// The tenant it belongs to.
    pub tenant_id: Vec<String>,
    /// The client's own time of the event, RFC 3339.
    pub timestamp: Vec<String>,
    /// The client's signature of the event's canonical JSON, base64. At most 256 bytes, as
    /// `public_key`. Kept as it is; whoever reads the event checks it.
    pub signature: Vec<String>,
    /// The key that verifies the signature, in PEM or inside a JSON object.
    pub public_key: Vec<String>,
}

impl EventColumns {
    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.message.len()
    }

    /// True where there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.message.is_empty()
    }
}

/// What became of the events of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Shape, Packed)]
pub struct Written {
    /// Position in the log of each event, in order; none for an event that was already there: the
    /// log remembers that it has it, but not where. None too where the sink has no positions.
    pub indices: Vec<Option<u64>>,
    /// Events that were new.
    pub appended: u32,
    /// Events that were there already.
    pub duplicates: u32,
    /// Size of a durable, signed tree that covers all of them; 0 where the sink has none to give.
    pub tree_size: u64,
}

/// Direction of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Wire)]
pub enum Order {
    /// Smallest first.
    #[default]
    Ascending,
    /// Greatest first.
    Descending,
}

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
pub struct SearchQuery {
    /// Space-separated case-sensitive terms, `"phrases"`, `field:value`; empty matches all.
    pub query: String,
    /// RFC 3339, or a span before now such as `7d` or `120min`. Compared with `received_at`.
    pub start: Option<String>,
    /// As `start`.
    pub end: Option<String>,
    /// Direction of the result.
    pub order: Order,
    /// A field of the event, or `received_at` (the default, and the order of the log).
    pub order_by: Option<String>,
    /// Entries on the first page, 1 to 1,000.
    pub limit: u32,
    /// Entries in the whole result, 1 to 10,000.
    pub max_results: u32,
    /// Exact values that fields may have.
    pub restriction: Restriction,
    /// With an inclusion proof for each entry.
    pub verbose: bool,
}

/// A signed tree head, C2SP tlog-checkpoint. `note` and the keys are empty where the sink does not
/// sign such checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Checkpoint {
    /// Name of the log.
    #[cfg_attr(feature = "schema", schema(example = "fieldledger/site-a"))]
    pub origin: String,
    /// Entries in the tree.
    pub tree_size: u64,
    /// RFC 6962 root hash, base64.
    pub root_hash: String,
    /// The whole signed note, C2SP tlog-checkpoint.
    pub note: String,
    /// The key that verifies it, C2SP signed-note `name+hash+key`; the newest where two sign.
    pub verifier_key: String,
    /// Every key that signed it, oldest first: two while one takes over from the other.
    pub verifier_keys: Vec<String>,
}

/// How an entry lost its envelope. Its leaf stays, and so does every proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Wire)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RemovalKind {
    /// Somebody had it erased.
    Erased,
    /// It was older than what the log keeps.
    GivenUp,
}

impl RemovalKind {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::GivenUp => "given_up",
        }
    }
}

/// Where an envelope went.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Removal {
    /// How it was lost.
    pub kind: RemovalKind,
    /// The entry of the log that says so.
    pub entry: u64,
    /// Why, in words.
    pub reason: String,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Entry {
    /// Position in the log.
    pub index: u64,
    /// The envelope: canonical JSON `{event, received_at, salt, producer?, sequence?}`; empty where
    /// it was removed.
    pub envelope: String,
    /// SHA-256 of the envelope's bytes, base64.
    pub envelope_hash: String,
    /// What the tree's leaf hashes, base64: version, envelope hash, index, received time.
    pub leaf: String,
    /// Audit path of RFC 6962, base64, in the tree of the checkpoint beside it; empty unless asked
    /// for.
    pub proof: Vec<String>,
    /// Where the envelope went, if it is gone.
    pub removed: Option<Removal>,
}

/// A page of a search's result.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct SearchPage {
    /// Names the result set, for more of the same.
    pub id: String,
    /// When the result set goes; none where the sink does not say.
    pub expires_at: Option<WallTime>,
    /// Entries in the whole result: those that match, at most `max_results`.
    pub count: u64,
    /// Entries that match.
    pub total: u64,
    /// Entries of this page.
    pub entries: Vec<Entry>,
    /// The tree that covers them.
    pub checkpoint: Checkpoint,
    /// Entries the search index has seen; less than the tree's size while it catches up.
    pub indexed_size: u64,
}

/// An entry with its audit path in the tree of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
#[repr(C)]
pub struct InclusionProof {
    /// The entry.
    pub entry: Entry,
    /// The tree.
    pub checkpoint: Checkpoint,
}

/// Entries that follow each other in the log.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct EntryRange {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The newest signed tree head; it covers them.
    pub checkpoint: Checkpoint,
}
