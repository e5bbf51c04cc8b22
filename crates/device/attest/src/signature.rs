//! A signature, and how it travels.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::base64;

/// Bytes of a signature (RFC 8032, section 5.1.6).
pub const SIGNATURE_BYTES: usize = 64;

/// Characters of its text form.
pub const SIGNATURE_CHARACTERS: usize = 88;

/// Why a text is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "not a signature; expected {SIGNATURE_CHARACTERS} characters, the padded base64 of {SIGNATURE_BYTES} bytes"
)]
pub struct SignatureError;

/// An Ed25519 signature, not yet verified. Its text form is padded base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    /// These bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        base64::write_padded(f, &self.0)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        base64::decode(text).map(Self).ok_or(SignatureError)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn a_signature_reads_back_from_its_text(half in any::<[u8; 32]>()) {
            let mut bytes = [0; SIGNATURE_BYTES];
            bytes[32..].copy_from_slice(&half);
            let signature = Signature::from_bytes(bytes);
            let text = signature.to_string();
            prop_assert_eq!(text.len(), SIGNATURE_CHARACTERS);
            prop_assert_eq!(text.parse(), Ok(signature));
            prop_assert_eq!(text[1..].parse::<Signature>(), Err(SignatureError));
        }
    }
}
