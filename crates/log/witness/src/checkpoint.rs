//! A log's signed tree head, as it arrives from outside.

use std::str;

use fieldledger_tlog::Hash;
use signed_note::{Note, NoteError, Signature, VerificationError, Verifier, Verifiers};
use tlog_tiles::Checkpoint;

/// Longest note that is read, bytes. One with a hundred signatures has about 20,000.
const LONGEST_NOTE: usize = 48 * 1024;

/// Why bytes are no signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// No signed note, C2SP signed-note.
    #[error("it is no signed note: a text, an empty line, then 1 to 100 signature lines")]
    Note,
    /// Too long.
    #[error("it has {0} bytes; at most {LONGEST_NOTE} are read")]
    Length(usize),
    /// A note whose text is no checkpoint, C2SP tlog-checkpoint.
    #[error("its text is no checkpoint: origin, size and root, each on a line of its own")]
    Text,
}

/// What the signatures of a note say, where they do not say yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// None of the keys has signed.
    #[error("none of the known keys has signed it")]
    Unsigned,
    /// A signature names one of the keys and does not verify: such a note is malformed.
    #[error("a signature that names a known key does not verify")]
    False,
}

/// A tree head in a signed note. Nothing of it is believed before a signature is verified.
#[derive(Debug, PartialEq)]
pub struct SignedCheckpoint {
    note: Note,
    checkpoint: Checkpoint,
}

impl SignedCheckpoint {
    /// Reads a note, C2SP signed-note, whose text is a C2SP tlog-checkpoint.
    ///
    /// # Errors
    ///
    /// When it is anything else.
    pub fn parse(note: &[u8]) -> Result<Self, CheckpointError> {
        if note.len() > LONGEST_NOTE {
            return Err(CheckpointError::Length(note.len()));
        }
        let note = Note::from_bytes(note).map_err(|_| CheckpointError::Note)?;
        let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|_| CheckpointError::Text)?;
        Ok(Self { note, checkpoint })
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.checkpoint.origin()
    }

    /// Leaves in the tree.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        *self.checkpoint.hash()
    }

    /// The text that is signed, with its last line end.
    #[must_use]
    pub fn text(&self) -> &str {
        // A note is UTF-8, so this is never the empty text.
        str::from_utf8(self.note.text()).unwrap_or_default()
    }

    /// The whole note.
    #[must_use]
    pub fn to_note(&self) -> String {
        String::from_utf8(self.note.to_bytes()).unwrap_or_default()
    }

    /// Its verified signatures by these keys, at most one by each.
    ///
    /// # Errors
    ///
    /// When none of them has signed, or a signature in the name of one does not verify.
    pub fn signatures_by(&self, keys: &[&dyn Verifier]) -> Result<Vec<Signature>, SignatureError> {
        match self.note.verify(&Known(keys)) {
            Ok((verified, _unknown)) => Ok(verified),
            Err(NoteError::UnverifiedNote) => Err(SignatureError::Unsigned),
            Err(_) => Err(SignatureError::False),
        }
    }

    /// The note with the signatures of these keys, and then these lines, each with its line end.
    ///
    /// # Errors
    ///
    /// As [`SignedCheckpoint::signatures_by`].
    pub fn note_signed_by<'a>(
        &self,
        keys: &[&dyn Verifier],
        lines: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, SignatureError> {
        let signatures = self.signatures_by(keys)?;
        let mut note = format!("{}\n", self.text());
        for signature in signatures {
            note.push_str(&signature_line(&signature));
        }
        note.extend(lines);
        Ok(note)
    }
}

/// The signature as a line of a note.
pub(crate) fn signature_line(signature: &Signature) -> String {
    String::from_utf8(signature.to_bytes()).unwrap_or_default()
}

/// Keys to look signatures up in.
struct Known<'a>(&'a [&'a dyn Verifier]);

impl Verifiers for Known<'_> {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        let mut keys = self.0.iter().copied();
        let found = keys.find(|key| key.name() == name && key.key_id() == id);
        found.ok_or_else(|| VerificationError::UnknownKey {
            name: name.to_owned(),
            id,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::LogKey;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    fn signer(seed: u8) -> fieldledger_tlog::LogKey {
        fieldledger_tlog::LogKey::from_seed("example.com/log", &[seed; 32]).unwrap()
    }

    fn note() -> String {
        signer(7).sign(42, Hash([9; 32])).unwrap()
    }

    fn key(seed: u8) -> LogKey {
        LogKey::parse(signer(seed).verifier_key()).unwrap()
    }

    #[test]
    fn a_checkpoint_is_read_and_its_signature_verified() {
        let signed = SignedCheckpoint::parse(note().as_bytes()).unwrap();
        assert_eq!(signed.origin(), "example.com/log");
        assert_eq!((signed.size(), signed.root()), (42, Hash([9; 32])));
        assert_eq!(signed.to_note(), note());
        assert_eq!(signed.signatures_by(&[&key(7)]).unwrap().len(), 1);
        assert_eq!(
            signed.signatures_by(&[&key(8)]),
            Err(SignatureError::Unsigned)
        );
    }

    #[test]
    fn a_signature_in_the_name_of_a_known_key_that_is_false_spoils_the_note() {
        let changed = note().replacen("\n42\n", "\n43\n", 1);
        let signed = SignedCheckpoint::parse(changed.as_bytes()).unwrap();
        assert_eq!(
            signed.signatures_by(&[&key(8), &key(7)]),
            Err(SignatureError::False)
        );
    }

    #[test]
    fn texts_that_are_no_checkpoint_are_refused() {
        let note = note();
        let (_, signature) = note.split_once("\n\n").unwrap();
        let root = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
        for text in [
            format!("\n42\n{root}"),
            format!("a\n042\n{root}"),
            format!("a\n+42\n{root}"),
            format!("a\n-1\n{root}"),
            format!("a\n18446744073709551616\n{root}"),
            format!("a\n42\n{}", &root[..40]),
            "a\n42".to_owned(),
        ] {
            let note = format!("{text}\n\n{signature}");
            let error = SignedCheckpoint::parse(note.as_bytes()).unwrap_err();
            assert_eq!(error, CheckpointError::Text, "{text:?}");
        }
        let long = "\u{2014} a AAAAAAAA\n".repeat(4_000);
        let error = SignedCheckpoint::parse(format!("{note}{long}").as_bytes()).unwrap_err();
        assert!(matches!(error, CheckpointError::Length(_)));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = SignedCheckpoint::parse(&bytes);
        }

        #[test]
        fn what_is_read_is_written_as_it_was(position in 0_usize..1_000, byte: u8) {
            let mut bytes = note().into_bytes();
            let position = position % bytes.len();
            bytes[position] = byte;
            if let Ok(signed) = SignedCheckpoint::parse(&bytes) {
                prop_assert_eq!(signed.to_note().into_bytes(), bytes);
            }
        }
    }
}
