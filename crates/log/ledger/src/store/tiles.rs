//! Tiles of the tree: from the disk, from the archive, or computed from the log.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use fieldledger_tlog::{Edge, TILE_BYTES, TILE_WIDTH, TileSource, tile_path};

use super::archive::Archive;
use super::reader::LogReader;
use super::tile_files::TileFiles;
use crate::error::StoreError;

/// Reads and writes tiles.
#[derive(Debug)]
pub(crate) struct TileStore {
    files: TileFiles,
    log: Arc<LogReader>,
    archive: Option<Arc<Archive>>,
}

impl TileStore {
    pub(crate) fn new(
        files: TileFiles,
        log: Arc<LogReader>,
        archive: Option<Arc<Archive>>,
    ) -> Self {
        Self {
            files,
            log,
            archive,
        }
    }

    /// Stores a full tile of hashes.
    pub(crate) fn write(&self, level: u8, number: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.files.write(level, number, bytes)
    }

    /// A full tile of hashes.
    fn read(&self, level: u8, number: u64) -> Result<Vec<u8>, StoreError> {
        if let Some(bytes) = self.files.read(level, number)? {
            return Ok(bytes);
        }
        let archived = match &self.archive {
            Some(archive) => archive.get(&tile_path(level, number, TILE_WIDTH))?,
            None => None,
        };
        match archived.filter(|bytes| bytes.len() == TILE_BYTES) {
            Some(bytes) => Ok(bytes),
            None => self.rebuild(level, number),
        }
    }

    /// Computes a full tile from the log, all the way, and stores it and those below it.
    pub(crate) fn rebuild(&self, level: u8, number: u64) -> Result<Vec<u8>, StoreError> {
        tracing::warn!(level, number, "a tile is computed again from the log");
        let width = 1_u64 << (8 * (u32::from(level) + 1));
        let mut edge = Edge::default();
        let mut tile = Vec::new();
        self.log
            .read(number * width..(number + 1) * width, |index, frame| {
                let leaf = frame.leaf(index);
                let leaf = leaf.map_err(|problem| self.log.damaged(index, problem))?;
                for full in edge.push(leaf.hash()) {
                    let levels_below = u32::from(level - full.level);
                    let full_number = (number << (8 * levels_below)) + full.number;
                    self.write(full.level, full_number, &full.bytes)?;
                    if full.level == level {
                        tile = full.bytes.to_vec();
                    }
                }
                Ok(())
            })?;
        Ok(tile)
    }
}

/// Tiles by level and number.
type ReadTiles = HashMap<(u8, u64), Arc<Vec<u8>>>;

/// The tiles of the tree whose right edge is `edge`. Keeps what it read: proofs of neighbours share
/// most of their tiles.
pub(crate) struct TreeView<'a> {
    store: &'a TileStore,
    edge: &'a Edge,
    read: RefCell<ReadTiles>,
}

impl<'a> TreeView<'a> {
    pub(crate) fn new(store: &'a TileStore, edge: &'a Edge) -> Self {
        Self {
            store,
            edge,
            read: RefCell::default(),
        }
    }

    /// Computes every full tile again that this view has read so far.
    pub(crate) fn rebuild_read(&self) -> Result<(), StoreError> {
        let mut read = self.read.borrow_mut();
        for ((level, number), tile) in read.iter_mut() {
            *tile = Arc::new(self.store.rebuild(*level, *number)?);
        }
        Ok(())
    }
}

impl TileSource for TreeView<'_> {
    type Error = StoreError;

    fn tile(&self, level: u8, number: u64) -> Result<Arc<Vec<u8>>, StoreError> {
        if number == self.edge.tile_number(level) {
            return Ok(self.edge.tile(level).unwrap_or_default());
        }
        if let Some(tile) = self.read.borrow().get(&(level, number)) {
            return Ok(Arc::clone(tile));
        }
        let tile = Arc::new(self.store.read(level, number)?);
        self.read
            .borrow_mut()
            .insert((level, number), Arc::clone(&tile));
        Ok(tile)
    }
}
