//! The roots of complete subtrees, which is all that a tree needs to keep.

use std::convert::Infallible;

use crate::hash::{Hash, pair};
use crate::proof;

/// Somewhere the roots of complete subtrees can be read.
pub trait Nodes {
    /// Why one cannot be read.
    type Error;

    /// The root of the complete subtree over the leaves from `number << level` on, `1 << level` of
    /// them. Level 0 are the leaves.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn node(&self, level: u8, number: u64) -> Result<Hash, Self::Error>;
}

/// A subtree that became complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completed {
    /// Its height.
    pub level: u8,
    /// Its position among those of its level.
    pub number: u64,
    /// Its root.
    pub hash: Hash,
}

/// The subtrees that `leaf` completes when it becomes leaf number `size`, smallest first: the leaf
/// itself, and those that end with it.
///
/// # Errors
///
/// When a node cannot be read.
pub fn completed_by<N: Nodes>(
    leaf: Hash,
    size: u64,
    nodes: &N,
) -> Result<Vec<Completed>, N::Error> {
    let mut completed = vec![Completed {
        level: 0,
        number: size,
        hash: leaf,
    }];
    let (mut level, mut number, mut hash) = (0_u8, size, leaf);
    while !number.is_multiple_of(2) {
        hash = pair(nodes.node(level, number - 1)?, hash);
        level += 1;
        number /= 2;
        completed.push(Completed {
            level,
            number,
            hash,
        });
    }
    Ok(completed)
}

/// A tree in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let nodes = &mut self.levels[level];
            nodes.push(hash);
            match nodes.as_slice() {
                [.., left, right] if nodes.len().is_multiple_of(2) => hash = pair(*left, *right),
                _ => return,
            }
        }
    }

    /// Its leaves.
    #[must_use]
    pub fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.leaves().len() as u64
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let Ok(root) = proof::root(self.size(), self);
        root
    }
}

impl FromIterator<Hash> for Tree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.push(leaf);
        }
        tree
    }
}

impl Nodes for Tree {
    type Error = Infallible;

    /// # Panics
    ///
    /// Where the tree has no such complete subtree.
    fn node(&self, level: u8, number: u64) -> Result<Hash, Infallible> {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        Ok(self.levels[usize::from(level)][number])
    }
}
