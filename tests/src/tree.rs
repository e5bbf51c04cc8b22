//! The root of a tree, computed from its leaves: shows that an earlier tree is the beginning of a
//! later one, whose leaves have been proved.

use fieldledger_verifier::{
    Hash,
    tree::{empty_root, node_hash},
};

use crate::api::Entry;

/// The RFC 6962 root of the tree of these entries.
#[must_use]
pub fn root_of(entries: &[Entry]) -> Hash {
    match entries {
        [] => empty_root(),
        [entry] => entry.leaf_hash,
        _ => {
            // The largest power of two below the number of leaves.
            let split = entries.len().next_power_of_two() / 2;
            let (left, right) = entries.split_at(split);
            node_hash(&root_of(left), &root_of(right))
        }
    }
}
