//! Signed tree heads: C2SP tlog-checkpoint in a C2SP signed-note.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::SigningKey;
use signed_note::{
    Note, Signer as _, StandardSigner, StandardVerifier, VerifierList, is_key_name_valid, key_id,
    new_ed25519_verifier_key,
};
use tlog_tiles::{Checkpoint, Hash};

/// Signature type Ed25519 of C2SP signed-note.
const ED25519: u8 = 0x01;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeHead {
    /// The log's name.
    pub origin: String,
    /// Leaves in the tree.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

/// Why a tree head cannot be signed or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The log's name cannot name a key.
    #[error("origin {0:?} is empty, or has a space, a line end or a plus sign")]
    Origin(String),
    /// The key cannot be used.
    #[error("the key for {origin} cannot be used: {problem}")]
    Key {
        /// The log's name.
        origin: String,
        /// What is wrong.
        problem: String,
    },
    /// The signature is missing or false, or the bytes are no signed note.
    #[error("the note is not signed by {origin}: {problem}")]
    Signature {
        /// The log's name.
        origin: String,
        /// What is wrong.
        problem: String,
    },
    /// The note's text is no checkpoint of the log.
    #[error("the note is no checkpoint of {0}")]
    Content(String),
}

/// The key that signs a log's tree heads.
#[derive(Clone)]
pub struct LogKey {
    origin: String,
    signer: StandardSigner,
    verifier_key: String,
}

impl fmt::Debug for LogKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("LogKey")
            .field(&self.verifier_key)
            .finish()
    }
}

impl LogKey {
    /// The Ed25519 key with this seed, for the log of this name.
    ///
    /// # Errors
    ///
    /// When the name cannot name a key.
    pub fn from_seed(origin: &str, seed: &[u8; 32]) -> Result<Self, CheckpointError> {
        if !is_key_name_valid(origin) {
            return Err(CheckpointError::Origin(origin.to_owned()));
        }
        let public = SigningKey::from_bytes(seed).verifying_key();
        let id = key_id(origin, &[&[ED25519], public.as_bytes().as_slice()].concat());
        let typed_seed = BASE64_STANDARD.encode([&[ED25519], seed.as_slice()].concat());
        let encoded = format!("PRIVATE+KEY+{origin}+{id:08x}+{typed_seed}");
        let signer = StandardSigner::new(&encoded).map_err(|error| CheckpointError::Key {
            origin: origin.to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Self {
            origin: origin.to_owned(),
            signer,
            verifier_key: new_ed25519_verifier_key(origin, &public),
        })
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The key that verifies, `name+hash+key`.
    #[must_use]
    pub fn verifier_key(&self) -> &str {
        &self.verifier_key
    }

    /// Id of the key, the first four bytes of a note signature.
    pub(crate) fn id(&self) -> [u8; 4] {
        self.signer.key_id().to_be_bytes()
    }

    /// Ed25519 signature of a message that cannot be taken for the text of a note.
    pub(crate) fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, CheckpointError> {
        let signed = self.signer.sign(message);
        signed.map_err(|error| CheckpointError::Key {
            origin: self.origin.clone(),
            problem: error.to_string(),
        })
    }

    /// The signed note for a tree.
    ///
    /// # Errors
    ///
    /// When signing fails.
    pub fn sign(&self, size: u64, root: Hash) -> Result<String, CheckpointError> {
        sign_checkpoint(&[self], size, root)
    }
}

/// The note for a tree with a signature of each key, in order. The keys are of one log.
///
/// # Errors
///
/// Without a key, or when signing fails.
pub fn sign_checkpoint(keys: &[&LogKey], size: u64, root: Hash) -> Result<String, CheckpointError> {
    let origin = keys.first().map_or("", |key| key.origin());
    let failed = |problem: String| CheckpointError::Key {
        origin: origin.to_owned(),
        problem,
    };
    let checkpoint =
        Checkpoint::new(origin, size, root, "").map_err(|error| failed(error.to_string()))?;
    let mut note =
        Note::new(&checkpoint.to_bytes(), &[]).map_err(|error| failed(error.to_string()))?;
    for key in keys {
        note.add_sigs(&[&key.signer])
            .map_err(|error| failed(error.to_string()))?;
    }
    String::from_utf8(note.to_bytes()).map_err(|error| failed(error.to_string()))
}

/// The tree head in a note, if it is signed with the key `verifier_key` and names the same log.
/// Other signatures are ignored.
///
/// # Errors
///
/// When the key or the note is malformed, the signature false or missing, or the origin another.
pub fn open_checkpoint(note: &[u8], verifier_key: &str) -> Result<TreeHead, CheckpointError> {
    let origin = verifier_key
        .split('+')
        .next()
        .unwrap_or_default()
        .to_owned();
    let verifier = StandardVerifier::new(verifier_key).map_err(|error| CheckpointError::Key {
        origin: origin.clone(),
        problem: error.to_string(),
    })?;
    let unsigned = |error: signed_note::NoteError| CheckpointError::Signature {
        origin: origin.clone(),
        problem: error.to_string(),
    };
    let note = Note::from_bytes(note).map_err(unsigned)?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)]))
        .map_err(unsigned)?;
    let checkpoint = Checkpoint::from_bytes(note.text())
        .map_err(|_| CheckpointError::Content(origin.clone()))?;
    if checkpoint.origin() != origin {
        return Err(CheckpointError::Content(origin));
    }
    Ok(TreeHead {
        origin,
        size: checkpoint.size(),
        root: *checkpoint.hash(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    fn key() -> LogKey {
        LogKey::from_seed("example.com/log", &[7; 32]).unwrap()
    }

    #[test]
    fn a_signed_head_is_opened_again() {
        let root = Hash([9; 32]);
        let note = key().sign(42, root).unwrap();
        let body = format!(
            "example.com/log\n42\n{}\n\n",
            BASE64_STANDARD.encode([9; 32])
        );
        assert!(note.starts_with(&body), "{note}");
        let head = open_checkpoint(note.as_bytes(), key().verifier_key()).unwrap();
        assert_eq!(
            head,
            TreeHead {
                origin: "example.com/log".to_owned(),
                size: 42,
                root
            }
        );
    }

    #[test]
    fn another_key_or_name_is_refused() {
        let note = key().sign(42, Hash([9; 32])).unwrap();
        let other_key = LogKey::from_seed("example.com/log", &[8; 32]).unwrap();
        let other_name = LogKey::from_seed("example.com/other", &[7; 32]).unwrap();
        for other in [other_key, other_name] {
            let error = open_checkpoint(note.as_bytes(), other.verifier_key()).unwrap_err();
            assert!(
                matches!(error, CheckpointError::Signature { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_head_that_two_keys_signed_is_opened_with_either() {
        let other = LogKey::from_seed("example.com/log", &[8; 32]).unwrap();
        let note = sign_checkpoint(&[&key(), &other], 42, Hash([9; 32])).unwrap();
        for verifier_key in [key().verifier_key(), other.verifier_key()] {
            let head = open_checkpoint(note.as_bytes(), verifier_key).unwrap();
            assert_eq!(head.size, 42);
        }
        assert!(sign_checkpoint(&[], 42, Hash([9; 32])).is_err());
    }

    #[test]
    fn a_name_that_cannot_name_a_key_is_refused() {
        for origin in ["", "two words", "a+b", "a\nb"] {
            let error = LogKey::from_seed(origin, &[7; 32]).unwrap_err();
            assert!(matches!(error, CheckpointError::Origin(_)), "{error}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn one_changed_byte_is_noticed(position in 0_usize..1_000, flip in 1_u8..=255) {
            let mut note = key().sign(42, Hash([9; 32])).unwrap().into_bytes();
            let position = position % note.len();
            note[position] ^= flip;
            prop_assert!(open_checkpoint(&note, key().verifier_key()).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes: Vec<u8>) {
            prop_assert!(open_checkpoint(&bytes, key().verifier_key()).is_err());
        }
    }
}
