//! Who a device is: an Ed25519 key (RFC 8032).

use core::fmt;
use core::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::base64;
use crate::signature::Signature;

/// Bytes of a public key, and of the seed of a secret one.
pub const KEY_BYTES: usize = 32;

/// What a public key's text form begins with.
const TEXT_PREFIX: &str = "ed25519:";

/// Why something is not a device's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Another text than `ed25519:` and 44 characters of base64.
    #[error("not a public key; expected ed25519: and the base64 of {KEY_BYTES} bytes")]
    Text,
    /// The bytes are no point of the curve (RFC 8032, section 5.1.3).
    #[error("the {KEY_BYTES} bytes of the public key are no point of the curve")]
    NoPoint,
    /// A point of small order, for which one signature fits many messages.
    #[error("the public key is a point of small order, which proves nothing")]
    Weak,
}

/// A device's secret key.
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// The key of a seed: 32 bytes from a good source of randomness, which nobody else may learn.
    #[must_use]
    pub fn from_seed(seed: &[u8; KEY_BYTES]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The other half, for everyone.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeviceKey").field(&self.public()).finish()
    }
}

/// A device's public key: a point of the curve, and not of small order.
///
/// Its text form is `ed25519:` and the padded base64 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Checks the 32 bytes of RFC 8032, section 5.1.5.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoPoint`], [`KeyError::Weak`].
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_no_point| KeyError::NoPoint)?;
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        self.0.as_bytes()
    }

    /// What two people compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(self.as_bytes()).into())
    }

    /// The strict rules: canonical, and no point of small order in the signature either.
    pub(crate) fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TEXT_PREFIX)?;
        base64::write_padded(f, self.as_bytes())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(TEXT_PREFIX).ok_or(KeyError::Text)?;
        let bytes = base64::decode(encoded).ok_or(KeyError::Text)?;
        Self::from_bytes(&bytes)
    }
}

/// The SHA-256 of a public key's 32 bytes, written like OpenSSH's fingerprints: `SHA256:` and base64
/// without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256:")?;
        base64::write_unpadded(f, &self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::format;
    use std::string::ToString as _;

    use curve25519_dalek::Scalar;
    use ed25519_dalek::Verifier as _;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;
    use sha2::Sha512;

    use super::*;

    #[test]
    fn the_first_key_of_rfc_8032() {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let seed: [u8; 32] = seed.unwrap().try_into().unwrap();
        let key = DeviceKey::from_seed(&seed);
        let public = hex::encode(key.public().as_bytes());
        let expected = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(public, expected);
        assert!(!format!("{key:?}").contains("9d61"));
        let text = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert_eq!(key.public().to_string(), text);
        assert_eq!(
            key.public().fingerprint().to_string(),
            "SHA256:If4x36FUomFia/hUBG/SJxt77UtqvkWqWId+9H+XIbk"
        );
    }

    // With the neutral point as R, s = k * a satisfies the equation of RFC 8032 (section 5.1.7) for a
    // signature that hides nothing. Lax verification takes it.
    #[test]
    fn a_signature_with_a_point_of_small_order_is_refused() {
        let key = DeviceKey::from_seed(&[1; 32]);
        let message = b"anything";
        let mut signature = [0; 64];
        signature[0] = 1;
        let hash = Sha512::new()
            .chain_update(&signature[..32])
            .chain_update(key.public().as_bytes())
            .chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        signature[32..].copy_from_slice((k * key.0.to_scalar()).as_bytes());
        let lax = ed25519_dalek::Signature::from_bytes(&signature);
        assert!(key.public().0.verify(message, &lax).is_ok());
        assert!(
            !key.public()
                .verifies(message, &Signature::from_bytes(signature))
        );
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let one = PublicKey::from_bytes(&{
            let mut identity = [0; 32];
            identity[0] = 1;
            identity
        });
        assert_eq!(one, Err(KeyError::Weak));
        let mut no_point = [0; 32];
        no_point[0] = 2;
        assert_eq!(PublicKey::from_bytes(&no_point), Err(KeyError::NoPoint));
        let good = DeviceKey::from_seed(&[1; 32]).public().to_string();
        for text in [
            String::new(),
            good.replace("ed25519:", ""),
            good.replace('=', ""),
            good.to_uppercase(),
            format!("{good} "),
            format!("{good}="),
        ] {
            assert_eq!(text.parse::<PublicKey>(), Err(KeyError::Text), "{text}");
        }
    }

    use std::string::String;

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn a_key_reads_back_from_its_text(seed in any::<[u8; 32]>()) {
            let key = DeviceKey::from_seed(&seed).public();
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "(ed25519:)?\\PC{0,60}") {
            if let Ok(key) = text.parse::<PublicKey>() {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
