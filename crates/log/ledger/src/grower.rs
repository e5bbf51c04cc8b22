//! Extends the tree, and stores the tiles that this completes.

use std::sync::Arc;

use fieldledger_tlog::{Edge, LEAF_BYTES, Leaf, TILE_WIDTH};

use crate::error::{StoreError, with_causes};
use crate::store::tiles::TileStore;

/// The tree as it grows.
#[derive(Debug)]
pub(crate) struct Grower {
    edge: Edge,
    /// The leaves of the unfinished bundle.
    leaves: Vec<u8>,
    tiles: Arc<TileStore>,
}

impl Grower {
    /// `leaves` are those of the edge's unfinished bundle.
    pub(crate) fn new(edge: Edge, leaves: Vec<u8>, tiles: Arc<TileStore>) -> Self {
        debug_assert_eq!(
            leaves.len() as u64,
            edge.size() % TILE_WIDTH as u64 * LEAF_BYTES as u64
        );
        Self {
            edge,
            leaves,
            tiles,
        }
    }

    /// Leaves in the tree.
    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The tree's right edge.
    pub(crate) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The leaves of the unfinished bundle.
    pub(crate) fn leaves(&self) -> &[u8] {
        &self.leaves
    }

    /// Appends a leaf. A tile that cannot be stored is left out: it is computed again when it is
    /// needed.
    pub(crate) fn push(&mut self, leaf: &Leaf) {
        self.leaves.extend_from_slice(&leaf.encode());
        for tile in self.edge.push(leaf.hash()) {
            let stored = self.tiles.write_tile(tile.level, tile.number, &tile.bytes);
            warn_if_not_stored(stored);
            if tile.level == 0 {
                warn_if_not_stored(self.tiles.write_bundle(tile.number, &self.leaves));
                self.leaves.clear();
            }
        }
    }
}

fn warn_if_not_stored(stored: Result<(), StoreError>) {
    if let Err(error) = stored {
        tracing::warn!(error = with_causes(&error), "a tile could not be stored");
    }
}
