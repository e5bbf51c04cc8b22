//! A log as it is served: C2SP tlog-tiles.
//!
//! [`Edge`] grows a tree leaf by leaf. It holds the right-hand edge of the tree, the last tile of each
//! level, from which the root follows; and it says which tiles a log with these leaves must serve.

use crate::{
    Hash,
    tree::{empty_root, node_hash},
};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: usize = 256;

/// A tile of hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// 0 for the leaves' hashes.
    pub level: u8,
    /// Position within the level.
    pub number: u64,
    /// 1 to 256 hashes.
    pub hashes: Vec<Hash>,
}

impl Tile {
    /// Where the tile is found: `tile/0/x001/067`, with `.p/5` where it has but 5 hashes.
    #[must_use]
    pub fn path(&self) -> String {
        let folder = format!("tile/{}", self.level);
        numbered(&folder, self.number, self.hashes.len())
    }
}

/// Where a bundle of `width` entries is found.
#[must_use]
pub fn bundle_path(number: u64, width: usize) -> String {
    numbered("tile/entries", number, width)
}

/// Three digits to a folder; all but the last group have an `x` before them.
fn numbered(folder: &str, number: u64, width: usize) -> String {
    let mut groups = format!("{:03}", number % 1_000);
    let mut rest = number / 1_000;
    while rest > 0 {
        groups = format!("x{:03}/{groups}", rest % 1_000);
        rest /= 1_000;
    }
    match width {
        TILE_WIDTH => format!("{folder}/{groups}"),
        _ => format!("{folder}/{groups}.p/{width}"),
    }
}

/// The entries of a bundle: each has its length, two bytes big-endian, before it.
///
/// # Errors
/// The position of the entry within which the bytes end.
pub fn split_bundle(mut bytes: &[u8]) -> Result<Vec<&[u8]>, usize> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let cut = entries.len();
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(cut)?;
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

/// The right-hand edge of a tree that grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// Level by level the hashes of the last tile, fewer than a tile's width.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// An edge that was kept with [`Edge::levels`].
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_levels(levels: Vec<Vec<Hash>>) -> Result<Self, &'static str> {
        let mut size: u64 = 0;
        for hashes in levels.iter().rev() {
            if hashes.len() >= TILE_WIDTH {
                return Err("the last tile of a level has fewer than 256 hashes");
            }
            let below = size.checked_mul(TILE_WIDTH as u64);
            size = below.ok_or("more leaves than any tree has")? + hashes.len() as u64;
        }
        Ok(Self { size, levels })
    }

    /// Level by level the hashes of the last tile.
    #[must_use]
    pub fn levels(&self) -> &[Vec<Hash>] {
        &self.levels
    }

    /// Leaves in the tree.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf's hash, and gives the tiles that are full with it, lowest level first.
    pub fn push(&mut self, leaf: Hash) -> Vec<Tile> {
        let mut full = Vec::new();
        let mut hash = leaf;
        let mut number = self.size / TILE_WIDTH as u64;
        self.size += 1;
        for level in 0_u8.. {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(Vec::new());
            }
            self.levels[at].push(hash);
            if self.levels[at].len() < TILE_WIDTH {
                break;
            }
            let hashes = std::mem::take(&mut self.levels[at]);
            hash = fold(&peaks(&hashes), None).unwrap_or(hash);
            full.push(Tile {
                level,
                number,
                hashes,
            });
            number /= TILE_WIDTH as u64;
        }
        full
    }

    /// The tiles that are not full, lowest level first.
    #[must_use]
    pub fn partial_tiles(&self) -> Vec<Tile> {
        let mut tiles = Vec::new();
        let mut leaves = self.size;
        for (level, hashes) in (0_u8..).zip(&self.levels) {
            leaves /= TILE_WIDTH as u64;
            if !hashes.is_empty() {
                tiles.push(Tile {
                    level,
                    number: leaves,
                    hashes: hashes.clone(),
                });
            }
        }
        tiles
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let levels = self.levels.iter();
        let root = levels.fold(None, |right, hashes| fold(&peaks(hashes), right));
        root.unwrap_or_else(empty_root)
    }
}

/// Roots of the complete subtrees over these nodes, largest first: one for each bit of their number.
fn peaks(nodes: &[Hash]) -> Vec<Hash> {
    let mut peaks: Vec<Hash> = Vec::new();
    for (count, node) in nodes.iter().enumerate() {
        let mut hash = *node;
        // A subtree as large as the one that was completed joins it, and so on upwards.
        for _ in 0..count.trailing_ones() {
            if let Some(left) = peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        peaks.push(hash);
    }
    peaks
}

/// Joins complete subtrees, and what is to the right of them, to one tree (RFC 6962, section 2.1).
fn fold(peaks: &[Hash], right: Option<Hash>) -> Option<Hash> {
    peaks.iter().rev().fold(right, |right, peak| match right {
        Some(right) => Some(node_hash(peak, &right)),
        None => Some(*peak),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;
    use crate::tree::leaf_hash;

    /// Section 2.1 of RFC 6962, word for word.
    fn root_of(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(&root_of(left), &root_of(right))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Hash> {
        let numbers = 0..count;
        numbers
            .map(|number| leaf_hash(&number.to_be_bytes()))
            .collect()
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, number, width| Tile {
            level,
            number,
            hashes: vec![[0; 32]; width],
        };
        assert_eq!(tile(0, 1_234_067, 256).path(), "tile/0/x001/x234/067");
        assert_eq!(tile(2, 5, 255).path(), "tile/2/005.p/255");
        assert_eq!(bundle_path(1_067, 1), "tile/entries/x001/067.p/1");
    }

    #[test]
    fn the_tiles_of_a_large_tree_are_those_of_its_leaves() {
        let leaves = leaves(256 * 257 + 3);
        let mut edge = Edge::default();
        let mut full = Vec::new();
        for leaf in &leaves {
            full.extend(edge.push(*leaf));
        }
        let level_0: Vec<&Tile> = full.iter().filter(|tile| tile.level == 0).collect();
        assert_eq!(level_0.len(), 257);
        for (number, tile) in level_0.iter().enumerate() {
            assert_eq!(tile.number, number as u64);
            assert_eq!(tile.hashes, leaves[number * 256..][..256]);
        }
        let level_1 = full.iter().find(|tile| tile.level == 1).unwrap();
        assert_eq!(level_1.number, 0);
        for (at, hash) in level_1.hashes.iter().enumerate() {
            assert_eq!(*hash, root_of(&leaves[at * 256..][..256]));
        }
        let partial = edge.partial_tiles();
        let paths: Vec<String> = partial.iter().map(Tile::path).collect();
        assert_eq!(
            paths,
            ["tile/0/257.p/3", "tile/1/001.p/1", "tile/2/000.p/1"]
        );
        assert_eq!(edge.root(), root_of(&leaves));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn the_root_is_that_of_the_rfc(count in 0_u64..1_500, kept in 0_u64..1_500) {
            let mut edge = Edge::default();
            for (number, leaf) in leaves(count).iter().enumerate() {
                // An edge that is kept and taken up again is the same one.
                if number as u64 == kept {
                    edge = Edge::from_levels(edge.levels().to_vec()).unwrap();
                }
                edge.push(*leaf);
            }
            prop_assert_eq!(edge.size(), count);
            prop_assert_eq!(edge.root(), root_of(&leaves(count)));
        }

        #[test]
        fn any_bundle_is_split_or_refused(bytes: Vec<u8>) {
            if let Ok(entries) = split_bundle(&bytes) {
                let length: usize = entries.iter().map(|entry| entry.len() + 2).sum();
                prop_assert_eq!(length, bytes.len());
            }
        }
    }
}
