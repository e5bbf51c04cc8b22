//! Every root and proof against the recursive definition of RFC 6962, section 2.1, and against
//! verifiers written from the way Pangea's clients read the texts; nothing here is shared with the
//! crate but the texts.
#![allow(clippy::unwrap_used)]

use fieldledger_chance::proptest_config;
use fieldledger_pangea_tree::{
    Hash, Tree, completed_by, consistency, membership, root, verify_consistency,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

type Bytes = Vec<u8>;

fn node(left: &[u8], right: &[u8]) -> Bytes {
    Sha256::digest([left, right].concat()).to_vec()
}

/// The definition itself.
fn merkle_tree_hash(leaves: &[Bytes]) -> Bytes {
    match leaves {
        [] => Sha256::digest([]).to_vec(),
        [leaf] => leaf.clone(),
        leaves => {
            let mut half = 1;
            while half * 2 < leaves.len() {
                half *= 2;
            }
            let (left, right) = leaves.split_at(half);
            node(&merkle_tree_hash(left), &merkle_tree_hash(right))
        }
    }
}

/// Follows `l:<hex>,r:<hex>` from a leaf.
fn follow(leaf: &[u8], path: &str) -> Bytes {
    let steps = path.split(',').filter(|step| !step.is_empty());
    steps.fold(leaf.to_vec(), |hash, step| {
        let other = hex::decode(&step[2..]).unwrap();
        match &step[..2] {
            "l:" => node(&other, &hash),
            "r:" => node(&hash, &other),
            _ => panic!("{step}"),
        }
    })
}

/// Whether the items make up the old root and lead to the new one.
fn is_consistent(items: &[String], old_root: &[u8], new_root: &[u8]) -> bool {
    let mut folded: Option<Bytes> = None;
    for item in items {
        let (own, path) = item.split_once(',').unwrap();
        let own = hex::decode(own.strip_prefix("x:").unwrap()).unwrap();
        if follow(&own, path) != new_root {
            return false;
        }
        folded = Some(match folded {
            None => own,
            Some(hash) => node(&own, &hash),
        });
    }
    folded.as_deref() == Some(old_root)
}

fn leaves(count: usize, seed: u8) -> Vec<Bytes> {
    let leaf = |number: usize| Sha256::digest([&[seed][..], &number.to_be_bytes()].concat());
    (0..count).map(|number| leaf(number).to_vec()).collect()
}

fn tree_of(leaves: &[Bytes]) -> Tree {
    leaves.iter().map(|leaf| hash(leaf)).collect()
}

fn hash(bytes: &[u8]) -> Hash {
    Hash(bytes.try_into().unwrap())
}

#[test]
fn every_small_tree_has_the_defined_root_and_paths() {
    for size in 0..70 {
        let leaves = leaves(size, 1);
        let tree = tree_of(&leaves);
        let expected = merkle_tree_hash(&leaves);
        assert_eq!(tree.root().0[..], expected[..], "{size}");
        for (index, leaf) in leaves.iter().enumerate() {
            let Ok(path) = membership(index as u64, size as u64, &tree);
            assert_eq!(
                follow(leaf, &path.to_string()),
                expected,
                "{index} of {size}"
            );
        }
    }
}

#[test]
fn every_pair_of_small_trees_is_consistent() {
    let leaves = leaves(40, 2);
    let tree = tree_of(&leaves);
    for new in 1..=40 {
        let new_root = merkle_tree_hash(&leaves[..new]);
        for old in 1..new {
            let old_root = merkle_tree_hash(&leaves[..old]);
            let Ok(peaks) = consistency(old as u64, new as u64, &tree);
            let items: Vec<String> = peaks.iter().map(ToString::to_string).collect();
            assert!(
                is_consistent(&items, &old_root, &new_root),
                "{old} in {new}"
            );
            assert!(verify_consistency(&peaks, hash(&old_root), hash(&new_root)));
            assert!(!verify_consistency(
                &peaks,
                hash(&new_root),
                hash(&old_root)
            ));
        }
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn a_larger_tree_keeps_what_it_was(
        size in 1_usize..600,
        earlier in 1_usize..600,
        index in 0_usize..600,
        changed in 0_usize..600,
    ) {
        let earlier = earlier.min(size);
        let (index, changed) = (index % earlier, changed % size);
        let honest = leaves(size, 3);
        let tree = tree_of(&honest);
        let old_root = merkle_tree_hash(&honest[..earlier]);
        let Ok(found) = root(earlier as u64, &tree);
        prop_assert_eq!(&found.0[..], &old_root[..]);
        let Ok(path) = membership(index as u64, earlier as u64, &tree);
        prop_assert_eq!(follow(&honest[index], &path.to_string()), old_root.clone());

        // What was changed is found out: it has another root, which no proof leads to.
        let mut forged = honest.clone();
        forged[changed][0] ^= 1;
        let forged_tree = tree_of(&forged);
        prop_assert_ne!(forged_tree.root(), tree.root());
        let Ok(path) = membership(changed as u64, size as u64, &tree);
        prop_assert_ne!(path.fold(hash(&forged[changed])), tree.root());
        if changed < earlier && earlier < size {
            let Ok(peaks) = consistency(earlier as u64, size as u64, &forged_tree);
            prop_assert!(!verify_consistency(&peaks, hash(&old_root), forged_tree.root()));
        }
    }

    #[test]
    fn nodes_can_be_kept_one_by_one(size in 0_usize..100) {
        let mut kept = std::collections::HashMap::new();
        let leaves = leaves(size, 4);
        let tree = tree_of(&leaves);
        for (number, leaf) in tree.leaves().iter().enumerate() {
            let Ok(completed) = completed_by(*leaf, number as u64, &tree);
            for node in completed {
                prop_assert_eq!(kept.insert((node.level, node.number), node.hash), None);
            }
        }
        for ((level, number), hash) in kept {
            let width = 1_usize << level;
            let first = usize::try_from(number).unwrap() * width;
            let expected = merkle_tree_hash(&leaves[first..first + width]);
            prop_assert_eq!(&hash.0[..], &expected[..]);
        }
    }
}
