//! Checks that an entry is in a Fieldledger log, with nothing but the proof and the log's key.
//!
//! This crate shares no code with the ledger: it was written from RFC 6962 / RFC 9162 (hashes,
//! inclusion, consistency) and the C2SP specifications (signed note, checkpoint), so that a
//! mistake in the ledger's tree is not repeated here. It does no input or output of its own.
//!
//! It is meant to be read in one sitting, in this order; what comes later rests on what comes before:
//!
//! 1. [`tree`]: hashes, audit paths, consistency proofs;
//! 2. [`note`]: the signed tree head;
//! 3. [`policy`]: the witnesses that cosigned it, and whether they are enough;
//! 4. [`leaf`]: what the tree holds of an entry;
//! 5. [`entry`]: the chain from an entry's envelope to the signed tree head;
//! 6. [`keys`]: how trust passes from a log's old key to its new one;
//! 7. [`tiles`]: a log as it is served, and the root of a tree that grows;
//! 8. [`device`]: from a device's key to the entry with its reading;
//! 9. [`log`]: a whole log, entry after entry.
//!
//! **Invariants.** Nothing is accepted that is not hashed and signed as the specifications say. What cannot be
//! checked is an error that names the entry, never a success.
#![forbid(unsafe_code)]

pub mod device;
pub mod entry;
pub mod keys;
pub mod leaf;
pub mod log;
pub mod note;
pub mod policy;
pub mod tiles;
pub mod tree;

/// A SHA-256 digest.
pub type Hash = [u8; 32];
