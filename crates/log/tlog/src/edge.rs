//! The right edge of a growing tree: all that its writer has to remember.

use std::sync::Arc;

use tlog_tiles::{EMPTY_HASH, Hash, Tile, node_hash};

use crate::{HASH_BYTES, MAX_TREE_SIZE, TILE_BYTES, TILE_WIDTH};

/// Root of the subtree of a full tile: the hash that the tile above has for it.
#[must_use]
pub fn tile_root(tile: &[u8; TILE_BYTES]) -> Hash {
    Tile::subtree_hash(tile)
}

/// The unfinished tile of each level: at most 255 hashes for every factor 256 of the tree's size.
///
/// A clone shares the hashes until either is pushed to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edge {
    size: u64,
    /// The hashes of the unfinished tile of each level, one after the other.
    levels: Vec<Arc<Vec<u8>>>,
}

/// A tile that will never change again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    /// Its level; 0 holds leaf hashes.
    pub level: u8,
    /// Its number within the level.
    pub number: u64,
    /// Its 256 hashes.
    pub bytes: Arc<Vec<u8>>,
}

/// Why stored hashes are no edge of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// Larger than [`MAX_TREE_SIZE`].
    #[error("a tree has at most {MAX_TREE_SIZE} leaves, not {0}")]
    Size(u64),
    /// A level has too few or too many hashes for the size.
    #[error("level {level} of the edge has {found} bytes instead of {expected}")]
    Level {
        /// Which level.
        level: usize,
        /// Bytes there are.
        found: usize,
        /// Bytes there should be.
        expected: usize,
    },
}

impl Edge {
    /// The edge of a tree of `size` leaves, from the hashes of its unfinished tiles as
    /// [`Edge::tile`] gives them.
    ///
    /// # Errors
    ///
    /// When a level has not as many hashes as the size demands.
    pub fn restore(size: u64, levels: Vec<Vec<u8>>) -> Result<Self, EdgeError> {
        if size > MAX_TREE_SIZE {
            return Err(EdgeError::Size(size));
        }
        let height = levels_for(size);
        for level in 0..height.max(levels.len()) {
            let found = levels.get(level).map_or(0, Vec::len);
            let expected = hashes_on_level(size, level) * HASH_BYTES;
            if found != expected {
                return Err(EdgeError::Level {
                    level,
                    found,
                    expected,
                });
            }
        }
        Ok(Self {
            size,
            levels: levels.into_iter().take(height).map(Arc::new).collect(),
        })
    }

    /// Leaves in the tree.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Levels of tiles in the tree.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// The hashes of the unfinished tile of `level`, where the tree reaches that high.
    #[must_use]
    pub fn tile(&self, level: u8) -> Option<Arc<Vec<u8>>> {
        self.levels.get(usize::from(level)).cloned()
    }

    /// Number of the unfinished tile of `level`; all tiles before it are full.
    #[must_use]
    pub fn tile_number(&self, level: u8) -> u64 {
        let shift = 8 * (u32::from(level) + 1);
        self.size.checked_shr(shift).unwrap_or(0)
    }

    /// Appends a leaf's hash, and returns the tiles which that completes, lowest first.
    pub fn push(&mut self, leaf_hash: Hash) -> Vec<FullTile> {
        let mut full = Vec::new();
        let mut hash = leaf_hash;
        self.size += 1;
        for level in 0..u8::MAX {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Arc::default());
            }
            let tile = &mut self.levels[usize::from(level)];
            Arc::make_mut(tile).extend_from_slice(&hash.0);
            if tile.len() < TILE_BYTES {
                break;
            }
            let bytes = std::mem::take(tile);
            hash = Tile::subtree_hash(&bytes);
            let number = self.tile_number(level) - 1;
            full.push(FullTile {
                level,
                number,
                bytes,
            });
        }
        full
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        // From the smallest perfect subtree, at the right, to the greatest, at the left.
        let mut root = None;
        for tile in &self.levels {
            let width = tile.len() / HASH_BYTES;
            let mut end = width;
            while end > 0 {
                let subtree = 1 << end.trailing_zeros();
                let start = end - subtree;
                let left = Tile::subtree_hash(&tile[start * HASH_BYTES..end * HASH_BYTES]);
                root = Some(match root {
                    Some(right) => node_hash(left, right),
                    None => left,
                });
                end = start;
            }
        }
        root.unwrap_or(EMPTY_HASH)
    }
}

fn levels_for(size: u64) -> usize {
    let bits = u64::BITS - size.leading_zeros();
    bits.div_ceil(8) as usize
}

fn hashes_on_level(size: u64, level: usize) -> usize {
    let on_level = u32::try_from(8 * level)
        .ok()
        .and_then(|shift| size.checked_shr(shift))
        .unwrap_or(0);
    (on_level % TILE_WIDTH as u64) as usize
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tlog_tiles::record_hash;

    fn edge_of(size: u64) -> Edge {
        let mut edge = Edge::default();
        for index in 0..size {
            edge.push(record_hash(&index.to_be_bytes()));
        }
        edge
    }

    #[test]
    fn roots_are_those_of_rfc_6962() {
        // The eight leaves and roots published with transparency-dev/merkle.
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut edge = Edge::default();
        assert_eq!(edge.root(), EMPTY_HASH);
        for (leaf, root) in leaves.iter().zip(roots) {
            edge.push(record_hash(&hex::decode(leaf).unwrap()));
            assert_eq!(hex::encode(edge.root().0), root);
        }
    }

    #[test]
    fn a_tile_is_given_out_when_it_is_full() {
        let mut edge = edge_of(65_535);
        let full = edge.push(record_hash(b"last"));
        let coordinates: Vec<_> = full.iter().map(|tile| (tile.level, tile.number)).collect();
        assert_eq!(coordinates, [(0, 255), (1, 0)]);
        assert_eq!(edge.size(), 65_536);
        assert_eq!(edge.levels(), 3);
        assert_eq!(edge.tile(2).unwrap().len(), HASH_BYTES);
        assert_eq!(edge.tile_number(0), 256);
    }

    #[test]
    fn an_edge_is_restored_from_its_tiles() {
        for size in [0, 1, 255, 256, 257, 65_536, 66_000] {
            let edge = edge_of(size);
            let tiles = edge.levels.iter().map(|tile| tile.to_vec()).collect();
            assert_eq!(Edge::restore(size, tiles).unwrap(), edge);
        }
    }

    #[test]
    fn an_edge_of_another_size_is_refused() {
        let tiles: Vec<_> = edge_of(300)
            .levels
            .iter()
            .map(|tile| tile.to_vec())
            .collect();
        let error = Edge::restore(301, tiles.clone()).unwrap_err();
        assert_eq!(
            error,
            EdgeError::Level {
                level: 0,
                found: 44 * 32,
                expected: 45 * 32
            }
        );
        assert!(Edge::restore(0, tiles).is_err());
        assert!(Edge::restore(1 << 63, Vec::new()).is_err());
    }
}
