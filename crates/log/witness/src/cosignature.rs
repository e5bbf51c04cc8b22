//! Cosignatures, C2SP tlog-cosignature, of the type `cosignature/v1` (Ed25519).
//!
//! One says: at this time, this is the largest tree of this log that I have seen, and all trees of
//! it that I have seen are its beginnings.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use signed_note::{Signature, Verifier};

use crate::checkpoint::{SignatureError, SignedCheckpoint, signature_line};
use crate::vkey::{COSIGNATURE, NamedKey, VkeyError};

/// The largest time a cosignature may carry.
const LATEST: u64 = i64::MAX as u64;

/// The public key of a witness: signature type 0x04.
#[derive(Clone, PartialEq, Eq)]
pub struct WitnessKey(NamedKey);

/// A cosignature that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// When the witness gave it, seconds since the Unix epoch, as the witness says.
    pub time: u64,
    /// The line that carries it in a note, with its line end.
    pub line: String,
}

impl WitnessKey {
    /// Reads `name+id+key`.
    ///
    /// # Errors
    ///
    /// When it is malformed, or a key of another type.
    pub fn parse(vkey: &str) -> Result<Self, VkeyError> {
        let other =
            "a witness's key must be of type 4, Ed25519 cosignature; no other is known here";
        NamedKey::parse(vkey, COSIGNATURE, other).map(Self)
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The 32 bytes of the key itself.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        self.0.public.as_bytes()
    }

    /// This witness's cosignature on the checkpoint.
    ///
    /// # Errors
    ///
    /// When there is none, or one that does not verify.
    pub fn cosignature_on(
        &self,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Cosignature, SignatureError> {
        let signatures = checkpoint.signatures_by(&[self])?;
        let signature = signatures.first().ok_or(SignatureError::Unsigned)?;
        let (time, _) = split(signature.signature()).ok_or(SignatureError::False)?;
        Ok(Cosignature {
            time,
            line: signature_line(signature),
        })
    }
}

impl Verifier for WitnessKey {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn key_id(&self) -> u32 {
        self.0.id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        split(signature)
            .is_some_and(|(time, signature)| self.0.verifies(&message(time, text), signature))
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for WitnessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WitnessKey({self})")
    }
}

/// The key with which a witness cosigns. It must sign nothing else: what is signed does not name
/// the witness.
pub struct WitnessSigner {
    key: WitnessKey,
    secret: SigningKey,
}

impl fmt::Debug for WitnessSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WitnessSigner({})", self.key)
    }
}

impl WitnessSigner {
    /// The key with this seed, under this name; none where the name is empty, or has a space or a
    /// plus sign.
    #[must_use]
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Option<Self> {
        let secret = SigningKey::from_bytes(seed);
        let key = NamedKey::new(name, COSIGNATURE, secret.verifying_key())?;
        Some(Self {
            key: WitnessKey(key),
            secret,
        })
    }

    /// The key that verifies.
    #[must_use]
    pub fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Cosigns a checkpoint's text at a time, seconds since the Unix epoch.
    #[must_use]
    pub fn cosign(&self, checkpoint: &SignedCheckpoint, time: u64) -> Cosignature {
        let time = time.min(LATEST);
        let signature = self
            .secret
            .sign(&message(time, checkpoint.text().as_bytes()));
        let value = [time.to_be_bytes().as_slice(), &signature.to_bytes()].concat();
        let name = self.key.name().to_owned();
        let line = Signature::new(name, self.key.0.id, value);
        Cosignature {
            time,
            // The name was checked when the key was made.
            line: line.map_or_else(|_| String::new(), |line| signature_line(&line)),
        }
    }
}

/// The time, and the signature proper.
fn split(signature: &[u8]) -> Option<(u64, &[u8])> {
    let (time, signature) = signature.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    (time <= LATEST).then_some((time, signature))
}

fn message(time: u64, text: &[u8]) -> Vec<u8> {
    [format!("cosignature/v1\ntime {time}\n").as_bytes(), text].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use fieldledger_tlog::Hash;
    use proptest::prelude::*;

    fn checkpoint(size: u64) -> SignedCheckpoint {
        let log = fieldledger_tlog::LogKey::from_seed("example.com/log", &[7; 32]).unwrap();
        let note = log.sign(size, Hash([9; 32])).unwrap();
        SignedCheckpoint::parse(note.as_bytes()).unwrap()
    }

    fn witness(seed: u8) -> WitnessSigner {
        WitnessSigner::from_seed("example.org/witness", &[seed; 32]).unwrap()
    }

    fn with_line(checkpoint: &SignedCheckpoint, line: &str) -> SignedCheckpoint {
        SignedCheckpoint::parse(format!("{}{line}", checkpoint.to_note()).as_bytes()).unwrap()
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        // C2SP tlog-cosignature publishes no secret key, and the public one only as an id: what can
        // be checked is the form.
        let note = "example.com/behind-the-sofa\n20852163\n\
            CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZ\
            CB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let signed = SignedCheckpoint::parse(note.as_bytes()).unwrap();
        assert_eq!(signed.size(), 20_852_163);
        assert_eq!(
            message(1_679_315_147, signed.text().as_bytes()),
            b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n\
              CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        );
    }

    #[test]
    fn a_cosignature_verifies_on_its_checkpoint_only() {
        let (one, other) = (checkpoint(1), checkpoint(2));
        let cosignature = witness(1).cosign(&one, 1_679_315_147);
        let on_one = with_line(&one, &cosignature.line);
        assert_eq!(
            witness(1).key().cosignature_on(&on_one).unwrap(),
            cosignature
        );
        let on_other = with_line(&other, &cosignature.line);
        assert_eq!(
            witness(1).key().cosignature_on(&on_other),
            Err(SignatureError::False)
        );
        assert_eq!(
            witness(2).key().cosignature_on(&on_one),
            Err(SignatureError::Unsigned)
        );
    }

    #[test]
    fn a_key_is_written_as_it_was_read_and_is_no_log_key() {
        let vkey = witness(1).key().to_string();
        assert_eq!(&WitnessKey::parse(&vkey).unwrap(), witness(1).key());
        assert!(crate::LogKey::parse(&vkey).is_err());
        for name in ["", "a b", "a+b", "a\nb"] {
            assert!(WitnessSigner::from_seed(name, &[1; 32]).is_none());
        }
    }

    #[test]
    fn times_end_with_63_bits() {
        let one = checkpoint(1);
        let cosignature = witness(1).cosign(&one, u64::MAX);
        assert_eq!(cosignature.time, i64::MAX as u64);
        let key = witness(1);
        let text = one.text().as_bytes();
        let signature = key.secret.sign(&message(u64::MAX, text)).to_bytes();
        let value = [u64::MAX.to_be_bytes().as_slice(), &signature].concat();
        assert!(!key.key().verify(text, &value));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn one_changed_bit_is_noticed(position in 0_usize..72, bit in 0_u8..8) {
            let one = checkpoint(1);
            let signer = witness(1);
            let on_one = with_line(&one, &signer.cosign(&one, 5).line);
            let signatures = on_one.signatures_by(&[signer.key()]).unwrap();
            let mut value = signatures[0].signature().to_vec();
            prop_assert!(signer.key().verify(one.text().as_bytes(), &value));
            value[position] ^= 1 << bit;
            prop_assert!(!signer.key().verify(one.text().as_bytes(), &value));
        }

        #[test]
        fn any_bytes_are_no_cosignature(value: Vec<u8>) {
            prop_assert!(!witness(1).key().verify(checkpoint(1).text().as_bytes(), &value));
        }
    }
}
