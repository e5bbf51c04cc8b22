//! What auditors and witnesses exchange: checkpoints, tiles, bundles, proofs. `crates/log/verifier` was
//! written apart from `crates/log/tlog`, so the two must agree on every input.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use fieldledger_tlog::{
    Edge, HASH_BYTES, Hash, LEAF_BYTES, Leaf, LogKey, TileSource, consistency, decode_bundle,
    encode_bundle, inclusion, open_checkpoint, verify_consistency, verify_inclusion,
};
use fieldledger_verifier::{note, tree};
use sha2::{Digest as _, Sha256};

const ORIGIN: &str = "fuzz.example/log";
const SEED: [u8; 32] = [7; 32];

/// The log's key, for one who signs, for one who checks, and for the other who checks.
struct Keys {
    secret: SigningKey,
    ours: String,
    theirs: note::LogKey,
    id: [u8; 4],
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = LogKey::from_seed(ORIGIN, &SEED).expect("the key is good");
    let secret = SigningKey::from_bytes(&SEED);
    let hash = Sha256::new()
        .chain_update(ORIGIN)
        .chain_update(b"\n\x01")
        .chain_update(secret.verifying_key())
        .finalize();
    Keys {
        secret,
        ours: key.verifier_key().to_owned(),
        theirs: note::LogKey::parse(key.verifier_key()).expect("the verifier reads our key"),
        id: [hash[0], hash[1], hash[2], hash[3]],
    }
});

/// A note as it is, and again with the bytes as its text and a good signature below it.
pub(crate) fn checkpoint(data: &[u8]) {
    agree(data);
    let Ok(body) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(key) = note::LogKey::parse(body) {
        assert!(!key.name().is_empty());
    }
    let text = format!("{}\n", body.trim_end_matches('\n'));
    let signature = KEYS.secret.sign(text.as_bytes());
    let value = [KEYS.id.as_slice(), &signature.to_bytes()].concat();
    let signed = format!("{text}\n— {ORIGIN} {}\n", BASE64_STANDARD.encode(value));
    agree(signed.as_bytes());
}

fn agree(bytes: &[u8]) {
    let opened = open_checkpoint(bytes, &KEYS.ours).ok();
    let verified = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| note::open(text, &KEYS.theirs).ok());
    match (&opened, &verified) {
        (Some(one), Some(other)) => {
            assert_eq!((one.size, one.root.0), (other.size, other.root));
        }
        (None, None) => {}
        _ => panic!("one opens what the other refuses: {opened:?}, {verified:?}"),
    }
}

/// A bundle of entries, and its leaves.
pub(crate) fn bundle(data: &[u8]) {
    if let Ok(entries) = decode_bundle(data) {
        let again = encode_bundle(entries.iter().copied()).expect("its lengths fit");
        assert_eq!(again, data);
        for entry in entries {
            leaf(entry);
        }
    }
    leaf(data);
}

fn leaf(bytes: &[u8]) {
    if let Ok(leaf) = Leaf::decode(bytes) {
        assert_eq!(leaf.encode(), bytes);
        assert_eq!(bytes.len(), LEAF_BYTES);
        assert_eq!(leaf.hash().0, tree::leaf_hash(bytes));
    }
}

/// Every tile is the same bytes.
struct Same(Arc<Vec<u8>>);

impl TileSource for Same {
    type Error = std::convert::Infallible;

    fn tile(&self, _level: u8, _number: u64) -> Result<Arc<Vec<u8>>, Self::Error> {
        Ok(Arc::clone(&self.0))
    }
}

/// Two numbers, then the bytes of the tiles of a tree.
pub(crate) fn tile(data: &[u8]) {
    let Some((one, rest)) = data.split_first_chunk::<8>() else {
        return;
    };
    let Some((other, bytes)) = rest.split_first_chunk::<8>() else {
        return;
    };
    let (one, other) = (u64::from_le_bytes(*one), u64::from_le_bytes(*other));
    let source = Same(Arc::new(bytes.to_vec()));
    let _ = inclusion(one, other, &source);
    let _ = consistency(one, other, &source);
    let levels = bytes.chunks(HASH_BYTES * 255).map(<[u8]>::to_vec).collect();
    if let Ok(mut edge) = Edge::restore(one, levels) {
        let size = edge.size();
        edge.push(Hash([0; HASH_BYTES]));
        assert_eq!(edge.size(), size + 1);
        let _ = edge.root();
    }
}

/// Two small numbers, two roots or a leaf and a root, and a proof.
pub(crate) fn proof(data: &[u8]) {
    let Some((numbers, hashes)) = data.split_first_chunk::<4>() else {
        return;
    };
    let one = u64::from(u16::from_le_bytes([numbers[0], numbers[1]]));
    let other = u64::from(u16::from_le_bytes([numbers[2], numbers[3]]));
    let (hashes, _) = hashes.as_chunks::<HASH_BYTES>();
    let [first, second, proof @ ..] = hashes else {
        return;
    };
    let path: Vec<Hash> = proof.iter().map(|hash| Hash(*hash)).collect();
    let ours = verify_inclusion(&path, other, Hash(*second), one, Hash(*first));
    let theirs = tree::verify_inclusion(first, one, other, proof, second);
    assert_eq!(ours, theirs.is_ok());
    // Every tree continues the empty one; only one of the two has a word for that.
    if one == 0 {
        return;
    }
    let ours = verify_consistency(&path, (one, Hash(*first)), (other, Hash(*second)));
    let theirs = tree::verify_consistency(one, first, other, second, proof);
    assert_eq!(ours, theirs.is_ok(), "{one} {other} {theirs:?}");
}
