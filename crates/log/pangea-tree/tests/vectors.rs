//! Proofs that Pangea's own service made, from the tests of its Go client (`TestSearch_Verify`) and
//! of its Python client (`log_artifact.json`).
#![allow(clippy::unwrap_used)]

use fieldledger_pangea_tree::{Hash, Path, Peak, Side, Step, verify_consistency};
use serde_json::Value;

fn vectors() -> [Value; 2] {
    [
        include_str!("vectors/size_31.json"),
        include_str!("vectors/size_112.json"),
    ]
    .map(|text| serde_json::from_str(text).unwrap())
}

fn hash(value: &Value) -> Hash {
    value.as_str().unwrap().parse().unwrap()
}

fn path(text: &str) -> Path {
    let step = |step: &str| {
        let (side, hash) = step.split_once(':').unwrap();
        Step {
            side: if side == "l" { Side::Left } else { Side::Right },
            hash: hash.parse().unwrap(),
        }
    };
    Path(text.split(',').map(step).collect())
}

fn peaks(vector: &Value) -> Vec<Peak> {
    let items = vector["consistency_proof"].as_array().unwrap().iter();
    let peak = |item: &Value| {
        let (node, rest) = item.as_str().unwrap().split_once(',').unwrap();
        let node = node.strip_prefix("x:").unwrap().parse().unwrap();
        let path = path(rest);
        Peak { node, path }
    };
    items.map(peak).collect()
}

#[test]
fn the_services_proofs_hold() {
    for vector in vectors() {
        let proof = vector["membership_proof"].as_str().unwrap();
        let path = path(proof);
        assert_eq!(path.to_string(), proof);
        let root = hash(&vector["root_hash"]);
        assert_eq!(path.fold(hash(&vector["hash"])), root);
        assert_ne!(path.fold(hash(&vector["root_hash"])), root);
    }
}

/// The old root is not in the vectors; it is what the peaks make up, and of it the path of the last
/// published leaf knows the parts.
#[test]
fn the_services_consistency_holds() {
    for vector in vectors() {
        let peaks = peaks(&vector);
        let items = vector["consistency_proof"].as_array().unwrap();
        for (peak, item) in peaks.iter().zip(items) {
            assert_eq!(peak.to_string(), item.as_str().unwrap());
        }
        let old_size = vector["leaf_index"].as_u64().unwrap();
        assert_eq!(peaks.len(), old_size.count_ones() as usize);
        let folded = peaks.iter().map(|peak| peak.node);
        let old_root = folded
            .reduce(|right, left| fieldledger_pangea_tree::pair(left, right))
            .unwrap();
        let new_root = hash(&vector["root_hash"]);
        assert!(verify_consistency(&peaks, old_root, new_root));
        assert!(!verify_consistency(&peaks[1..], old_root, new_root));
    }
}
