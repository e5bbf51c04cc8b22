//! Checks that an entry is in a Fieldledger log, with nothing but the proof and the log's key.
//!
//! This crate shares no code with the ledger: it was written from RFC 6962 / RFC 9162 (hashes,
//! inclusion, consistency) and the C2SP specifications (signed note, checkpoint), so that a
//! mistake in the ledger's tree is not repeated here. It is meant to be read in one sitting:
//!
//! - [`tree`]: hashes, audit paths, consistency proofs;
//! - [`note`]: the signed tree head;
//! - [`entry`]: an entry's envelope, its leaf and the whole chain from one to the other.
#![forbid(unsafe_code)]

pub mod entry;
pub mod keys;
pub mod note;
pub mod tree;

/// A SHA-256 digest.
pub type Hash = [u8; 32];
