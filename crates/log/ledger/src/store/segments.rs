//! The segments of a log, wherever they are: on the disk, or in the archive.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldledger_formats::packed::Block;
use parking_lot::Mutex;

use super::archive::{Archive, Reclaimed};
use super::disk::{Disk, DiskFile, Durability, Mode};
use super::packed::{Blocks, PackedSegment};
use super::segment;
use crate::error::StoreError;

/// Finds and opens segments.
#[derive(Debug, Clone)]
pub(crate) struct Segments {
    disk: Disk,
    folder: PathBuf,
    archive: Option<Arc<Archive>>,
    blocks: Blocks,
    packing: Option<Packing>,
}

/// Which segments are packed.
#[derive(Debug, Clone)]
struct Packing {
    /// Those that have at least so many bytes.
    from_bytes: u64,
    /// Those that cannot be, because they are damaged.
    except: Arc<Mutex<HashSet<u64>>>,
}

/// Whether a full segment is packed, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackingState {
    /// It is, and stays so.
    Packed,
    /// It will be.
    IsDue,
    /// It is small, or damaged, or was archived as it is.
    StaysPlain,
}

/// A segment that can be read. Offsets are those in the plain segment, also where it is packed.
#[derive(Debug)]
pub(crate) enum SegmentFile {
    /// As it was written.
    Plain(StoredSegment),
    /// In compressed blocks.
    Packed(PackedSegment),
}

/// The bytes of a segment as they are stored.
#[derive(Debug)]
pub(crate) enum StoredSegment {
    /// On the disk.
    Local(DiskFile),
    /// In the archive only.
    Archived {
        /// Where.
        archive: Arc<Archive>,
        /// Its first entry.
        first: u64,
        /// Bytes in it.
        length: u64,
    },
}

impl Segments {
    /// Those in the folder, and in the archive if there is one.
    pub(crate) fn new(disk: Disk, folder: PathBuf, archive: Option<Arc<Archive>>) -> Self {
        Self {
            disk,
            folder,
            archive,
            blocks: Blocks::default(),
            packing: None,
        }
    }

    /// The same, of which full segments of at least `from_bytes` bytes are packed in time.
    pub(crate) fn packed_from(self, from_bytes: u64) -> Self {
        let packing = Packing {
            from_bytes,
            except: Arc::default(),
        };
        Self {
            packing: Some(packing),
            ..self
        }
    }

    /// Whether the full segment is packed, or will be. What was archived before stays as it is.
    pub(crate) fn packing_of(&self, first: u64) -> Result<PackingState, StoreError> {
        let Some(packing) = &self.packing else {
            return Ok(PackingState::StaysPlain);
        };
        let is_archived = self
            .archive
            .as_ref()
            .is_some_and(|archive| archive.sealed(first).is_some());
        let bytes = fs::metadata(self.path_of(first)).map_or(0, |found| found.len());
        let is_small = bytes < packing.from_bytes;
        if is_archived || is_small || packing.except.lock().contains(&first) {
            return Ok(PackingState::StaysPlain);
        }
        match self.open_local(first) {
            Ok(file) if file.is_packed() => Ok(PackingState::Packed),
            Ok(_) => Ok(PackingState::IsDue),
            // A packed one whose directory is damaged.
            Err(StoreError::Damaged { .. }) => Ok(PackingState::Packed),
            Err(error) => Err(error),
        }
    }

    /// Does not pack a segment.
    pub(crate) fn leave_plain(&self, first: u64) {
        if let Some(packing) = &self.packing {
            packing.except.lock().insert(first);
        }
    }

    /// First indices of all segments, ascending.
    pub(crate) fn list(&self) -> Result<Vec<u64>, StoreError> {
        let local = segment::list(&self.disk, &self.folder)?;
        let mut firsts: BTreeSet<u64> = local.into_iter().collect();
        if let Some(archive) = &self.archive {
            firsts.extend(archive.firsts());
        }
        Ok(firsts.into_iter().collect())
    }

    /// Where the segment is on the disk, or was.
    pub(crate) fn path_of(&self, first: u64) -> PathBuf {
        segment::path_of(&self.folder, first)
    }

    /// Whether the segment is on the disk.
    pub(crate) fn is_local(&self, first: u64) -> bool {
        self.path_of(first).is_file()
    }

    /// Whether the segment is on the disk as it was written.
    pub(crate) fn is_local_and_plain(&self, first: u64) -> Result<bool, StoreError> {
        Ok(self.is_local(first) && !self.open_local(first)?.is_packed())
    }

    /// Makes sure that the segment is on the disk, and on no copy that is kept, because it will be
    /// changed; it stays there as long as the guard lives.
    pub(crate) fn reclaim(&self, first: u64) -> Result<Option<Reclaimed<'_>>, StoreError> {
        match &self.archive {
            Some(archive) => Ok(Some(archive.reclaim(first)?)),
            None => Ok(None),
        }
    }

    /// The segment, which must be on the disk.
    pub(crate) fn open_local(&self, first: u64) -> Result<SegmentFile, StoreError> {
        let path = self.path_of(first);
        match self.disk.open(&path, Mode::Read) {
            Ok(file) => self.opened(StoredSegment::Local(file), first),
            Err(error) if error.is_missing() => Err(StoreError::Damaged {
                path,
                offset: 0,
                problem: "the segment is missing; restore it".to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Gives a segment that has another name its own, durably.
    pub(crate) fn rename_to(&self, beside: &Path, first: u64) -> Result<(), StoreError> {
        self.disk.rename(beside, &self.path_of(first))?;
        self.disk.sync_folder(&self.folder)
    }

    /// A segment that has another name yet.
    pub(crate) fn open_at(&self, path: &Path, first: u64) -> Result<SegmentFile, StoreError> {
        let file = self.disk.open(path, Mode::Read)?;
        // What it reads is of no use to others.
        let packed = PackedSegment::open(StoredSegment::Local(file), first, Blocks::default())?;
        Ok(packed.map_or_else(SegmentFile::Plain, SegmentFile::Packed))
    }

    /// Puts other bytes in the place of a segment, durably: after a crash it is the old or the new.
    pub(crate) fn replace(&self, first: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.disk
            .replace(&self.path_of(first), bytes, 0o644, Durability::Power)?;
        self.blocks.forget(first);
        Ok(())
    }

    /// Writes another frame over the one at `offset` of the plain segment, durably. It is as long as
    /// that one, of which nothing is left. In a plain segment a crash may tear it.
    pub(crate) fn overwrite(
        &self,
        first: u64,
        offset: u64,
        frame: &[u8],
    ) -> Result<(), StoreError> {
        let path = self.path_of(first);
        match self.open_local(first)? {
            SegmentFile::Plain(_) => {
                let file = self.disk.open(&path, Mode::Write)?;
                file.write_at(frame, offset)?;
                file.sync_data()
            }
            SegmentFile::Packed(packed) => packed.replace_frame(&self.disk, &path, offset, frame),
        }
    }

    /// Opens the segment whose first entry is `first`.
    pub(crate) fn open(&self, first: u64) -> Result<SegmentFile, StoreError> {
        let archived = self
            .archive
            .as_ref()
            .and_then(|archive| Some((Arc::clone(archive), archive.sealed(first)?)));
        let stored = match (self.disk.open(&self.path_of(first), Mode::Read), archived) {
            (Err(error), Some((archive, sealed))) if error.is_missing() => {
                StoredSegment::Archived {
                    archive,
                    first,
                    length: sealed.bytes,
                }
            }
            (opened, _) => StoredSegment::Local(opened?),
        };
        self.opened(stored, first)
    }

    fn opened(&self, stored: StoredSegment, first: u64) -> Result<SegmentFile, StoreError> {
        let packed = PackedSegment::open(stored, first, self.blocks.clone())?;
        Ok(packed.map_or_else(SegmentFile::Plain, SegmentFile::Packed))
    }

    /// The same of a log that another process may have open: since the archive was listed, the segment
    /// may have moved there.
    pub(crate) fn open_in_use(&self, first: u64) -> Result<SegmentFile, StoreError> {
        match (self.open(first), &self.archive) {
            (Err(error), Some(archive)) if error.is_missing() => {
                archive.refresh()?;
                self.open(first)
            }
            (opened, _) => opened,
        }
    }
}

impl SegmentFile {
    /// Where it is, for messages: a path, or a URL.
    pub(crate) fn place(&self) -> PathBuf {
        match self {
            Self::Plain(stored) => stored.place(),
            Self::Packed(packed) => packed.stored().place(),
        }
    }

    /// Whether it is packed.
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self, Self::Packed(_))
    }

    /// Bytes of the plain segment.
    pub(crate) fn len(&self) -> Result<u64, StoreError> {
        match self {
            Self::Plain(stored) => stored.len(),
            Self::Packed(packed) => Ok(packed.directory().plain_bytes()),
        }
    }

    /// Bytes that it takes where it is.
    pub(crate) fn stored_bytes(&self) -> Result<u64, StoreError> {
        match self {
            Self::Plain(stored) => stored.len(),
            Self::Packed(packed) => packed.stored().len(),
        }
    }

    /// Fills `bytes` from `offset` on.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), StoreError> {
        match self {
            Self::Plain(stored) => stored.read_at(bytes, offset),
            Self::Packed(packed) => packed.read_at(bytes, offset),
        }
    }

    /// All bytes of the plain segment.
    pub(crate) fn read_whole(&self) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; usize::try_from(self.len()?).unwrap_or(usize::MAX)];
        self.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// The block with the byte `offset` of the plain segment; none in a plain one.
    pub(crate) fn block_with(&self, offset: u64) -> Option<&Block> {
        match self {
            Self::Plain(_) => None,
            Self::Packed(packed) => {
                let directory = packed.directory();
                directory.blocks().get(directory.block_with(offset)?)
            }
        }
    }

    /// Where the byte `offset` of the plain segment is in the file, for messages: where its block
    /// begins.
    pub(crate) fn stored_offset(&self, offset: u64) -> u64 {
        match self {
            Self::Plain(_) => offset,
            Self::Packed(_) => self
                .block_with(offset)
                .map_or(0, |block| block.stored.start),
        }
    }
}

impl StoredSegment {
    /// Where it is, for messages: a path, or a URL.
    pub(crate) fn place(&self) -> PathBuf {
        match self {
            Self::Local(file) => file.path().to_owned(),
            Self::Archived { archive, first, .. } => {
                Path::new(&archive.url_of(*first)).to_path_buf()
            }
        }
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> Result<u64, StoreError> {
        match self {
            Self::Local(file) => file.len(),
            Self::Archived { length, .. } => Ok(*length),
        }
    }

    /// Fills `bytes` from `offset` on.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), StoreError> {
        match self {
            Self::Local(file) => file.read_at(bytes, offset),
            Self::Archived { archive, first, .. } => archive.read_at(*first, bytes, offset),
        }
    }
}
