//! The archive: sealed segments and their tiles, copied to an object store: segments under the names
//! they have in the ledger's folder, tiles under those of C2SP tlog-tiles.
//!
//! The file `archived`, in the folder and in the store, lists the segments that are there whole: a
//! segment is listed after it was read back from the store, and removed from the disk after it was
//! listed. What is no longer on the disk is read from the store in blocks, of which a few are kept.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldledger_contract::ledger::ArchiveStatus;
use fieldledger_formats::checked;
use fieldledger_tlog::{TILE_WIDTH, tile_path};
use parking_lot::{Mutex, MutexGuard, RwLock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::disk::{Disk, Durability, Mode};
use super::segment;
use super::tile_files::TileFiles;
use crate::error::StoreError;
use crate::objects::ObjectFolder;

/// Name of the list.
const LIST: &str = "archived";

/// Bytes of the blocks that are read from the store.
const BLOCK_BYTES: u64 = 1024 * 1024;

/// Blocks that are kept.
const BLOCKS: usize = 32;

/// Changes whenever the meaning of a member does.
const VERSION: u32 = 1;

/// A sealed segment in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// Its first entry.
    pub(crate) first: u64,
    /// The first entry after it.
    pub(crate) end: u64,
    /// Bytes in it.
    pub(crate) bytes: u64,
    /// SHA-256 of it, in hexadecimal.
    pub(crate) sha256: String,
}

/// A segment that will be changed.
#[derive(Debug)]
pub(crate) struct Reclaimed<'a>(#[allow(dead_code)] MutexGuard<'a, HashSet<u64>>);

#[derive(Serialize, Deserialize)]
struct List {
    version: u32,
    segments: Vec<Sealed>,
}

/// Copies segments to the store and reads them there.
#[derive(Debug)]
pub(crate) struct Archive {
    disk: Disk,
    /// The ledger's.
    folder: PathBuf,
    objects: ObjectFolder,
    sealed: RwLock<BTreeMap<u64, Sealed>>,
    blocks: Mutex<VecDeque<(BlockId, Arc<Vec<u8>>)>>,
    /// Locked while segments appear and disappear; the segments that were changed meanwhile.
    changed: Mutex<HashSet<u64>>,
}

/// A segment's first entry, and the number of the block within it.
type BlockId = (u64, u64);

impl Archive {
    /// Opens the archive of the ledger in `folder`. Without the list on the disk, that in the store
    /// counts.
    fn open(disk: &Disk, folder: PathBuf, objects: ObjectFolder) -> Result<Self, StoreError> {
        let archive = Self {
            disk: disk.clone(),
            folder,
            objects,
            sealed: RwLock::default(),
            blocks: Mutex::default(),
            changed: Mutex::default(),
        };
        archive.refresh()?;
        Ok(archive)
    }

    /// The same with the archive that is configured; none where none is.
    pub(crate) fn open_configured(
        disk: &Disk,
        folder: &Path,
        objects: Option<&ObjectFolder>,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        let opened = objects.map(|objects| Self::open(disk, folder.to_owned(), objects.clone()));
        Ok(opened.transpose()?.map(Arc::new))
    }

    /// Reads the list again.
    pub(crate) fn refresh(&self) -> Result<(), StoreError> {
        let path = self.folder.join(LIST);
        let local = self.disk.read_if_there(&path)?;
        let listed = local.as_deref().and_then(decode);
        if local.is_some() && listed.is_none() {
            tracing::warn!(path = %path.display(), "the list of archived segments cannot be used; that in the archive is");
        }
        let listed = match listed {
            Some(listed) => listed,
            None => self.list_in_store()?,
        };
        self.know(listed);
        Ok(())
    }

    fn know(&self, segments: Vec<Sealed>) {
        let by_first = segments.into_iter().map(|sealed| (sealed.first, sealed));
        *self.sealed.write() = by_first.collect();
    }

    fn list_in_store(&self) -> Result<Vec<Sealed>, StoreError> {
        match self.get(LIST)? {
            None => Ok(Vec::new()),
            Some(bytes) => decode(&bytes).ok_or_else(|| StoreError::Damaged {
                path: self.objects.url(LIST).into(),
                offset: 0,
                problem:
                    "it is not a list of archived segments; restore it from an earlier version"
                        .to_owned(),
            }),
        }
    }

    /// First entries of the segments in the store.
    pub(crate) fn firsts(&self) -> Vec<u64> {
        let sealed = self.sealed.read();
        sealed.keys().copied().collect()
    }

    /// All segments in the store.
    pub(crate) fn all(&self) -> Vec<Sealed> {
        let sealed = self.sealed.read();
        sealed.values().cloned().collect()
    }

    /// The segment with this first entry, if it is in the store.
    pub(crate) fn sealed(&self, first: u64) -> Option<Sealed> {
        let sealed = self.sealed.read();
        sealed.get(&first).cloned()
    }

    /// How many segments are in the store only, and the first entry after them.
    pub(crate) fn removed(&self) -> (u64, u64) {
        let all = self.all();
        let removed = all
            .iter()
            .filter(|sealed| !self.path_of(sealed.first).is_file());
        removed.fold((0, 0), |(count, _), sealed| (count + 1, sealed.end))
    }

    /// What is in the store.
    pub(crate) fn status(&self) -> ArchiveStatus {
        let all = self.all();
        ArchiveStatus {
            segments: all.len() as u64,
            entries: all.last().map_or(0, |sealed| sealed.end),
            bytes: all.iter().map(|sealed| sealed.bytes).sum(),
            removed: self.removed().0,
            problem: String::new(),
        }
    }

    /// URL of a segment.
    pub(crate) fn url_of(&self, first: u64) -> String {
        self.objects.url(&name_of(first))
    }

    /// Fills `bytes` with a segment's, from `offset` on.
    pub(crate) fn read_at(
        &self,
        first: u64,
        bytes: &mut [u8],
        offset: u64,
    ) -> Result<(), StoreError> {
        let mut filled = 0;
        while filled < bytes.len() {
            let position = offset + filled as u64;
            let number = position / BLOCK_BYTES;
            let block = self.block(first, number)?;
            let start = usize::try_from(position % BLOCK_BYTES).unwrap_or(usize::MAX);
            let available = block.get(start..).unwrap_or_default();
            if available.is_empty() {
                return Err(self.damaged(first, position, "it ends too early"));
            }
            let count = available.len().min(bytes.len() - filled);
            bytes[filled..filled + count].copy_from_slice(&available[..count]);
            filled += count;
        }
        Ok(())
    }

    fn block(&self, first: u64, number: u64) -> Result<Arc<Vec<u8>>, StoreError> {
        let id = (first, number);
        {
            let mut blocks = self.blocks();
            if let Some(position) = blocks.iter().position(|(known, _)| *known == id)
                && let Some(found) = blocks.remove(position)
            {
                let block = Arc::clone(&found.1);
                blocks.push_back(found);
                return Ok(block);
            }
        }
        let length = self.sealed(first).map_or(0, |sealed| sealed.bytes);
        let start = number * BLOCK_BYTES;
        let end = length.min(start + BLOCK_BYTES);
        if start >= end {
            return Err(self.damaged(first, start, "it ends too early"));
        }
        let name = name_of(first);
        self.disk.request("read", &self.objects.url(&name))?;
        let read = self.objects.get_range(&name, start..end)?;
        let bytes = read.ok_or_else(|| self.damaged(first, start, "it is missing"))?;
        let block = Arc::new(bytes);
        let mut blocks = self.blocks();
        blocks.push_back((id, Arc::clone(&block)));
        if blocks.len() > BLOCKS {
            blocks.pop_front();
        }
        Ok(block)
    }

    fn blocks(&self) -> MutexGuard<'_, VecDeque<(BlockId, Arc<Vec<u8>>)>> {
        self.blocks.lock()
    }

    fn damaged(&self, first: u64, offset: u64, problem: &str) -> StoreError {
        StoreError::Damaged {
            path: self.url_of(first).into(),
            offset,
            problem: format!("{problem}; restore this object"),
        }
    }

    /// A file of the ledger that is in the store, by its path in the ledger's folder.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.request("read", &self.objects.url(name))?;
        Ok(self.objects.get(name)?.map(|(bytes, _)| bytes))
    }

    /// Whether a whole segment in the store is as it was when it was listed.
    pub(crate) fn is_intact(&self, sealed: &Sealed) -> Result<bool, StoreError> {
        let bytes = self.get(&name_of(sealed.first))?;
        Ok(bytes.is_some_and(|bytes| digest(&bytes) == sealed.sha256))
    }

    /// Copies the segment of the entries `first..end`, with the tiles that it completes,
    /// reads all back, and lists it; false if it was changed meanwhile, and is not listed.
    pub(crate) fn add(&self, first: u64, end: u64) -> Result<bool, StoreError> {
        self.changed().remove(&first);
        let path = self.path_of(first);
        let bytes = self.disk.read_if_there(&path)?;
        let Some(bytes) = bytes else {
            return Err(StoreError::Damaged {
                path,
                offset: 0,
                problem: "the segment is missing before it was archived; restore it".to_owned(),
            });
        };
        let sealed = Sealed {
            first,
            end,
            bytes: bytes.len() as u64,
            sha256: digest(&bytes),
        };
        self.copy(&name_of(first), bytes)?;
        let tiles = TileFiles::new(&self.disk, &self.folder);
        for (level, number) in tiles_completed_by(first, end) {
            // What is missing is computed again by whoever needs it.
            if let Some(bytes) = tiles.read(level, number)? {
                self.copy(&tile_path(level, number, TILE_WIDTH), bytes)?;
            }
        }
        let changed = self.changed();
        if changed.contains(&first) {
            return Ok(false);
        }
        let mut segments = self.all();
        segments.retain(|known| known.first != first);
        segments.push(sealed);
        self.replace_list(segments)?;
        Ok(true)
    }

    fn replace_list(&self, mut segments: Vec<Sealed>) -> Result<(), StoreError> {
        segments.sort_unstable_by_key(|sealed| sealed.first);
        let list = encode(segments.clone());
        self.copy(LIST, list.clone())?;
        self.disk
            .replace(&self.folder.join(LIST), &list, 0o644, Durability::Power)?;
        self.know(segments);
        Ok(())
    }

    /// Brings a segment back to the disk, and removes it from the store, because it will be changed.
    /// As long as the guard lives no segment is removed from the disk; later it is archived again.
    pub(crate) fn reclaim(&self, first: u64) -> Result<Reclaimed<'_>, StoreError> {
        let mut changed = self.changed();
        changed.insert(first);
        if let Some(sealed) = self.sealed(first) {
            let path = self.path_of(first);
            if !path.is_file() {
                let bytes = self.get(&name_of(first))?;
                let bytes = bytes.filter(|bytes| digest(bytes) == sealed.sha256);
                let bytes =
                    bytes.ok_or_else(|| self.damaged(first, 0, "it is missing, or was changed"))?;
                self.disk.replace(&path, &bytes, 0o644, Durability::Power)?;
            }
            let mut segments = self.all();
            segments.retain(|known| known.first != first);
            self.replace_list(segments)?;
            let name = name_of(first);
            self.disk.request("remove", &self.objects.url(&name))?;
            self.objects.delete(&name)?;
            self.blocks().retain(|((segment, _), _)| *segment != first);
        }
        Ok(Reclaimed(changed))
    }

    fn changed(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.changed.lock()
    }

    fn path_of(&self, first: u64) -> PathBuf {
        segment::path_of(&self.folder.join("segments"), first)
    }

    /// Writes an object and reads it back.
    fn copy(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let url = self.objects.url(name);
        let hash = Sha256::digest(&bytes);
        self.disk.request("write", &url)?;
        self.objects.put(name, bytes)?;
        if let Some(path) = self.objects.local_path(name) {
            // The store itself syncs nothing.
            self.disk.open(&path, Mode::Read)?.sync()?;
            let folders = path.ancestors().skip(1);
            let within = self.objects.local_path("").unwrap_or_default();
            for folder in folders.take_while(|folder| folder.starts_with(&within)) {
                self.disk.sync_folder(folder)?;
            }
        }
        let there = self.get(name)?;
        if there.is_none_or(|bytes| Sha256::digest(&bytes) != hash) {
            return Err(StoreError::Damaged {
                path: url.into(),
                offset: 0,
                problem: "the archive does not return what it was given".to_owned(),
            });
        }
        Ok(())
    }

    /// Removes a listed segment from the disk, with its tiles of the lowest level; true if it was there.
    pub(crate) fn remove_local(&self, first: u64) -> Result<bool, StoreError> {
        let _changed = self.changed();
        let Some(sealed) = self.sealed(first) else {
            return Ok(false);
        };
        let path = self.path_of(first);
        if !path.is_file() {
            return Ok(false);
        }
        TileFiles::new(&self.disk, &self.folder).remove_lowest(full_tiles(first, sealed.end))?;
        self.disk.remove(&path)?;
        self.disk.sync_folder(&self.folder.join("segments"))?;
        Ok(true)
    }
}

/// Name of a segment in the store: that in the ledger's folder.
fn name_of(first: u64) -> String {
    segment::path_of("segments".as_ref(), first)
        .to_string_lossy()
        .into_owned()
}

/// Numbers of the lowest tiles whose last entry is in `first..end`.
fn full_tiles(first: u64, end: u64) -> std::ops::Range<u64> {
    let width = TILE_WIDTH as u64;
    first / width..end / width
}

/// Levels and numbers of the tiles whose last entry is in `first..end`.
fn tiles_completed_by(first: u64, end: u64) -> Vec<(u8, u64)> {
    let mut tiles = Vec::new();
    let (mut from, mut to) = (first, end);
    let mut level = 0;
    loop {
        let numbers = full_tiles(from, to);
        (from, to) = (numbers.start, numbers.end);
        if to == 0 {
            return tiles;
        }
        tiles.extend(numbers.map(|number| (level, number)));
        level += 1;
    }
}

/// SHA-256, in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn encode(segments: Vec<Sealed>) -> Vec<u8> {
    let list = List {
        version: VERSION,
        segments,
    };
    checked::encode(&list).expect("numbers and texts have a form in JSON, and memory takes it")
}

fn decode(bytes: &[u8]) -> Option<Vec<Sealed>> {
    let list: List = checked::decode(bytes)?;
    (list.version == VERSION).then_some(list.segments)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_brings_the_tiles_it_completes() {
        assert_eq!(tiles_completed_by(0, 255), []);
        assert_eq!(tiles_completed_by(0, 256), [(0, 0)]);
        assert_eq!(tiles_completed_by(256, 511), []);
        assert_eq!(tiles_completed_by(300, 600), [(0, 1)]);
        assert_eq!(tiles_completed_by(65_500, 65_600), [(0, 255), (1, 0)]);
    }

    #[test]
    fn a_damaged_list_counts_as_none() {
        let sealed = Sealed {
            first: 7,
            end: 9,
            bytes: 100,
            sha256: "ab".to_owned(),
        };
        let good = encode(vec![sealed.clone()]);
        assert_eq!(decode(&good).unwrap(), [sealed]);
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            assert_eq!(decode(&bad), None);
            assert_eq!(decode(&good[..position]), None);
        }
    }
}
