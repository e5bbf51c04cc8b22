//! COSE receipts of inclusion, RFC 9942: a tree's root, signed, with the path that leads to it.
//!
//! A `COSE_Sign1` of algorithm EdDSA. Its payload, the root, is detached, so that a verifier must
//! compute it from the entry and the path.

use coset::cbor::value::Value;
use coset::{CborSerializable as _, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _};
use tlog_tiles::Hash;

use crate::{CheckpointError, LogKey};

/// Label of the verifiable data structure, a protected header.
const STRUCTURE: i64 = 395;

/// The verifiable data structure `RFC9162_SHA256`.
const RFC9162_SHA256: i64 = 1;

/// Label of the proofs, an unprotected header.
const PROOFS: i64 = 396;

/// Within the proofs, label of those of inclusion.
const INCLUSION: i64 = -1;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The path is empty, which the format excludes.
    #[error("a receipt needs a tree of two leaves or more")]
    SingleLeaf,
    /// The root cannot be signed.
    #[error(transparent)]
    Sign(#[from] CheckpointError),
    /// The receipt cannot be encoded.
    #[error("the receipt cannot be encoded: {0}")]
    Encode(coset::CoseError),
}

/// The receipt that leaf `index` is in the tree of `size` leaves with this `root`; `path` is its
/// audit path, from the leaf up. The key's id is the protected header `kid`.
///
/// # Errors
///
/// [`ReceiptError::SingleLeaf`] for a tree of one leaf; others where signing or encoding fails.
pub fn receipt(
    key: &LogKey,
    index: u64,
    size: u64,
    root: Hash,
    path: &[Hash],
) -> Result<Vec<u8>, ReceiptError> {
    if path.is_empty() {
        return Err(ReceiptError::SingleLeaf);
    }
    let path = path.iter().map(|hash| Value::Bytes(hash.0.to_vec()));
    let proof = Value::Array(vec![
        size.into(),
        index.into(),
        Value::Array(path.collect()),
    ]);
    let proof = proof.to_vec().map_err(ReceiptError::Encode)?;
    let proofs = Value::Map(vec![(
        INCLUSION.into(),
        Value::Array(vec![Value::Bytes(proof)]),
    )]);
    let protected = HeaderBuilder::new()
        .algorithm(coset::iana::Algorithm::EdDSA)
        .key_id(key.id().to_vec())
        .value(STRUCTURE, RFC9162_SHA256.into());
    let unprotected = HeaderBuilder::new().value(PROOFS, proofs);
    CoseSign1Builder::new()
        .protected(protected.build())
        .unprotected(unprotected.build())
        .try_create_detached_signature(&root.0, &[], |message| key.sign_message(message))?
        .build()
        .to_tagged_vec()
        .map_err(ReceiptError::Encode)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use coset::CoseSign1;
    use ed25519_dalek::{Signature, SigningKey};

    fn key() -> LogKey {
        LogKey::from_seed("example.com/log", &[7; 32]).unwrap()
    }

    #[test]
    fn a_receipt_is_signed_over_the_root_alone() {
        let root = Hash([9; 32]);
        let bytes = receipt(&key(), 1, 3, root, &[Hash([1; 32]), Hash([2; 32])]).unwrap();
        let sign1 = CoseSign1::from_tagged_slice(&bytes).unwrap();
        assert_eq!(sign1.payload, None);
        let public = SigningKey::from_bytes(&[7; 32]).verifying_key();
        let check = |root: &[u8]| {
            sign1.verify_detached_signature(root, &[], |signature, message| {
                public.verify_strict(message, &Signature::from_slice(signature).unwrap())
            })
        };
        assert!(check(&root.0).is_ok());
        assert!(check(&[8; 32]).is_err());
    }

    #[test]
    fn headers_and_proof_are_those_of_the_rfc() {
        let bytes = receipt(&key(), 1, 3, Hash([9; 32]), &[Hash([1; 32])]).unwrap();
        let sign1 = CoseSign1::from_tagged_slice(&bytes).unwrap();
        let id = hex::encode(key().id());
        // {1: -8, 4: kid, 395: 1}
        let expected = format!("a301270444{id}19018b01");
        let protected = sign1.protected.original_data.unwrap();
        assert_eq!(hex::encode(protected), expected);
        // {-1: [<<[3, 1, [path]]>>]}
        let expected = format!("a120815826830301815820{}", "01".repeat(32));
        let (label, proofs) = sign1.unprotected.rest[0].clone();
        assert_eq!(label, coset::Label::Int(PROOFS));
        assert_eq!(hex::encode(proofs.to_vec().unwrap()), expected);
    }

    #[test]
    fn a_tree_of_one_leaf_has_no_receipts() {
        let refused = receipt(&key(), 0, 1, Hash([9; 32]), &[]);
        assert!(matches!(refused, Err(ReceiptError::SingleLeaf)));
    }
}
