//! The ledger's hash tree: leaves, tiles, proofs and signed tree heads. No input or output.
//!
//! The tree is that of RFC 6962, cut into the tiles of C2SP tlog-tiles, its heads are C2SP
//! tlog-checkpoints in C2SP signed notes. A writer pushes leaf hashes into an [`Edge`] and stores
//! the tiles that it completes; a reader hands the stored tiles and the edge to [`inclusion`] and
//! [`consistency`] through [`TileSource`].
//!
//! | module | holds |
//! |---|---|
//! | `leaf` | the record that the tree hashes for one entry |
//! | `edge` | the right edge of a growing tree: all that its writer has to remember |
//! | `path` | where a tile is, relative to the log's folder or URL |
//! | `bundle` | bundles of entries: what the leaves of a level 0 tile were hashed from |
//! | `proof` | inclusion and consistency proofs, computed from tiles |
//! | `checkpoint` | signed tree heads |
//! | `receipt` | COSE receipts of inclusion, RFC 9942 |
//!
//! **Invariants.** A tile that is complete never changes. A leaf or a bundle that is read is written again
//! byte for byte. A proof from wrong tiles does not verify. `crates/log/verifier`, written apart from this
//! crate, opens the same checkpoints and accepts the same proofs (`fuzz/src/tree.rs`).
//!
//! ```
//! use fieldledger_tlog::{Edge, Leaf};
//!
//! let mut edge = Edge::default();
//! let leaf = Leaf { envelope_hash: [7; 32], index: 0, received_at: 1_767_312_000_000_000 };
//! assert!(edge.push(leaf.hash()).is_empty(), "a tile is complete with its 256th hash");
//! assert_eq!(edge.root(), leaf.hash(), "a tree of one leaf has that leaf's hash as its root");
//! ```
#![forbid(unsafe_code)]

mod bundle;
mod checkpoint;
mod edge;
mod leaf;
mod path;
mod proof;
mod receipt;

pub use bundle::{BundleError, decode_bundle, encode_bundle};
pub use checkpoint::{CheckpointError, LogKey, TreeHead, open_checkpoint, sign_checkpoint};
pub use edge::{Edge, EdgeError, FullTile, tile_root};
pub use leaf::{LEAF_BYTES, Leaf, LeafError, leaf_hash};
pub use path::{entries_path, tile_path};
pub use proof::{
    ProofError, TileSource, consistency, inclusion, root_at, verify_consistency, verify_inclusion,
};
pub use receipt::{ReceiptError, receipt};
pub use tlog_tiles::{EMPTY_HASH, Hash};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: usize = 256;

/// Bytes of a full tile of hashes.
pub const TILE_BYTES: usize = TILE_WIDTH * HASH_BYTES;

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// Leaves a tree can have; positions within it then fit 63 bits.
pub const MAX_TREE_SIZE: u64 = 1 << 62;
