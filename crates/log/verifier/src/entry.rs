//! The chain from an entry's text to the signed tree head that covers it.

use crate::{
    Hash,
    leaf::{LEAF_LENGTH, Leaf},
    note::{self, LogKey, NoteError, TreeHead},
    tree::{self, TreeError},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// How a proof in the text of C2SP tlog-proof begins.
pub const TLOG_PROOF: &str = "c2sp.org/tlog-proof@v1";

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
        let received_at = self.verify_in(&head)?;
        Ok(Verified {
            head,
            received_at,
            envelope_checked: self.envelope.is_some(),
        })
    }

    /// Checks envelope, leaf and audit path against a tree head that is believed already, whatever
    /// `checkpoint` says. Gives the time at which the ledger took the entry, microseconds since the
    /// Unix epoch.
    ///
    /// # Errors
    /// [`EntryError`] names the first link that does not hold.
    pub fn verify_in(&self, head: &TreeHead) -> Result<u64, EntryError> {
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
        Ok(received_at)
    }

    /// Reads a proof in the text of C2SP tlog-proof, whose extra data are the entry's leaf and, unless
    /// it was removed, the envelope after it.
    ///
    /// # Errors
    /// [`EntryError::Field`] names what cannot be read.
    pub fn from_tlog_proof(text: &str) -> Result<Self, EntryError> {
        let wrong = |field, problem| EntryError::Field { field, problem };
        let (proof, checkpoint) = text
            .split_once("\n\n")
            .ok_or(wrong("checkpoint", "no blank line before it"))?;
        let mut lines = proof.split('\n');
        if lines.next() != Some(TLOG_PROOF) {
            return Err(wrong("first line", "not c2sp.org/tlog-proof@v1"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let extra = extra.ok_or(wrong("extra", "missing, and with it the entry's leaf"))?;
        let extra = decode("extra", extra)?;
        let (leaf, envelope) = extra
            .split_at_checked(LEAF_LENGTH)
            .ok_or(wrong("extra", "shorter than a leaf"))?;
        let envelope = std::str::from_utf8(envelope)
            .map_err(|_| wrong("extra", "after the leaf there is no text"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.ok_or(wrong("index", "missing"))?;
        let number: u64 = index.parse().map_err(|_| wrong("index", "no number"))?;
        if number.to_string() != index {
            return Err(wrong("index", "not written the one way numbers are"));
        }
        Ok(Self {
            index: number,
            envelope: (!envelope.is_empty()).then(|| envelope.to_owned()),
            leaf: STANDARD.encode(leaf),
            inclusion_proof: lines.map(str::to_owned).collect(),
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks that the leaf is this entry's, and gives the time it holds.
    fn check_leaf(&self, leaf: &[u8]) -> Result<u64, EntryError> {
        let leaf = Leaf::read(leaf).map_err(|problem| EntryError::Field {
            field: "leaf",
            problem,
        })?;
        if leaf.index != self.index {
            return Err(EntryError::Index {
                found: leaf.index,
                expected: self.index,
            });
        }
        if let Some(envelope) = &self.envelope
            && !leaf.is_of(envelope.as_bytes())
        {
            return Err(EntryError::Envelope(self.index));
        }
        Ok(leaf.received_at)
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

    use sha2::{Digest, Sha256};

    use super::*;

    /// Entry 1 of a log of two, made by hand.
    fn proof() -> (EntryProof, LogKey) {
        let envelope = r#"{"event":{"message":"valve opened"}}"#;
        let mut leaf = vec![1];
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
        erased.leaf = STANDARD.encode([1; LEAF_LENGTH]);
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

    fn as_tlog_proof(proof: &EntryProof) -> String {
        let mut extra = STANDARD.decode(&proof.leaf).unwrap();
        extra.extend_from_slice(proof.envelope.as_deref().unwrap_or_default().as_bytes());
        let (extra, index) = (STANDARD.encode(extra), proof.index);
        let path = proof.inclusion_proof.join("\n");
        let checkpoint = &proof.checkpoint;
        format!("{TLOG_PROOF}\nextra {extra}\nindex {index}\n{path}\n\n{checkpoint}")
    }

    #[test]
    fn a_tlog_proof_is_the_same_proof() {
        let (mut proof, key) = proof();
        for _ in 0..2 {
            let read = EntryProof::from_tlog_proof(&as_tlog_proof(&proof)).unwrap();
            assert_eq!(read.envelope, proof.envelope);
            assert_eq!(read.verify(&key), proof.verify(&key));
            proof.envelope = None;
        }
    }

    #[test]
    fn each_byte_of_a_tlog_proof_counts() {
        let (proof, key) = proof();
        let text = as_tlog_proof(&proof);
        for at in 0..text.len() {
            for to in [b'A', b'0', b'\n', b' '] {
                let mut changed = text.clone().into_bytes();
                if changed[at] == to || changed[at] >= 0x80 {
                    continue;
                }
                changed[at] = to;
                let changed = String::from_utf8(changed).unwrap();
                let verified =
                    EntryProof::from_tlog_proof(&changed).and_then(|proof| proof.verify(&key));
                assert!(verified.is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn what_is_no_tlog_proof_is_refused_with_the_field() {
        let (proof, _) = proof();
        let text = as_tlog_proof(&proof);
        for (from, to, named) in [
            ("@v1", "@v2", "first line"),
            ("extra ", "extra  ", "extra"),
            ("index 1", "index 01", "index"),
            ("index 1", "index +1", "index"),
            ("\n\nplant", "\nplant", "checkpoint"),
        ] {
            let changed = text.replacen(from, to, 1);
            let refused = EntryProof::from_tlog_proof(&changed);
            let Err(EntryError::Field { field, .. }) = refused else {
                // The blank line before the signatures is left.
                assert_eq!(named, "checkpoint");
                continue;
            };
            assert_eq!(field, named);
        }
    }
}
