//! The chain from an entry's text to the signed tree head that covers it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Hash,
    note::{self, LogKey, NoteError, TreeHead},
    tree::{self, TreeError},
};

/// The leaf format that this verifier knows.
const LEAF_VERSION: u8 = 1;
/// Bytes of a leaf: version, envelope hash, index, received time.
const LEAF_LENGTH: usize = 1 + 32 + 8 + 8;

/// Why an entry is not proved.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    /// A field of the proof cannot be read.
    #[error("proof field {field}: {problem}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The leaf belongs to another entry.
    #[error("the leaf is of entry {found}, not of entry {expected}")]
    Index {
        /// What the leaf says.
        found: u64,
        /// What the proof says.
        expected: u64,
    },
    /// The envelope's text is not the one the leaf was made of.
    #[error("the envelope does not hash to what the leaf of entry {0} holds")]
    Envelope(u64),
    /// The tree head is not to be believed.
    #[error("the checkpoint is not to be believed")]
    Note(#[from] NoteError),
    /// The leaf is not in the tree.
    #[error("entry {index} is not proved by the audit path")]
    Tree {
        /// The entry.
        index: u64,
        /// What does not hold.
        #[source]
        source: TreeError,
    },
}

/// An entry with its proof, as `GET /api/proof/{entry}` gives it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryProof {
    /// Number of the entry, from 0.
    pub index: u64,
    /// The envelope's exact text; none where the log says that it was removed.
    pub envelope: Option<String>,
    /// The leaf, base64.
    pub leaf: String,
    /// The audit path, leaf to root, base64.
    pub inclusion_proof: Vec<String>,
    /// The signed tree head.
    pub checkpoint: String,
}

/// What has been proved of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The tree head that covers it.
    pub head: TreeHead,
    /// When the ledger took it, microseconds since the Unix epoch.
    pub received_at: u64,
    /// Whether there was an envelope to check. Without one it is proved that the log has an entry
    /// with this leaf, but not what the entry said.
    pub envelope_checked: bool,
}

impl EntryProof {
    /// Checks the whole chain: envelope, leaf, audit path, signed tree head.
    ///
    /// # Errors
    /// [`EntryError`] names the first link that does not hold.
    pub fn verify(&self, key: &LogKey) -> Result<Verified, EntryError> {
        let head = note::open(&self.checkpoint, key)?;
        let leaf = decode("leaf", &self.leaf)?;
        let received_at = self.check_leaf(&leaf)?;
        let path = self
            .inclusion_proof
            .iter()
            .map(|hash| hash_of("inclusion_proof", hash))
            .collect::<Result<Vec<Hash>, _>>()?;
        tree::verify_inclusion(
            &tree::leaf_hash(&leaf),
            self.index,
            head.size,
            &path,
            &head.root,
        )
        .map_err(|source| EntryError::Tree {
            index: self.index,
            source,
        })?;
        Ok(Verified {
            head,
            received_at,
            envelope_checked: self.envelope.is_some(),
        })
    }

    /// Checks that the leaf is this entry's, and gives the time it holds.
    fn check_leaf(&self, leaf: &[u8]) -> Result<u64, EntryError> {
        let wrong = |problem| EntryError::Field {
            field: "leaf",
            problem,
        };
        let leaf: &[u8; LEAF_LENGTH] = leaf.try_into().map_err(|_| wrong("a leaf has 49 bytes"))?;
        let (version, rest) = leaf.split_at(1);
        let (envelope_hash, rest) = rest.split_at(32);
        let (index, received_at) = rest.split_at(8);
        if version != [LEAF_VERSION] {
            return Err(wrong("a leaf version that is not known"));
        }
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        if number(index) != self.index {
            return Err(EntryError::Index {
                found: number(index),
                expected: self.index,
            });
        }
        if let Some(envelope) = &self.envelope
            && envelope_hash != Sha256::digest(envelope).as_slice()
        {
            return Err(EntryError::Envelope(self.index));
        }
        Ok(number(received_at))
    }
}

fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, EntryError> {
    STANDARD.decode(text).map_err(|_| EntryError::Field {
        field,
        problem: "no base64",
    })
}

/// Reads a hash in base64.
///
/// # Errors
/// [`EntryError::Field`] where it is no base64 of 32 bytes.
pub fn hash_of(field: &'static str, text: &str) -> Result<Hash, EntryError> {
    decode(field, text)?
        .try_into()
        .map_err(|_| EntryError::Field {
            field,
            problem: "a hash has 32 bytes",
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    /// Entry 1 of a log of two, made by hand.
    fn proof() -> (EntryProof, LogKey) {
        let envelope = r#"{"event":{"message":"valve opened"}}"#;
        let mut leaf = vec![LEAF_VERSION];
        leaf.extend(Sha256::digest(envelope));
        leaf.extend(1_u64.to_be_bytes());
        leaf.extend(1_700_000_000_000_000_u64.to_be_bytes());
        let sibling = tree::leaf_hash(b"entry 0");
        let root = tree::node_hash(&sibling, &tree::leaf_hash(&leaf));

        let signing = SigningKey::from_bytes(&[4; 32]);
        let mut typed = vec![1];
        typed.extend(signing.verifying_key().as_bytes());
        let id = &Sha256::new()
            .chain_update("plant\n")
            .chain_update(&typed)
            .finalize()[..4];
        let id_text: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = LogKey::parse(&format!("plant+{id_text}+{}", STANDARD.encode(&typed))).unwrap();

        let text = format!("plant\n2\n{}\n", STANDARD.encode(root));
        let value = [id, &signing.sign(text.as_bytes()).to_bytes()].concat();
        let proof = EntryProof {
            index: 1,
            envelope: Some(envelope.to_owned()),
            leaf: STANDARD.encode(leaf),
            inclusion_proof: vec![STANDARD.encode(sibling)],
            checkpoint: format!("{text}\n\u{2014} plant {}\n", STANDARD.encode(value)),
        };
        (proof, key)
    }

    #[test]
    fn an_honest_entry_is_proved() {
        let (proof, key) = proof();
        let verified = proof.verify(&key).unwrap();
        assert_eq!(
            (verified.head.size, verified.received_at),
            (2, 1_700_000_000_000_000)
        );
        assert!(verified.envelope_checked);
    }

    #[test]
    fn an_entry_without_its_envelope_is_still_in_the_tree() {
        let (mut erased, key) = proof();
        erased.envelope = None;
        assert!(!erased.verify(&key).unwrap().envelope_checked);
        erased.leaf = STANDARD.encode([LEAF_VERSION; LEAF_LENGTH]);
        assert!(erased.verify(&key).is_err());
    }

    #[test]
    fn every_kind_of_tampering_is_named() {
        let (honest, key) = proof();

        let mut edited = honest.clone();
        edited.envelope = honest
            .envelope
            .as_ref()
            .map(|envelope| envelope.replace("opened", "closed"));
        assert_eq!(edited.verify(&key), Err(EntryError::Envelope(1)));

        let mut moved = honest.clone();
        moved.index = 0;
        assert_eq!(
            moved.verify(&key),
            Err(EntryError::Index {
                found: 1,
                expected: 0
            })
        );

        let mut rerouted = honest.clone();
        rerouted.inclusion_proof = vec![STANDARD.encode([0; 32])];
        assert!(matches!(
            rerouted.verify(&key),
            Err(EntryError::Tree { index: 1, .. })
        ));

        let mut regrown = honest.clone();
        regrown.checkpoint = regrown.checkpoint.replacen("plant\n2\n", "plant\n3\n", 1);
        assert!(matches!(
            regrown.verify(&key),
            Err(EntryError::Note(NoteError::BadSignature(_)))
        ));

        let mut cut = honest;
        cut.leaf.truncate(8);
        assert!(matches!(
            cut.verify(&key),
            Err(EntryError::Field { field: "leaf", .. })
        ));
    }
}
