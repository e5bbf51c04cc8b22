//! The Merkle tree over readings (RFC 6962, section 2.1; proofs as in RFC 9162, section 2.1.3).
//!
//! A leaf is `SHA-256(0x00 || canonical reading)`, a node `SHA-256(0x01 || left || right)`.
//! [`RootBuilder`] and [`PathBuilder`] take one leaf at a time and keep at most [`MAX_PATH`] + 1
//! hashes, so that a device needs no room for the tree.

use heapless::Vec;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::reading::Reading;

/// Most readings in one tree.
pub const MAX_LEAVES: u32 = 1_024;

/// Most hashes in a path: the height of a tree of [`MAX_LEAVES`].
pub const MAX_PATH: usize = 10;

/// Most complete subtrees that stand side by side while a tree grows.
const MAX_PEAKS: usize = MAX_PATH + 1;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// From the leaf's neighbour up to the root's child.
pub type Path = Vec<Hash, MAX_PATH>;

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(reading: &Reading<'_>) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(reading.encode())
        .finalize()
        .into()
}

/// The hash of a node.
fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// Why a tree, a place in it or a path is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TreeError {
    /// One leaf more than [`MAX_LEAVES`].
    #[error("tree is full; it holds at most {MAX_LEAVES} readings")]
    Full,
    /// No leaf at all, or more than [`MAX_LEAVES`].
    #[error("tree of {size} readings is not one of 1 to {MAX_LEAVES}")]
    Size {
        /// Leaves of the tree.
        size: u32,
    },
    /// No such leaf.
    #[error("reading {index} is not in a tree of {size}")]
    Index {
        /// Number of the leaf, from 0.
        index: u32,
        /// Leaves of the tree.
        size: u32,
    },
    /// A path that is too short or too long for the leaf.
    #[error("path of {found} hashes does not fit reading {index} of {size}; it has {expected}")]
    PathLength {
        /// Number of the leaf, from 0.
        index: u32,
        /// Leaves of the tree.
        size: u32,
        /// Hashes in the path.
        found: usize,
        /// Hashes that belong there.
        expected: usize,
    },
}

/// A complete subtree.
#[derive(Debug, Clone)]
struct Peak {
    hash: Hash,
    /// Whether it holds the leaf whose path is built.
    is_wanted: bool,
}

/// The complete subtrees of the leaves so far, largest first, and the path as far as it is known.
#[derive(Debug, Clone, Default)]
struct Peaks {
    size: u32,
    peaks: Vec<Peak, MAX_PEAKS>,
    path: Path,
}

impl Peaks {
    fn push(&mut self, hash: Hash, is_wanted: bool) -> Result<(), TreeError> {
        if self.size >= MAX_LEAVES {
            return Err(TreeError::Full);
        }
        let mut right = Peak { hash, is_wanted };
        // Each one bit at the end of the size is a peak as high as what is now to its right.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                right = self.join(&left, &right);
            }
        }
        let fits = self.peaks.push(right);
        debug_assert!(
            fits.is_ok(),
            "a size up to MAX_LEAVES has at most MAX_PEAKS ones"
        );
        self.size += 1;
        Ok(())
    }

    fn join(&mut self, left: &Peak, right: &Peak) -> Peak {
        if left.is_wanted || right.is_wanted {
            let sibling = if left.is_wanted { right } else { left };
            let fits = self.path.push(sibling.hash);
            debug_assert!(fits.is_ok(), "a path is no longer than the tree is high");
        }
        Peak {
            hash: node_hash(&left.hash, &right.hash),
            is_wanted: left.is_wanted || right.is_wanted,
        }
    }

    /// The root over all peaks, and the whole path.
    fn finish(mut self) -> Result<(Hash, Path), TreeError> {
        let size = self.size;
        let mut root = self.peaks.pop().ok_or(TreeError::Size { size })?;
        while let Some(left) = self.peaks.pop() {
            root = self.join(&left, &root);
        }
        Ok((root.hash, self.path))
    }
}

/// Builds a root, leaf by leaf.
#[derive(Debug, Clone, Default)]
pub struct RootBuilder(Peaks);

impl RootBuilder {
    /// An empty tree, which has no root yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next reading.
    ///
    /// # Errors
    ///
    /// [`TreeError::Full`].
    pub fn push(&mut self, reading: &Reading<'_>) -> Result<(), TreeError> {
        self.0.push(leaf_hash(reading), false)
    }

    /// Readings so far.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.0.size
    }

    /// The root.
    ///
    /// # Errors
    ///
    /// [`TreeError::Size`] of an empty tree.
    pub fn root(self) -> Result<Hash, TreeError> {
        self.0.finish().map(|(root, _path)| root)
    }
}

/// Builds the path of one leaf, leaf by leaf.
#[derive(Debug, Clone)]
pub struct PathBuilder {
    index: u32,
    peaks: Peaks,
}

impl PathBuilder {
    /// For the leaf number `index`, counted from 0.
    #[must_use]
    pub fn new(index: u32) -> Self {
        Self {
            index,
            peaks: Peaks::default(),
        }
    }

    /// Adds the next reading, the wanted one as well as all others.
    ///
    /// # Errors
    ///
    /// [`TreeError::Full`].
    pub fn push(&mut self, reading: &Reading<'_>) -> Result<(), TreeError> {
        let is_wanted = self.peaks.size == self.index;
        self.peaks.push(leaf_hash(reading), is_wanted)
    }

    /// The path.
    ///
    /// # Errors
    ///
    /// [`TreeError::Index`] where the tree ended before that leaf.
    pub fn path(self) -> Result<Path, TreeError> {
        let (index, size) = (self.index, self.peaks.size);
        if index >= size {
            return Err(TreeError::Index { index, size });
        }
        self.peaks.finish().map(|(_root, path)| path)
    }
}

/// A whole tree in memory, for all paths at once.
#[cfg(feature = "alloc")]
#[derive(Debug, Clone)]
pub struct Tree {
    /// The leaves, the nodes above them, and so on to the root. A last hash without a neighbour is
    /// on the next level too, unchanged.
    levels: alloc::vec::Vec<alloc::vec::Vec<Hash>>,
}

#[cfg(feature = "alloc")]
impl Tree {
    /// The tree over these readings.
    ///
    /// # Errors
    ///
    /// [`TreeError::Size`] where there are none or too many.
    pub fn new(readings: &[Reading<'_>]) -> Result<Self, TreeError> {
        let size = u32::try_from(readings.len()).unwrap_or(u32::MAX);
        if !(1..=MAX_LEAVES).contains(&size) {
            return Err(TreeError::Size { size });
        }
        let mut level: alloc::vec::Vec<Hash> = readings.iter().map(leaf_hash).collect();
        let mut levels = alloc::vec::Vec::new();
        while level.len() > 1 {
            let next = level.chunks(2).map(|pair| match pair {
                [left, right] => node_hash(left, right),
                [alone, ..] => *alone,
                [] => Hash::default(),
            });
            let next = next.collect();
            levels.push(core::mem::replace(&mut level, next));
        }
        levels.push(level);
        Ok(Self { levels })
    }

    /// Leaves.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u32)
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let root = self.levels.last().and_then(|level| level.first());
        root.copied().unwrap_or_default()
    }

    /// The path of a leaf.
    ///
    /// # Errors
    ///
    /// [`TreeError::Index`] where there is no such leaf.
    pub fn path(&self, index: u32) -> Result<Path, TreeError> {
        let size = self.size();
        if index >= size {
            return Err(TreeError::Index { index, size });
        }
        let mut at = index as usize;
        let mut path = Path::new();
        for level in &self.levels {
            if let Some(sibling) = level.get(at ^ 1) {
                let fits = path.push(*sibling);
                debug_assert!(fits.is_ok(), "a path is no longer than the tree is high");
            }
            at /= 2;
        }
        Ok(path)
    }
}

/// The root that a leaf and its path lead to (RFC 9162, section 2.1.3.2).
///
/// # Errors
///
/// Where there can be no such leaf or no such path.
pub fn root_of_path(leaf: Hash, index: u32, size: u32, path: &[Hash]) -> Result<Hash, TreeError> {
    if !(1..=MAX_LEAVES).contains(&size) {
        return Err(TreeError::Size { size });
    }
    if index >= size {
        return Err(TreeError::Index { index, size });
    }
    let expected = path_length(index, size);
    if path.len() != expected {
        return Err(TreeError::PathLength {
            index,
            size,
            found: path.len(),
            expected,
        });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut root = leaf;
    for sibling in path {
        // A right child, or the last node of its level: its neighbour is to the left, some levels
        // higher where it has none.
        if node % 2 == 1 || node == last {
            let levels_alone = match node {
                0 => 0,
                _ => node.trailing_zeros(),
            };
            node >>= levels_alone;
            last >>= levels_alone;
            root = node_hash(sibling, &root);
        } else {
            root = node_hash(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    Ok(root)
}

/// How many neighbours a leaf has on its way to the root.
fn path_length(index: u32, size: u32) -> usize {
    let (mut node, mut last) = (index, size - 1);
    let mut length = 0;
    while last > 0 {
        if node % 2 == 1 || node < last {
            length += 1;
        }
        node >>= 1;
        last >>= 1;
    }
    length
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::string::String;
    use std::vec::Vec as List;

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;
    use crate::reading::Clock;

    /// Readings that differ in number and value.
    fn values(size: u32) -> List<String> {
        (0..size).map(|number| std::format!("{number}.5")).collect()
    }

    fn readings(values: &[String]) -> List<Reading<'_>> {
        (0..)
            .zip(values)
            .map(|(number, value)| Reading::new(number, Clock::Uptime(number), value, "").unwrap())
            .collect()
    }

    /// The definition of RFC 6962, section 2.1, as it stands there.
    fn defined_root(leaves: &[Reading<'_>]) -> Hash {
        if let [alone] = leaves {
            return leaf_hash(alone);
        }
        let split = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(split);
        node_hash(&defined_root(left), &defined_root(right))
    }

    /// Likewise, section 2.1.1.
    fn defined_path(index: usize, leaves: &[Reading<'_>]) -> List<Hash> {
        if leaves.len() == 1 {
            return List::new();
        }
        let split = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(split);
        let (mut path, sibling) = match index < split {
            true => (defined_path(index, left), defined_root(right)),
            false => (defined_path(index - split, right), defined_root(left)),
        };
        path.push(sibling);
        path
    }

    #[test]
    fn every_small_tree_is_as_defined() {
        let texts = values(70);
        let all = readings(&texts);
        for size in 1..=all.len() {
            let leaves = &all[..size];
            let expected = defined_root(leaves);
            let mut builder = RootBuilder::new();
            leaves.iter().for_each(|leaf| builder.push(leaf).unwrap());
            assert_eq!(builder.size() as usize, size);
            assert_eq!(builder.root(), Ok(expected));
            for index in 0..size {
                let mut builder = PathBuilder::new(index as u32);
                leaves.iter().for_each(|leaf| builder.push(leaf).unwrap());
                let path = builder.path().unwrap();
                assert_eq!(&path[..], &defined_path(index, leaves)[..]);
                let leaf = leaf_hash(&leaves[index]);
                let root = root_of_path(leaf, index as u32, size as u32, &path);
                assert_eq!(root, Ok(expected), "{index} of {size}");
            }
        }
    }

    #[test]
    #[cfg(feature = "alloc")]
    fn the_tree_in_memory_is_the_same() {
        let texts = values(70);
        let all = readings(&texts);
        for size in 1..=all.len() {
            let tree = Tree::new(&all[..size]).unwrap();
            assert_eq!(tree.root(), defined_root(&all[..size]));
            for index in 0..size {
                let path = tree.path(index as u32).unwrap();
                assert_eq!(&path[..], &defined_path(index, &all[..size])[..]);
            }
            assert!(tree.path(size as u32).is_err());
        }
        assert_eq!(Tree::new(&[]).unwrap_err(), TreeError::Size { size: 0 });
    }

    #[test]
    fn the_largest_tree_is_full() {
        let texts = values(MAX_LEAVES);
        let leaves = readings(&texts);
        let mut root = RootBuilder::new();
        let mut path = PathBuilder::new(MAX_LEAVES - 1);
        for leaf in &leaves {
            root.push(leaf).unwrap();
            path.push(leaf).unwrap();
        }
        assert_eq!(root.push(&leaves[0]), Err(TreeError::Full));
        let path = path.path().unwrap();
        assert_eq!(path.len(), MAX_PATH);
        let leaf = leaf_hash(&leaves[leaves.len() - 1]);
        let reached = root_of_path(leaf, MAX_LEAVES - 1, MAX_LEAVES, &path);
        assert_eq!(reached, root.root());
        assert_eq!(reached, Ok(defined_root(&leaves)));
    }

    #[test]
    fn impossible_places_are_refused() {
        let leaf = [1; 32];
        let path = [[2; 32]; 11];
        assert_eq!(
            root_of_path(leaf, 0, 0, &[]),
            Err(TreeError::Size { size: 0 })
        );
        let size = MAX_LEAVES + 1;
        assert_eq!(
            root_of_path(leaf, 0, size, &path),
            Err(TreeError::Size { size })
        );
        assert_eq!(
            root_of_path(leaf, 3, 3, &path[..2]),
            Err(TreeError::Index { index: 3, size: 3 })
        );
        assert!(matches!(
            root_of_path(leaf, 2, 3, &path[..2]),
            Err(TreeError::PathLength {
                found: 2,
                expected: 1,
                ..
            })
        ));
        assert_eq!(RootBuilder::new().root(), Err(TreeError::Size { size: 0 }));
        let empty = PathBuilder::new(0).path();
        assert_eq!(empty, Err(TreeError::Index { index: 0, size: 0 }));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn hostile_paths_never_panic(
            index in any::<u32>(),
            size in prop_oneof![any::<u32>(), 0..1_100_u32],
            length in 0..12_usize,
        ) {
            let path = [[3; 32]; 12];
            let _ = root_of_path([4; 32], index % size.max(1), size, &path[..length]);
            let _ = root_of_path([4; 32], index, size, &path[..length]);
        }

        #[test]
        fn a_changed_path_leads_elsewhere(
            size in 2..=300_u32,
            index in any::<proptest::sample::Index>(),
            hash in any::<proptest::sample::Index>(),
            bit in 0..256_usize,
        ) {
            let texts = values(size);
            let leaves = readings(&texts);
            let index = index.index(leaves.len());
            let mut builder = PathBuilder::new(index as u32);
            leaves.iter().for_each(|leaf| builder.push(leaf).unwrap());
            let mut path = builder.path().unwrap();
            let hash = hash.index(path.len());
            path[hash][bit / 8] ^= 1 << (bit % 8);
            let leaf = leaf_hash(&leaves[index]);
            let root = root_of_path(leaf, index as u32, size, &path).unwrap();
            prop_assert_ne!(root, defined_root(&leaves));
        }
    }
}
