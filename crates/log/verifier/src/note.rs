//! The signed tree head: a C2SP checkpoint inside a C2SP signed note.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::Hash;

/// Longest note that is looked at, bytes; a checkpoint with its signatures has a few hundred.
const LONGEST_NOTE: usize = 64 * 1024;
/// Signature lines that are looked at; the specification asks for at least 16.
const MOST_SIGNATURES: usize = 100;
/// The signature type of plain Ed25519 (C2SP signed-note).
const ED25519: u8 = 1;

/// Why a signed tree head is not believed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    /// The verifier key is not of the form `name+hash+key`.
    #[error("verifier key: {0}")]
    Key(&'static str),
    /// The note is not a signed note with a checkpoint in it.
    #[error("signed note: {0}")]
    Form(&'static str),
    /// The note has no signature by this key.
    #[error("the note carries no signature by {0}")]
    NotSigned(String),
    /// A signature claims this key and does not verify.
    #[error("the signature by {0} does not fit the note")]
    BadSignature(String),
    /// The checkpoint is another log's.
    #[error("the checkpoint is of log {found:?}, the key is of log {expected:?}")]
    Origin {
        /// What the checkpoint says.
        found: String,
        /// The key's name.
        expected: String,
    },
}

/// The public key of a log, as C2SP signed-note writes it: `name+hash+key`.
#[derive(Debug, Clone)]
pub struct LogKey(NamedKey);

impl LogKey {
    /// Reads a verifier key.
    ///
    /// # Errors
    /// [`NoteError::Key`] where it is malformed, its hash does not fit, or it is not Ed25519.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let other = "a log's key must be of type 1, Ed25519";
        NamedKey::parse(text, ED25519, other).map(Self)
    }

    /// The log's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The 32 bytes of the key itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.key.as_bytes()
    }
}

/// A key with the name it signs under.
#[derive(Debug, Clone)]
pub(crate) struct NamedKey {
    pub(crate) name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl NamedKey {
    /// Reads `name+hash+key` where the key is of this type; `other` is the error where it is not.
    pub(crate) fn parse(text: &str, kind: u8, other: &'static str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("expected name+hash+key"));
        };
        if name.is_empty() || name.chars().any(char::is_whitespace) {
            return Err(NoteError::Key("the name is empty or has a space"));
        }
        let typed = STANDARD
            .decode(key)
            .map_err(|_| NoteError::Key("the key is no base64"))?;
        let (&[found], public) = typed
            .split_first_chunk::<1>()
            .ok_or(NoteError::Key("the key is empty"))?;
        if found != kind {
            return Err(NoteError::Key(other));
        }
        let public: &[u8; 32] = public
            .try_into()
            .map_err(|_| NoteError::Key("an Ed25519 key has 32 bytes"))?;
        let key = VerifyingKey::from_bytes(public)
            .map_err(|_| NoteError::Key("these 32 bytes are no Ed25519 key"))?;
        let expected = key_id(name, &typed);
        let written: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        if written != id {
            return Err(NoteError::Key("its hash does not fit its name and key"));
        }
        Ok(Self {
            name: name.to_owned(),
            id: expected,
            key,
        })
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
        let bad = || NoteError::BadSignature(self.name.clone());
        let signature = Signature::from_slice(signature).map_err(|_| bad())?;
        self.key
            .verify_strict(message, &signature)
            .map_err(|_| bad())
    }
}

/// First four bytes of `SHA-256(name || 0x0A || type || key)`.
fn key_id(name: &str, typed_key: &[u8]) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update(b"\n")
        .chain_update(typed_key)
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// What a signed tree head says of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeHead {
    /// Name of the log.
    pub origin: String,
    /// Leaves in the tree.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

/// Opens a signed tree head: its signature by `key` must hold, and the log must be the key's.
///
/// # Errors
/// [`NoteError`] says what does not hold.
pub fn open(note: &str, key: &LogKey) -> Result<TreeHead, NoteError> {
    let note = SignedNote::parse(note)?;
    let signature = note
        .signature_by(&key.0)
        .ok_or_else(|| NoteError::NotSigned(key.name().to_owned()))?;
    key.0.verify(note.text.as_bytes(), signature)?;
    let head = parse_checkpoint(note.text)?;
    if head.origin != key.name() {
        return Err(NoteError::Origin {
            found: head.origin,
            expected: key.name().to_owned(),
        });
    }
    Ok(head)
}

/// Opens a tree head signed by any of `keys`, and says by which: a log has two keys while one takes
/// over from the other.
///
/// # Errors
/// [`NoteError`] says what does not hold, for the first key with a signature or else for the last.
pub fn open_with_any<'k>(
    note: &str,
    keys: &'k [LogKey],
) -> Result<(TreeHead, &'k LogKey), NoteError> {
    let mut refused = NoteError::Key("none is given");
    for key in keys {
        match open(note, key) {
            Ok(head) => return Ok((head, key)),
            Err(error @ NoteError::NotSigned(_)) => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

/// A signed note, taken apart; nothing is verified yet.
pub(crate) struct SignedNote<'a> {
    /// What is signed, with its last line break.
    pub(crate) text: &'a str,
    /// Name, key hash and value of each signature.
    signatures: Vec<(&'a str, [u8; 4], Vec<u8>)>,
}

impl<'a> SignedNote<'a> {
    pub(crate) fn parse(note: &'a str) -> Result<Self, NoteError> {
        if note.len() > LONGEST_NOTE {
            return Err(NoteError::Form("longer than 64 KiB"));
        }
        let (text, lines) = note
            .rsplit_once("\n\n")
            .ok_or(NoteError::Form("no blank line before the signatures"))?;
        // The signed text ends with the line break before the blank line.
        let text = &note[..=text.len()];
        if text
            .chars()
            // U+007F is allowed: the specification forbids what is below U+0020.
            .any(|letter| letter < ' ' && letter != '\n')
        {
            return Err(NoteError::Form("it has a control character"));
        }
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::Form("the last line has no end"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n').take(MOST_SIGNATURES) {
            let line = line
                .strip_prefix("\u{2014} ")
                .ok_or(NoteError::Form("a signature line lacks its dash"))?;
            let (name, value) = line
                .split_once(' ')
                .ok_or(NoteError::Form("a signature line lacks its value"))?;
            let value = STANDARD
                .decode(value)
                .map_err(|_| NoteError::Form("a signature is no base64"))?;
            let (id, value) = value
                .split_first_chunk::<4>()
                .ok_or(NoteError::Form("a signature is too short"))?;
            signatures.push((name, *id, value.to_vec()));
        }
        Ok(Self { text, signatures })
    }

    /// The first signature in the name of this key.
    pub(crate) fn signature_by(&self, key: &NamedKey) -> Option<&[u8]> {
        let mut signatures = self.signatures.iter();
        let (_, _, value) = signatures.find(|(name, id, _)| *name == key.name && *id == key.id)?;
        Some(value)
    }
}

fn parse_checkpoint(text: &str) -> Result<TreeHead, NoteError> {
    let mut lines = text.split_terminator('\n');
    let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
        return Err(NoteError::Form(
            "a checkpoint has three lines: origin, size, root",
        ));
    };
    if origin.is_empty() {
        return Err(NoteError::Form("the origin is empty"));
    }
    // Extensions that a later version may explain.
    if lines.any(str::is_empty) {
        return Err(NoteError::Form("an extension line is empty"));
    }
    let canonical =
        size == "0" || (!size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit()));
    let size = size
        .parse()
        .ok()
        .filter(|_| canonical)
        .ok_or(NoteError::Form("the size is no plain number"))?;
    let root = STANDARD
        .decode(root)
        .ok()
        .and_then(|root| Hash::try_from(root).ok());
    let root = root.ok_or(NoteError::Form("the root is no base64 of 32 bytes"))?;
    Ok(TreeHead {
        origin: origin.to_owned(),
        size,
        root,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ed25519_dalek::{Signer, SigningKey};
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn signing_key() -> SigningKey {
        SigningKey::from_bytes(&[9; 32])
    }

    fn log_key(name: &str) -> String {
        let mut typed = vec![ED25519];
        typed.extend(signing_key().verifying_key().as_bytes());
        let id: String = key_id(name, &typed)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{name}+{id}+{}", STANDARD.encode(typed))
    }

    fn signed(name: &str, text: &str) -> String {
        let key = LogKey::parse(&log_key(name)).unwrap();
        let mut value = key.0.id.to_vec();
        value.extend(signing_key().sign(text.as_bytes()).to_bytes());
        format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(value))
    }

    fn checkpoint(origin: &str, size: &str) -> String {
        format!("{origin}\n{size}\n{}\n", STANDARD.encode([3; 32]))
    }

    #[test]
    fn a_signed_head_opens() {
        let key = LogKey::parse(&log_key("plant/1")).unwrap();
        let head = open(&signed("plant/1", &checkpoint("plant/1", "42")), &key).unwrap();
        assert_eq!(
            head,
            TreeHead {
                origin: "plant/1".into(),
                size: 42,
                root: [3; 32]
            }
        );
    }

    #[test]
    fn the_control_characters_of_the_specification_are_refused() {
        let key = LogKey::parse(&log_key("plant/1")).unwrap();
        let with = |extension: &str| {
            let text = format!("{}{extension}\n", checkpoint("plant/1", "42"));
            open(&signed("plant/1", &text), &key)
        };
        // Below U+0020; U+007F is another matter.
        assert_eq!(
            with("a\u{1f}b"),
            Err(NoteError::Form("it has a control character"))
        );
        assert!(with("a\u{7f}b").is_ok());
    }

    #[test]
    fn cosignatures_of_others_are_passed_over() {
        let key = LogKey::parse(&log_key("plant/1")).unwrap();
        let note = signed("plant/1", &checkpoint("plant/1", "42"));
        let (text, signature) = note.split_once("\n\n").unwrap();
        let note = format!(
            "{text}\n\n\u{2014} witness {}\n{signature}",
            STANDARD.encode([1; 76])
        );
        assert!(open(&note, &key).is_ok());
    }

    #[test]
    fn a_signature_does_not_excuse_another_form() {
        let key = LogKey::parse(&log_key("plant/1")).unwrap();
        let head = checkpoint("plant/1", "42");
        for text in [
            format!("{head}\nafter an empty line\n"),
            head.replace("42\n", "42\r\n"),
            format!("{head}\u{1b}\n"),
        ] {
            let opened = open(&signed("plant/1", &text), &key);
            assert!(matches!(opened, Err(NoteError::Form(_))), "{text:?}");
        }
        let extended = format!("{head}extension\n");
        assert!(open(&signed("plant/1", &extended), &key).is_ok());
    }

    #[test]
    fn another_logs_head_is_refused() {
        let key = LogKey::parse(&log_key("plant/1")).unwrap();
        let refused = open(&signed("plant/1", &checkpoint("plant/2", "42")), &key);
        assert!(matches!(refused, Err(NoteError::Origin { .. })));
        let unsigned = open(&signed("plant/2", &checkpoint("plant/1", "42")), &key);
        assert_eq!(unsigned, Err(NoteError::NotSigned("plant/1".into())));
    }

    #[test]
    fn sizes_have_one_way_to_be_written() {
        let key = LogKey::parse(&log_key("plant/1")).unwrap();
        for size in ["042", "+42", "-1", "", "18446744073709551616", "4 2"] {
            let refused = open(&signed("plant/1", &checkpoint("plant/1", size)), &key);
            assert!(matches!(refused, Err(NoteError::Form(_))), "{size:?}");
        }
    }

    #[test]
    fn a_key_with_another_hash_is_refused() {
        let text = log_key("plant/1").replacen("plant/1", "plant/2", 1);
        assert!(matches!(LogKey::parse(&text), Err(NoteError::Key(_))));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn a_changed_byte_is_noticed(at in any::<prop::sample::Index>(), to in 0x20_u8..0x7f) {
            let key = LogKey::parse(&log_key("plant/1")).unwrap();
            let note = signed("plant/1", &checkpoint("plant/1", "42"));
            let mut bytes = note.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to && bytes[at].is_ascii());
            bytes[at] = to;
            prop_assert!(open(&String::from_utf8(bytes).unwrap(), &key).is_err());
        }

        #[test]
        fn any_text_is_refused_quietly(text in "\\PC{0,200}\n\n\\PC{0,200}\n") {
            let key = LogKey::parse(&log_key("plant/1")).unwrap();
            prop_assert!(open(&text, &key).is_err());
            prop_assert!(LogKey::parse(&text).is_err());
        }
    }
}
