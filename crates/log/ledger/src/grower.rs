//! Extends the tree, and stores the tiles that this completes.

use std::sync::Arc;

use fieldledger_tlog::{Edge, Leaf};

use crate::error::with_causes;
use crate::store::tiles::TileStore;

/// The tree as it grows.
#[derive(Debug)]
pub(crate) struct Grower {
    edge: Edge,
    tiles: Arc<TileStore>,
}

impl Grower {
    pub(crate) fn new(edge: Edge, tiles: Arc<TileStore>) -> Self {
        Self { edge, tiles }
    }

    /// Leaves in the tree.
    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The tree's right edge.
    pub(crate) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Appends a leaf. A tile that cannot be stored is left out: it is computed again when it is
    /// needed.
    pub(crate) fn push(&mut self, leaf: &Leaf) {
        for tile in self.edge.push(leaf.hash()) {
            if let Err(error) = self.tiles.write(tile.level, tile.number, &tile.bytes) {
                tracing::warn!(error = with_causes(&error), "a tile could not be stored");
            }
        }
    }
}
