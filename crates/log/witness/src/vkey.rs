//! Verifier keys, C2SP signed-note: `name+id+key`.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use signed_note::{Verifier, is_key_name_valid, key_id};

/// Signature type Ed25519.
const ED25519: u8 = 0x01;

/// Signature type Ed25519 cosignature/v1.
pub(crate) const COSIGNATURE: u8 = 0x04;

/// Why a text is no verifier key that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{vkey:?} is not a usable verifier key: {problem}")]
pub struct VkeyError {
    vkey: String,
    problem: &'static str,
}

/// A named Ed25519 key and what its signatures are over.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NamedKey {
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) kind: u8,
    pub(crate) public: VerifyingKey,
}

impl NamedKey {
    pub(crate) fn new(name: &str, kind: u8, public: VerifyingKey) -> Option<Self> {
        is_key_name_valid(name).then(|| Self {
            name: name.to_owned(),
            id: key_id(name, &typed(kind, &public)),
            kind,
            public,
        })
    }

    /// Reads a key of type `kind`; `other` says what is wrong with a key of another type.
    pub(crate) fn parse(vkey: &str, kind: u8, other: &'static str) -> Result<Self, VkeyError> {
        let refused = |problem| VkeyError {
            vkey: vkey.chars().take(200).collect(),
            problem,
        };
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(refused("it must be name+id+key"));
        };
        let key = BASE64_STANDARD
            .decode(key)
            .map_err(|_| refused("the part after the second + must be base64"))?;
        let Some((&found, key)) = key.split_first() else {
            return Err(refused("the key is empty"));
        };
        if found != kind {
            return Err(refused(other));
        }
        let public = <&[u8; 32]>::try_from(key)
            .ok()
            .and_then(|key| VerifyingKey::from_bytes(key).ok())
            .filter(|key| !key.is_weak())
            .ok_or_else(|| refused("the key must be 32 bytes of a sound Ed25519 key"))?;
        let named = Self::new(name, kind, public)
            .ok_or_else(|| refused("the name is empty, or has a space"))?;
        if id != format!("{:08x}", named.id) {
            return Err(refused("the id is not that of this name and key"));
        }
        Ok(named)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.public.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for NamedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = BASE64_STANDARD.encode(typed(self.kind, &self.public));
        write!(formatter, "{}+{:08x}+{key}", self.name, self.id)
    }
}

fn typed(kind: u8, public: &VerifyingKey) -> Vec<u8> {
    [&[kind], public.as_bytes().as_slice()].concat()
}

/// A log's public key, as it signs its checkpoints: signature type 0x01, Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct LogKey(NamedKey);

impl LogKey {
    /// Reads `name+id+key`.
    ///
    /// # Errors
    ///
    /// When it is malformed, or a key of another type.
    pub fn parse(vkey: &str) -> Result<Self, VkeyError> {
        let other = "a log's key must be of type 1, Ed25519; no other is known here";
        NamedKey::parse(vkey, ED25519, other).map(Self)
    }

    /// The key's name; a log's is its origin, as a rule.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The 32 bytes of the key itself.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        self.0.public.as_bytes()
    }
}

impl Verifier for LogKey {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn key_id(&self) -> u32 {
        self.0.id
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verifies(message, signature)
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LogKey({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn vkey() -> String {
        fieldledger_tlog::LogKey::from_seed("example.com/log", &[7; 32])
            .unwrap()
            .verifier_key()
            .to_owned()
    }

    #[test]
    fn a_key_is_written_as_it_was_read() {
        assert_eq!(LogKey::parse(&vkey()).unwrap().to_string(), vkey());
    }

    #[test]
    fn malformed_keys_are_refused_with_the_reason() {
        let vkey = vkey();
        let (name, rest) = vkey.split_once('+').unwrap();
        let (id, key) = rest.split_once('+').unwrap();
        let weak = BASE64_STANDARD.encode([&[1], [0; 32].as_slice()].concat());
        for (wrong, reason) in [
            (String::new(), "name+id+key"),
            (name.to_owned(), "name+id+key"),
            (format!("{name}+{id}"), "name+id+key"),
            (format!("other+{id}+{key}"), "id"),
            (format!("{name}+{}+{key}", id.to_uppercase()), "id"),
            (format!("{name}+0{id}+{key}"), "id"),
            (format!("a b+{id}+{key}"), "space"),
            (format!("+{id}+{key}"), "empty"),
            (format!("{name}+{id}+{}", &key[..40]), "32 bytes"),
            (format!("{name}+{id}+{weak}"), "sound"),
            (format!("{name}+{id}+"), "empty"),
            (format!("{name}+{id}+&"), "base64"),
            (format!("{name}+{id}+BAAA"), "type 1"),
        ] {
            let error = LogKey::parse(&wrong).unwrap_err().to_string();
            assert!(error.contains(reason), "{wrong:?}: {error}");
        }
    }
}
