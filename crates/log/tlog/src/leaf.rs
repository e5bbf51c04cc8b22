//! The record that the tree hashes for one entry.

use tlog_tiles::{Hash, record_hash};

/// Bytes of an encoded [`Leaf`].
pub const LEAF_BYTES: usize = 1 + 32 + 8 + 8;

const VERSION: u8 = 0x01;

/// What the tree commits to for one entry. The envelope itself is not part of it, so that it can
/// be erased while the tree stays valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 of the envelope's bytes.
    pub envelope_hash: [u8; 32],
    /// Position in the log.
    pub index: u64,
    /// When the ledger received the entry, microseconds since the Unix epoch.
    pub received_at: u64,
}

/// Why bytes are no leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Too few or too many bytes.
    #[error("a leaf has {LEAF_BYTES} bytes, not {0}")]
    Length(usize),
    /// A version this code does not know.
    #[error("leaf version {0:#04x} is not {VERSION:#04x}")]
    Version(u8),
}

/// RFC 6962 leaf hash of any bytes: `SHA-256(0x00 || bytes)`.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    record_hash(bytes)
}

impl Leaf {
    /// `version || envelope hash || index || received at`, numbers big-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        bytes[0] = VERSION;
        bytes[1..33].copy_from_slice(&self.envelope_hash);
        bytes[33..41].copy_from_slice(&self.index.to_be_bytes());
        bytes[41..49].copy_from_slice(&self.received_at.to_be_bytes());
        bytes
    }

    /// Reads what [`Leaf::encode`] wrote.
    ///
    /// # Errors
    ///
    /// When `bytes` has another length or version.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        let bytes: &[u8; LEAF_BYTES] = bytes
            .try_into()
            .map_err(|_| LeafError::Length(bytes.len()))?;
        if bytes[0] != VERSION {
            return Err(LeafError::Version(bytes[0]));
        }
        let mut envelope_hash = [0; 32];
        let mut index = [0; 8];
        let mut received_at = [0; 8];
        envelope_hash.copy_from_slice(&bytes[1..33]);
        index.copy_from_slice(&bytes[33..41]);
        received_at.copy_from_slice(&bytes[41..49]);
        Ok(Self {
            envelope_hash,
            index: u64::from_be_bytes(index),
            received_at: u64::from_be_bytes(received_at),
        })
    }

    /// RFC 6962 leaf hash: `SHA-256(0x00 || leaf)`.
    #[must_use]
    pub fn hash(&self) -> Hash {
        record_hash(&self.encode())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    #[test]
    fn the_encoding_is_the_documented_one() {
        let leaf = Leaf {
            envelope_hash: [0xab; 32],
            index: 0x0102,
            received_at: 0x0304,
        };
        let expected = format!("01{}{:016x}{:016x}", "ab".repeat(32), 0x0102, 0x0304);
        assert_eq!(hex::encode(leaf.encode()), expected);
    }

    #[test]
    fn other_lengths_and_versions_are_refused() {
        assert_eq!(Leaf::decode(&[1; 48]), Err(LeafError::Length(48)));
        assert_eq!(Leaf::decode(&[1; 50]), Err(LeafError::Length(50)));
        assert_eq!(Leaf::decode(&[2; 49]), Err(LeafError::Version(2)));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn decode_undoes_encode(envelope_hash: [u8; 32], index: u64, received_at: u64) {
            let leaf = Leaf { envelope_hash, index, received_at };
            prop_assert_eq!(Leaf::decode(&leaf.encode()).unwrap(), leaf);
        }
    }
}
