//! The log as other people's tools read it: C2SP tlog-tiles below `/log`, and what goes with it.
//!
//! ```text
//! checkpoint.rs    GET /log/checkpoint            the published tree head
//! tiles.rs         GET /log/tile/…                hashes and leaves (tile_path.rs reads the path)
//! payload.rs       GET /log/payload/{entry}       an envelope, byte for byte
//! tlog_proof.rs    GET /log/proof/{entry}         C2SP tlog-proof, alone or with its payload
//! receipt.rs       GET /log/receipt/{entry}       COSE receipt, RFC 9942
//! consistency.rs   GET /api/consistency           from any size to any other
//! ```

pub(crate) mod checkpoint;
pub(crate) mod consistency;
pub(crate) mod payload;
pub(crate) mod receipt;
mod tile_path;
pub(crate) mod tiles;
pub(crate) mod tlog_proof;

use crate::backend::{BackendError, Checkpoint, Entry};

/// The calls behind `/log`: they go to the ledger itself, whatever sink the application writes to.
pub trait LogTree {
    /// The newest signed tree head.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the ledger does not answer.
    fn head(&self) -> Result<Checkpoint, BackendError>;

    /// An entry without a proof.
    ///
    /// # Errors
    ///
    /// `NotFound` where the log has no such entry yet.
    fn entry(&self, index: u64) -> Result<Entry, BackendError>;

    /// An entry and its audit path in the published tree; in the newest signed one where that does
    /// not have it yet.
    ///
    /// # Errors
    ///
    /// `NotFound` where the log has no such entry yet.
    fn inclusion(&self, index: u64) -> Result<(Entry, Checkpoint), BackendError>;

    /// RFC 6962 consistency proof between two sizes, hashes in base64; `0 < old <= new`.
    ///
    /// # Errors
    ///
    /// `Invalid` for sizes out of order, `NotFound` for a size the log has not reached.
    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, BackendError>;

    /// The first `width` (1 to 256) hashes of tile `number` at `level`.
    ///
    /// # Errors
    ///
    /// `NotFound` where the newest signed tree has no such tile, or not that wide.
    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, BackendError>;

    /// The first `width` (1 to 256) leaves of bundle `number`, each after its length.
    ///
    /// # Errors
    ///
    /// `NotFound` where the newest signed tree has no such bundle, or not that wide.
    fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, BackendError>;

    /// The COSE receipt of an entry in the newest signed tree.
    ///
    /// # Errors
    ///
    /// `NotFound` where the log has no such entry yet, or no other.
    fn receipt(&self, index: u64) -> Result<Vec<u8>, BackendError>;
}
