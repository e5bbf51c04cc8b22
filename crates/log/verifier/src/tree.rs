//! Merkle trees as RFC 6962 hashes them, and the proof checks of RFC 9162.

use sha2::{Digest, Sha256};

use crate::Hash;

/// Why a proof does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeError {
    /// There is no such leaf in a tree of this size.
    #[error("leaf {index} is outside a tree of {size} leaves")]
    OutsideTree {
        /// Index of the leaf.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The sizes cannot be those of an older and a newer tree.
    #[error("sizes {old} and {new} are not those of an older and a newer tree")]
    Sizes {
        /// Leaves in the older tree.
        old: u64,
        /// Leaves in the newer tree.
        new: u64,
    },
    /// The proof has more or fewer hashes than the tree's shape asks for.
    #[error("the proof has {found} hashes, which does not fit the shape of the tree")]
    Length {
        /// Hashes in the proof.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root than the {tree} tree has")]
    Root {
        /// `older` or `newer`.
        tree: &'static str,
    },
}

/// Hash of a leaf: `SHA-256(0x00 || data)` (RFC 6962, section 2.1).
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(data)
        .finalize()
        .into()
}

/// Hash of an inner node: `SHA-256(0x01 || left || right)` (RFC 6962, section 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// Root of a tree without leaves: the hash of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Checks that the leaf with hash `leaf` is number `index` of the tree with `size` leaves and root
/// `root` (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`TreeError`] says which part of the proof does not hold.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), TreeError> {
    if index >= size {
        return Err(TreeError::OutsideTree { index, size });
    }
    // `node` and `last` are the positions, on the present level, of our node and of the last node.
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(TreeError::Length { found: path.len() });
        }
        if node % 2 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A last node without a sibling rises unchanged until it is a right child.
            while node.is_multiple_of(2) && node != 0 {
                node /= 2;
                last /= 2;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node /= 2;
        last /= 2;
    }
    if last != 0 {
        return Err(TreeError::Length { found: path.len() });
    }
    if hash == *root {
        Ok(())
    } else {
        Err(TreeError::Root { tree: "newer" })
    }
}

/// Checks that the tree of `new_size` leaves continues the tree of `old_size` leaves
/// (RFC 9162, section 2.1.4.2). Every tree continues the empty one.
///
/// # Errors
/// [`TreeError`] says which part of the proof does not hold.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), TreeError> {
    let wrong_length = TreeError::Length { found: proof.len() };
    if old_size > new_size {
        return Err(TreeError::Sizes {
            old: old_size,
            new: new_size,
        });
    }
    if old_size == 0 || old_size == new_size {
        if !proof.is_empty() {
            return Err(wrong_length);
        }
        let expected = if old_size == 0 {
            empty_root()
        } else {
            *new_root
        };
        return if *old_root == expected {
            Ok(())
        } else {
            Err(TreeError::Root { tree: "older" })
        };
    }
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node % 2 == 1 {
        node /= 2;
        last /= 2;
    }
    // Where the old tree is complete its root is the first node and is not sent.
    let (start, rest) = if old_size.is_power_of_two() {
        (*old_root, proof)
    } else {
        let Some((first, rest)) = proof.split_first() else {
            return Err(wrong_length);
        };
        (*first, rest)
    };
    let (mut old_hash, mut new_hash) = (start, start);
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if node % 2 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node.is_multiple_of(2) && node != 0 {
                node /= 2;
                last /= 2;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node /= 2;
        last /= 2;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if old_hash != *old_root {
        return Err(TreeError::Root { tree: "older" });
    }
    if new_hash != *new_root {
        return Err(TreeError::Root { tree: "newer" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    /// Section 2.1 of RFC 6962, word for word: slow, and another way than the checks above.
    fn root_of(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node_hash(&root_of(left), &root_of(right))
            }
        }
    }

    fn split(count: usize) -> usize {
        count.next_power_of_two() / 2
    }

    fn path_to(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut path, sibling) = if index < left.len() {
            (path_to(index, left), root_of(right))
        } else {
            (path_to(index - left.len(), right), root_of(left))
        };
        path.push(sibling);
        path
    }

    fn consistency(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if whole {
                Vec::new()
            } else {
                vec![root_of(leaves)]
            };
        }
        let middle = split(leaves.len());
        let (left, right) = leaves.split_at(middle);
        if old <= middle {
            let mut proof = consistency(old, left, whole);
            proof.push(root_of(right));
            proof
        } else {
            let mut proof = consistency(old - middle, right, false);
            proof.push(root_of(left));
            proof
        }
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count)
            .map(|number| leaf_hash(&number.to_be_bytes()))
            .collect()
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn every_leaf_is_proved(count in 1_usize..300, pick in any::<prop::sample::Index>()) {
            let leaves = leaves(count);
            let index = pick.index(count);
            let path = path_to(index, &leaves);
            let root = root_of(&leaves);
            prop_assert_eq!(verify_inclusion(&leaves[index], index as u64, count as u64, &path, &root), Ok(()));
        }

        #[test]
        fn a_changed_path_is_refused(count in 2_usize..300, pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_usize..256) {
            let leaves = leaves(count);
            let index = pick.index(count);
            let mut path = path_to(index, &leaves);
            let at = at.index(path.len());
            path[at][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_inclusion(&leaves[index], index as u64, count as u64, &path, &root_of(&leaves)).is_err());
        }

        #[test]
        fn a_path_of_another_length_is_refused(count in 2_usize..300, pick in any::<prop::sample::Index>()) {
            let leaves = leaves(count);
            let index = pick.index(count);
            let root = root_of(&leaves);
            let mut path = path_to(index, &leaves);
            path.push([7; 32]);
            prop_assert!(verify_inclusion(&leaves[index], index as u64, count as u64, &path, &root).is_err());
            path.truncate(path.len() - 2);
            prop_assert!(verify_inclusion(&leaves[index], index as u64, count as u64, &path, &root).is_err());
        }

        #[test]
        fn a_grown_tree_is_consistent(new in 1_usize..200, pick in any::<prop::sample::Index>()) {
            let leaves = leaves(new);
            let old = pick.index(new + 1);
            let old_root = root_of(&leaves[..old]);
            let new_root = root_of(&leaves);
            let proof = if old == 0 { Vec::new() } else { consistency(old, &leaves, true) };
            prop_assert_eq!(verify_consistency(old as u64, &old_root, new as u64, &new_root, &proof), Ok(()));
        }

        #[test]
        fn a_rewritten_tree_is_not(new in 2_usize..200, pick in any::<prop::sample::Index>(), victim in any::<prop::sample::Index>()) {
            let honest = leaves(new);
            let old = 1 + pick.index(new - 1);
            let mut forged = honest.clone();
            forged[victim.index(old)] = leaf_hash(b"forged");
            let proof = consistency(old, &forged, true);
            let checked = verify_consistency(old as u64, &root_of(&honest[..old]), new as u64, &root_of(&forged), &proof);
            prop_assert!(checked.is_err());
        }
    }

    #[test]
    fn no_leaf_beyond_the_end() {
        let outside = verify_inclusion(&[0; 32], 3, 3, &[], &[0; 32]);
        assert_eq!(outside, Err(TreeError::OutsideTree { index: 3, size: 3 }));
        assert!(verify_inclusion(&[0; 32], 0, 0, &[], &empty_root()).is_err());
    }
}
