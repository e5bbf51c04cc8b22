//! What a device signs of a heartbeat: all that it says.
//!
//! A heartbeat is a JSON object. That of a device with a key ends with the proof that it has it:
//!
//! ```json
//! {"id":"f3088463-…","poll_topic":"…","key":"ed25519:…","boot":"a1b2","beat":3,"key_sig":"…"}
//! ```
//!
//! The proof signs the bytes before it as they are sent, whatever their spaces and their order, so that
//! nobody has to write JSON in one way to verify it: everything before the last `"key_sig"` of the message,
//! the comma included. Signed are
//!
//! | bytes | holds |
//! |---|---|
//! | 25 | the line `fieldledger-heartbeat-v2`, newline included |
//! | 32 | the SHA-256 of these bytes |
//!
//! The sensor's id, its topics, the boot, the number of the heartbeat and the key are among them. The number
//! tells a heartbeat from a copy of an earlier one.

use sha2::{Digest as _, Sha256};

use crate::identity::{DeviceKey, PublicKey};
use crate::signature::Signature;

/// The line that tells this signature from all others.
pub const HEARTBEAT_DOMAIN: &str = "fieldledger-heartbeat-v2\n";

/// The name of the proof's member, in quotes.
const PROOF: &[u8] = b"\"key_sig\"";

const SIGNED_BYTES: usize = HEARTBEAT_DOMAIN.len() + 32;

fn encode(declaration: &[u8]) -> [u8; SIGNED_BYTES] {
    let mut bytes = [0; SIGNED_BYTES];
    let (domain, hash) = bytes.split_at_mut(HEARTBEAT_DOMAIN.len());
    domain.copy_from_slice(HEARTBEAT_DOMAIN.as_bytes());
    hash.copy_from_slice(&Sha256::digest(declaration));
    bytes
}

/// The two parts of a heartbeat with a proof: what is signed, and the proof with all behind it. None where
/// there is no proof.
#[must_use]
pub fn split(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let starts = message.windows(PROOF.len());
    let at = starts.rev().enumerate().find(|(_, bytes)| *bytes == PROOF);
    let (from_end, _) = at?;
    Some(message.split_at(message.len() - PROOF.len() - from_end))
}

/// Proves that whoever says this has `key`: what stands before the proof, up to and with the comma.
#[must_use]
pub fn sign(declaration: &[u8], key: &DeviceKey) -> Signature {
    key.sign(&encode(declaration))
}

/// A heartbeat with its proof: made of one without, a JSON object that says something. None for anything
/// that does not end like one.
#[cfg(feature = "alloc")]
#[must_use]
pub fn with_proof(heartbeat: &str, key: &DeviceKey) -> Option<alloc::string::String> {
    let declaration = alloc::format!("{},", heartbeat.trim_end().strip_suffix('}')?);
    let proof = sign(declaration.as_bytes(), key);
    Some(alloc::format!("{declaration}\"key_sig\":\"{proof}\"}}"))
}

/// True where whoever signed has the secret half of `key`, and said this.
#[must_use]
pub fn is_signed(declaration: &[u8], key: &PublicKey, signature: &Signature) -> bool {
    key.verifies(&encode(declaration), signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARATION: &[u8] = br#"{"id":"f3","boot":"a1b2","beat":3,"#;

    #[test]
    fn every_byte_is_signed() {
        let key = DeviceKey::from_seed(&[7; 32]);
        let signature = sign(DECLARATION, &key);
        assert!(is_signed(DECLARATION, &key.public(), &signature));
        for place in 0..DECLARATION.len() {
            let mut other = DECLARATION.to_vec();
            other[place] ^= 1;
            assert!(!is_signed(&other, &key.public(), &signature), "{place}");
        }
        let shorter = &DECLARATION[..DECLARATION.len() - 1];
        assert!(!is_signed(shorter, &key.public(), &signature));
        let stranger = DeviceKey::from_seed(&[8; 32]).public();
        assert!(!is_signed(DECLARATION, &stranger, &signature));
    }

    #[test]
    fn a_test_vector() {
        // printf '{"id":"f3","boot":"a1b2","beat":3,' | sha256sum
        let expected = std::concat!(
            "6669656c646c65646765722d6865617274626561742d76320a",
            "874f4f7d4c4066d527a1e69660f6687580c1449539791205a21f37583697a066"
        );
        assert_eq!(hex::encode(encode(DECLARATION)), expected);
    }

    #[test]
    fn a_proof_is_added_at_the_end() {
        let key = DeviceKey::from_seed(&[7; 32]);
        let proven = with_proof("{\"beat\": 3}\n", &key).unwrap_or_default();
        let (declaration, proof) = split(proven.as_bytes()).unwrap_or_default();
        assert_eq!(declaration, b"{\"beat\": 3,");
        let signature = sign(declaration, &key);
        assert_eq!(
            proof,
            std::format!("\"key_sig\":\"{signature}\"}}").as_bytes()
        );
        assert_eq!(with_proof("[]", &key), None);
    }

    #[test]
    fn the_last_proof_is_the_proof() {
        let parts = |message: &'static str| split(message.as_bytes());
        let (before, proof) = parts(r#"{"a":1, "key_sig" : "x"}"#).unwrap_or_default();
        assert_eq!(before, br#"{"a":1, "#);
        assert_eq!(proof, br#""key_sig" : "x"}"#);
        let twice = parts(r#"{"key_sig":"x","key_sig":"y"}"#).unwrap_or_default();
        assert_eq!(twice.1, br#""key_sig":"y"}"#);
        assert_eq!(parts("\"key_sig\"").unwrap_or_default().0, b"");
        for message in ["", "{}", "\"key_sig", r#"{"a":"\"key_sig\""}"#] {
            assert_eq!(parts(message), None, "{message}");
        }
    }
}
