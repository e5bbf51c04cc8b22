//! Nkeys of users: Ed25519 keys in base32, with a prefix and a checksum (ADR-14 of
//! nats-architecture-and-design).

use core::fmt;

use base32ct::{Base32UpperUnpadded, Encoding as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use ed25519_dalek::{Signer as _, SigningKey};
use heapless::String;

/// Characters of a seed: 2 bytes of prefix, 32 of key, 2 of checksum, five bits in each.
const SEED_LENGTH: usize = 58;

/// Characters of a public key: 1 byte of prefix, 32 of key, 2 of checksum.
const PUBLIC_LENGTH: usize = 56;

/// Characters of a signature's 64 bytes, six bits in each.
const SIGNATURE_LENGTH: usize = 86;

/// The prefix of seeds, which shows as `S`.
const SEED_PREFIX: u8 = 18 << 3;

/// The prefix of users' keys, which shows as `U`.
const USER_PREFIX: u8 = 20 << 3;

/// Why a text is no user's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NkeyError {
    /// It is not 58 characters of base32 in upper case.
    #[error("the seed of an nkey is {SEED_LENGTH} characters A to Z and 2 to 7")]
    InvalidText,
    /// It is the seed of something else, or no seed.
    #[error("the seed of a user's nkey begins with SU")]
    NotUser,
    /// A character of it is wrong.
    #[error("the checksum of the nkey is wrong")]
    WrongChecksum,
}

/// The key of a user, from its seed. [`fmt::Debug`] shows the public part only.
pub struct NkeyPair {
    key: SigningKey,
    public: String<PUBLIC_LENGTH>,
}

impl NkeyPair {
    /// Reads a seed (`SU…`).
    ///
    /// # Errors
    ///
    /// [`NkeyError`].
    pub fn from_seed(seed: &str) -> Result<Self, NkeyError> {
        let mut bytes = [0; 36];
        let decoded = Base32UpperUnpadded::decode(seed.as_bytes(), &mut bytes);
        if seed.len() != SEED_LENGTH || decoded.is_err() {
            return Err(NkeyError::InvalidText);
        }
        // The last character has two bits to spare, which the decoder does not look at.
        let mut canonical = [0; SEED_LENGTH];
        if Base32UpperUnpadded::encode(&bytes, &mut canonical) != Ok(seed) {
            return Err(NkeyError::InvalidText);
        }
        let [kind, user, secret @ .., low, high] = bytes;
        if checksum(&bytes[..34]) != u16::from_le_bytes([low, high]) {
            return Err(NkeyError::WrongChecksum);
        }
        // The prefix of what the seed is for is three bits off, behind that of seeds.
        if kind & 0xf8 != SEED_PREFIX || (kind << 5) | (user >> 3) != USER_PREFIX {
            return Err(NkeyError::NotUser);
        }
        Ok(Self::from_secret(&secret))
    }

    /// The nkey of an Ed25519 key (RFC 8032, section 5.1.5) that the program has for other purposes too. That is
    /// sound where whatever else the key signs can never be read as a nonce: a nonce is text of one
    /// line.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(secret);
        let public = public_text(&key);
        Self { key, public }
    }

    /// The public key (`U…`), by which a server's configuration names the user.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public
    }

    /// Signs a server's nonce, as `CONNECT` wants it.
    #[must_use]
    pub fn sign(&self, nonce: &str) -> String<SIGNATURE_LENGTH> {
        let signature = self.key.sign(nonce.as_bytes()).to_bytes();
        let mut text = [0; SIGNATURE_LENGTH];
        let text = Base64UrlUnpadded::encode(&signature, &mut text);
        let text = text.ok().and_then(|text| String::try_from(text).ok());
        text.expect("64 bytes are 86 characters of base64")
    }
}

impl fmt::Debug for NkeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("NkeyPair")
            .field(&self.public)
            .finish()
    }
}

fn public_text(key: &SigningKey) -> String<PUBLIC_LENGTH> {
    let mut bytes = [0; 35];
    bytes[0] = USER_PREFIX;
    bytes[1..33].copy_from_slice(key.verifying_key().as_bytes());
    let sum = checksum(&bytes[..33]).to_le_bytes();
    bytes[33..].copy_from_slice(&sum);
    let mut text = [0; PUBLIC_LENGTH];
    let text = Base32UpperUnpadded::encode(&bytes, &mut text);
    let text = text.ok().and_then(|text| String::try_from(text).ok());
    text.expect("35 bytes are 56 characters of base32")
}

/// CRC-16/XMODEM. Without a table: 36 bytes, once.
fn checksum(bytes: &[u8]) -> u16 {
    const POLYNOMIAL: u16 = 0x1021;
    bytes.iter().fold(0, |sum, byte| {
        let begun = sum ^ (u16::from(*byte) << 8);
        (0..8).fold(begun, |sum, _| match sum & 0x8000 {
            0 => sum << 1,
            _ => (sum << 1) ^ POLYNOMIAL,
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_xmodem() {
        // The check value of the catalogue of CRC algorithms.
        assert_eq!(checksum(b"123456789"), 0x31c3);
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn as_the_nkeys_crate_has_it(secret: [u8; 32], nonce in "[A-Za-z0-9_-]{1,64}") {
            let theirs = nkeys::KeyPair::new_from_raw(nkeys::KeyPairType::User, secret).unwrap();
            let seed = theirs.seed().unwrap();
            let ours = NkeyPair::from_seed(&seed).unwrap();
            prop_assert_eq!(ours.public_key(), theirs.public_key());
            let raw = NkeyPair::from_secret(&secret);
            prop_assert_eq!(raw.public_key(), theirs.public_key());
            let mut signature = [0; 64];
            let text = ours.sign(&nonce);
            Base64UrlUnpadded::decode(&text, &mut signature).unwrap();
            prop_assert!(theirs.verify(nonce.as_bytes(), &signature).is_ok());
            let shown = format!("{ours:?}");
            prop_assert!(!shown.contains(&seed[2..]));
        }

        #[test]
        fn a_wrong_character_is_noticed(secret: [u8; 32], at in 0..SEED_LENGTH, other in "[A-Z2-7]") {
            let theirs = nkeys::KeyPair::new_from_raw(nkeys::KeyPairType::User, secret).unwrap();
            let seed = theirs.seed().unwrap();
            let mut wrong = seed.clone();
            wrong.replace_range(at..=at, &other);
            prop_assume!(wrong != seed);
            prop_assert!(NkeyPair::from_seed(&wrong).is_err());
        }

        #[test]
        fn any_text(text in "\\PC{0,70}") {
            prop_assert!(NkeyPair::from_seed(&text).is_err());
        }
    }

    #[test]
    fn the_spare_bits_of_the_last_character() {
        let seed = nkeys::KeyPair::new_user().seed().unwrap();
        let (start, last) = seed.split_at(SEED_LENGTH - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".chars();
        let read = alphabet.filter(|last| NkeyPair::from_seed(&format!("{start}{last}")).is_ok());
        assert_eq!(read.collect::<std::string::String>(), last);
    }

    #[test]
    fn keys_of_others() {
        let account = nkeys::KeyPair::new_account();
        let seed = account.seed().unwrap();
        assert_eq!(NkeyPair::from_seed(&seed).unwrap_err(), NkeyError::NotUser);
        let public = nkeys::KeyPair::new_user().public_key();
        assert_eq!(
            NkeyPair::from_seed(&public).unwrap_err(),
            NkeyError::InvalidText
        );
    }
}
