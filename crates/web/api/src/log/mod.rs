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
