//! Roots and proofs compared with those of ct-merkle, an implementation of its own.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof};
use fieldledger_chance::proptest_config;
use fieldledger_tlog::{
    Edge, HASH_BYTES, Hash, Leaf, ProofError, TILE_BYTES, TileSource, consistency, inclusion,
    root_at, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use sha2_oracle::Sha256;

/// A whole tree in memory, kept as a ledger keeps it: full tiles and the edge.
#[derive(Default)]
struct Tree {
    edge: Edge,
    full: HashMap<(u8, u64), Arc<Vec<u8>>>,
    oracle: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl Tree {
    fn of(size: u64) -> Self {
        let mut tree = Self::default();
        for index in 0..size {
            let leaf = leaf(index);
            for tile in tree.edge.push(leaf.hash()) {
                assert_eq!(tile.bytes.len(), TILE_BYTES);
                tree.full.insert((tile.level, tile.number), tile.bytes);
            }
            tree.oracle.push(leaf.encode().to_vec());
        }
        tree
    }
}

impl TileSource for Tree {
    type Error = (u8, u64);

    fn tile(&self, level: u8, number: u64) -> Result<Arc<Vec<u8>>, (u8, u64)> {
        if number == self.edge.tile_number(level) {
            return self.edge.tile(level).ok_or((level, number));
        }
        self.full
            .get(&(level, number))
            .cloned()
            .ok_or((level, number))
    }
}

fn leaf(index: u64) -> Leaf {
    Leaf {
        envelope_hash: [(index % 251) as u8; 32],
        index,
        received_at: index * 1_000,
    }
}

fn concat(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(|hash| hash.0).collect()
}

fn prefix_root(tree: &Tree, size: u64) -> Hash {
    let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for item in &tree.oracle.items()[..usize::try_from(size).unwrap()] {
        oracle.push(item.clone());
    }
    Hash(oracle.root().as_bytes().as_slice().try_into().unwrap())
}

#[test]
fn every_proof_in_small_trees_is_the_oracles() {
    for size in 1..=40 {
        let tree = Tree::of(size);
        check_inclusion(&tree, 0..size);
        for old in 1..=size {
            check_consistency(&tree, old);
        }
    }
}

fn check_inclusion(tree: &Tree, indices: impl IntoIterator<Item = u64>) {
    let size = tree.edge.size();
    let root = tree.edge.root();
    assert_eq!(&root.0[..], tree.oracle.root().as_bytes().as_slice());
    for index in indices {
        let proof = inclusion(index, size, tree).unwrap();
        let expected: InclusionProof<Sha256> =
            tree.oracle.prove_inclusion(usize::try_from(index).unwrap());
        assert_eq!(concat(&proof), expected.as_bytes());
        assert!(verify_inclusion(
            &proof,
            size,
            root,
            index,
            leaf(index).hash()
        ));
        assert!(!verify_inclusion(
            &proof,
            size,
            root,
            index,
            leaf(index + 1).hash()
        ));
    }
}

fn check_consistency(tree: &Tree, old: u64) {
    let size = tree.edge.size();
    let proof = consistency(old, size, tree).unwrap();
    let expected: ConsistencyProof<Sha256> = tree
        .oracle
        .prove_consistency(usize::try_from(size - old).unwrap());
    assert_eq!(concat(&proof), expected.as_bytes());
    let old_root = root_at(old, tree).unwrap();
    assert_eq!(old_root, prefix_root(tree, old));
    assert!(verify_consistency(
        &proof,
        (old, old_root),
        (size, tree.edge.root())
    ));
    assert!(!verify_consistency(
        &proof,
        (old, Hash([1; HASH_BYTES])),
        (size, tree.edge.root())
    ));
}

#[test]
fn what_does_not_exist_has_no_proof() {
    let tree = Tree::of(10);
    for (index, size) in [(10, 10), (0, 0), (0, 1 << 63), (u64::MAX, u64::MAX)] {
        assert!(matches!(
            inclusion(index, size, &tree),
            Err(ProofError::Range(_))
        ));
    }
    for (old, new) in [(0, 10), (6, 5), (1, 1 << 63)] {
        assert!(matches!(
            consistency(old, new, &tree),
            Err(ProofError::Range(_))
        ));
    }
    let short = ProofError::ShortTile {
        level: 0,
        number: 0,
        found: 10,
        expected: 11,
    };
    assert_eq!(root_at(11, &tree), Err(short));
}

#[test]
fn a_tile_that_cannot_be_read_is_named() {
    let mut tree = Tree::of(600);
    tree.full.remove(&(0, 1));
    assert_eq!(inclusion(300, 600, &tree), Err(ProofError::Source((0, 1))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..proptest_config() })]

    #[test]
    fn proofs_in_trees_of_several_levels_are_the_oracles(
        size in 200_u64..70_000,
        picks in proptest::collection::vec(0_u64..u64::MAX, 12),
    ) {
        let tree = Tree::of(size);
        check_inclusion(&tree, picks.iter().map(|pick| pick % size));
        for pick in &picks[..2] {
            check_consistency(&tree, 1 + pick % size);
        }
    }
}
