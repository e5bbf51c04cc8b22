//! The segments of a log, wherever they are: on the disk, or in the archive.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{Archive, Reclaimed};
use super::disk::{Disk, DiskFile, Durability, Mode};
use super::segment;
use crate::error::StoreError;

/// Finds and opens segments.
#[derive(Debug, Clone)]
pub(crate) struct Segments {
    disk: Disk,
    folder: PathBuf,
    archive: Option<Arc<Archive>>,
}

/// A segment that can be read.
#[derive(Debug)]
pub(crate) enum SegmentFile {
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

    /// Makes sure that the segment is on the disk, and on no copy that is kept, because it will be
    /// changed; it stays there as long as the guard lives.
    pub(crate) fn reclaim(&self, first: u64) -> Result<Option<Reclaimed<'_>>, StoreError> {
        match &self.archive {
            Some(archive) => Ok(Some(archive.reclaim(first)?)),
            None => Ok(None),
        }
    }

    /// All bytes of a segment that is on the disk, and where it is.
    pub(crate) fn read_whole(&self, first: u64) -> Result<(PathBuf, Vec<u8>), StoreError> {
        let path = self.path_of(first);
        match self.disk.read_if_there(&path)? {
            Some(bytes) => Ok((path, bytes)),
            None => Err(StoreError::Damaged {
                path,
                offset: 0,
                problem: "the segment is missing; restore it".to_owned(),
            }),
        }
    }

    /// Puts other bytes in the place of a segment, durably: after a crash it is the old or the new.
    pub(crate) fn replace(&self, first: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.disk
            .replace(&self.path_of(first), bytes, 0o644, Durability::Power)
    }

    /// Opens the segment whose first entry is `first`.
    pub(crate) fn open(&self, first: u64) -> Result<SegmentFile, StoreError> {
        let archived = self
            .archive
            .as_ref()
            .and_then(|archive| Some((Arc::clone(archive), archive.sealed(first)?)));
        match (self.disk.open(&self.path_of(first), Mode::Read), archived) {
            (Err(error), Some((archive, sealed))) if error.is_missing() => {
                Ok(SegmentFile::Archived {
                    archive,
                    first,
                    length: sealed.bytes,
                })
            }
            (opened, _) => Ok(SegmentFile::Local(opened?)),
        }
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
