//! The leaf: the 49 bytes that the tree hashes for one entry.

use sha2::{Digest, Sha256};

use crate::Hash;

/// The leaf format that this verifier knows.
const VERSION: u8 = 1;
/// Bytes of a leaf: version, envelope hash, index, received time.
pub const LEAF_LENGTH: usize = 1 + 32 + 8 + 8;

/// What the tree holds of one entry. The envelope is bound by its hash only, so that it can be erased
/// while the tree stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 of the envelope's bytes.
    pub envelope_hash: Hash,
    /// Number of the entry, from 0.
    pub index: u64,
    /// When the ledger took the entry, microseconds since the Unix epoch.
    pub received_at: u64,
}

impl Leaf {
    /// Reads `version || envelope hash || index || received at`, numbers big-endian.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let bytes: &[u8; LEAF_LENGTH] = bytes.try_into().map_err(|_| "a leaf has 49 bytes")?;
        let (version, rest) = bytes.split_at(1);
        let (envelope_hash, rest) = rest.split_at(32);
        let (index, received_at) = rest.split_at(8);
        if version != [VERSION] {
            return Err("a leaf version that is not known");
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(envelope_hash);
        Ok(Self {
            envelope_hash: hash,
            index: number(index),
            received_at: number(received_at),
        })
    }

    /// Whether this is the envelope that the leaf was made of.
    #[must_use]
    pub fn is_of(&self, envelope: &[u8]) -> bool {
        self.envelope_hash == Sha256::digest(envelope).as_slice()
    }
}

fn number(bytes: &[u8]) -> u64 {
    let push = |number, byte: &u8| number << 8 | u64::from(*byte);
    bytes.iter().fold(0, push)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_field_is_where_the_format_says() {
        let mut bytes = vec![VERSION];
        bytes.extend(Sha256::digest("envelope"));
        bytes.extend(0x0102_u64.to_be_bytes());
        bytes.extend(0x0304_u64.to_be_bytes());
        let leaf = Leaf::read(&bytes).unwrap();
        assert_eq!((leaf.index, leaf.received_at), (0x0102, 0x0304));
        assert!(leaf.is_of(b"envelope") && !leaf.is_of(b"Envelope"));
        bytes[0] = 2;
        assert!(Leaf::read(&bytes).is_err());
        assert!(Leaf::read(&bytes[1..]).is_err());
    }
}
