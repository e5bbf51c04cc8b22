//! The folder `tile`: full tiles of hashes and full bundles of leaves, C2SP tlog-tiles. Derived:
//! what is missing, or was cut short by a crash, is computed again from the log when it is needed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldledger_tlog::{
    Edge, LEAF_BYTES, TILE_BYTES, TILE_WIDTH, TileSource, encode_bundle, entries_path, tile_path,
};

use super::archive::Archive;
use super::disk::{Disk, Durability};
use super::reader::LogReader;
use crate::error::StoreError;

/// Bytes of a full bundle: each leaf after its length.
const BUNDLE_BYTES: usize = TILE_WIDTH * (2 + LEAF_BYTES);

/// Reads and writes tiles.
#[derive(Debug)]
pub(crate) struct TileStore {
    disk: Disk,
    folder: PathBuf,
    log: Arc<LogReader>,
    archive: Option<Arc<Archive>>,
}

impl TileStore {
    /// `folder` is the ledger's; tiles lie in its folder `tile`.
    pub(crate) fn new(
        disk: Disk,
        folder: PathBuf,
        log: Arc<LogReader>,
        archive: Option<Arc<Archive>>,
    ) -> Self {
        Self {
            disk,
            folder,
            log,
            archive,
        }
    }

    /// Stores a full tile of hashes.
    pub(crate) fn write_tile(
        &self,
        level: u8,
        number: u64,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let path = self.folder.join(tile_path(level, number, TILE_WIDTH));
        self.write(&path, bytes)
    }

    /// Stores a full bundle of leaves.
    pub(crate) fn write_bundle(&self, number: u64, leaves: &[u8]) -> Result<(), StoreError> {
        let path = self.folder.join(entries_path(number, TILE_WIDTH));
        let bundle = encode_bundle(leaves.chunks(LEAF_BYTES));
        let bundle = bundle.map_err(|error| StoreError::Damaged {
            path: path.clone(),
            offset: 0,
            problem: error.to_string(),
        })?;
        self.write(&path, &bundle)
    }

    /// A full bundle of leaves, where it is there and undamaged as far as its form shows.
    pub(crate) fn read_bundle(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.folder.join(entries_path(number, TILE_WIDTH));
        let bytes = self.disk.read_if_there(&path)?;
        Ok(bytes.filter(|bytes| bytes.len() == BUNDLE_BYTES))
    }

    /// A full tile of hashes.
    fn read_tile(&self, level: u8, number: u64) -> Result<Vec<u8>, StoreError> {
        let name = tile_path(level, number, TILE_WIDTH);
        let is_whole = |bytes: &Vec<u8>| bytes.len() == TILE_BYTES;
        let local = self.disk.read_if_there(&self.folder.join(&name))?;
        if let Some(bytes) = local.filter(is_whole) {
            return Ok(bytes);
        }
        let archived = match &self.archive {
            Some(archive) => archive.get(&name)?,
            None => None,
        };
        match archived.filter(is_whole) {
            Some(bytes) => Ok(bytes),
            None => self.rebuild(level, number),
        }
    }

    /// Computes a full tile from the log, all the way, and stores it and those below it.
    pub(crate) fn rebuild(&self, level: u8, number: u64) -> Result<Vec<u8>, StoreError> {
        tracing::warn!(level, number, "a tile is computed again from the log");
        let width = 1_u64 << (8 * (u32::from(level) + 1));
        let mut edge = Edge::default();
        let mut leaves = Vec::new();
        let mut tile = Vec::new();
        self.log
            .read(number * width..(number + 1) * width, |index, frame| {
                let leaf = frame.leaf(index);
                let leaf = leaf.map_err(|problem| self.log.damaged(index, problem))?;
                leaves.extend_from_slice(&leaf.encode());
                for full in edge.push(leaf.hash()) {
                    let levels_below = u32::from(level - full.level);
                    let full_number = (number << (8 * levels_below)) + full.number;
                    self.write_tile(full.level, full_number, &full.bytes)?;
                    if full.level == 0 {
                        self.write_bundle(full_number, &leaves)?;
                        leaves.clear();
                    }
                    if full.level == level {
                        tile = full.bytes.to_vec();
                    }
                }
                Ok(())
            })?;
        Ok(tile)
    }

    /// Tiles may be lost with the power: they can be computed again, and each sync would cost as
    /// much as a commit.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let replace = || self.disk.replace(path, bytes, 0o644, Durability::Process);
        match (replace(), path.parent()) {
            (Err(StoreError::Io { source, .. }), Some(folder))
                if source.kind() == io::ErrorKind::NotFound =>
            {
                self.disk.create_volatile_folder(folder)?;
                replace()
            }
            (written, _) => written,
        }
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
        let tile = Arc::new(self.store.read_tile(level, number)?);
        self.read
            .borrow_mut()
            .insert((level, number), Arc::clone(&tile));
        Ok(tile)
    }
}
