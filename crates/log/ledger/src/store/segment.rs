//! Segments: the files that hold the log.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, Mode};
use crate::error::StoreError;

const EXTENSION: &str = "seg";

/// Digits of the first index in a segment's name: all of `u64`, so that names sort like numbers.
const DIGITS: usize = 20;

/// Bytes that are read back in one go: they stay in the processor's cache while they are compared,
/// and a commit of megabytes needs no second buffer.
const READ_BACK_BYTES: usize = 128 * 1024;

/// Path of the segment whose first entry is `first`.
pub(crate) fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:0DIGITS$}.{EXTENSION}"))
}

/// First indices of the segments in the folder, ascending.
pub(crate) fn list(disk: &Disk, folder: &Path) -> Result<Vec<u64>, StoreError> {
    let mut firsts = Vec::new();
    for path in disk.list(folder)? {
        let first = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| stem.parse().ok());
        match first {
            Some(first) if path == path_of(folder, first) => firsts.push(first),
            _ => tracing::warn!(path = %path.display(), "a file that is not a segment is ignored"),
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Removes what a crash left of segments that were to take the place of others. It may be a copy of
/// what is to be erased.
pub(crate) fn remove_unfinished(disk: &Disk, folder: &Path) -> Result<(), StoreError> {
    for path in disk.list(folder)? {
        if path.extension().is_some_and(|extension| extension == "tmp") {
            disk.remove(&path)?;
        }
    }
    Ok(())
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    disk: Disk,
    folder: PathBuf,
    first: u64,
    file: DiskFile,
    /// Bytes of it that are good.
    length: u64,
    roll_at: u64,
    /// What is read back.
    read_back: Vec<u8>,
}

impl SegmentWriter {
    /// Creates the segment whose first entry will be `first`; begins another once it has `roll_at`
    /// bytes.
    pub(crate) fn create(
        disk: &Disk,
        folder: &Path,
        first: u64,
        roll_at: u64,
    ) -> Result<Self, StoreError> {
        // It may be there, empty, if an earlier attempt failed half way.
        let file = disk.open(&path_of(folder, first), Mode::Create)?;
        file.set_len(0)?;
        disk.sync_folder(folder)?;
        Ok(Self {
            disk: disk.clone(),
            folder: folder.to_owned(),
            first,
            file,
            length: 0,
            roll_at,
            read_back: Vec::new(),
        })
    }

    /// Opens the last segment, cuts it to its good `length`, and makes that durable.
    pub(crate) fn open(
        disk: &Disk,
        folder: &Path,
        first: u64,
        length: u64,
        roll_at: u64,
    ) -> Result<Self, StoreError> {
        let file = disk.open(&path_of(folder, first), Mode::Write)?;
        file.set_len(length)?;
        file.sync()?;
        disk.sync_folder(folder)?;
        Ok(Self {
            disk: disk.clone(),
            folder: folder.to_owned(),
            first,
            file,
            length,
            roll_at,
            read_back: Vec::new(),
        })
    }

    /// First entry of the segment.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Bytes of frames in the segment.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Begins the next segment, with entry `next` as its first, if this one is large enough;
    /// true if it did.
    pub(crate) fn roll(&mut self, next: u64) -> Result<bool, StoreError> {
        if self.length < self.roll_at {
            return Ok(false);
        }
        *self = Self::create(&self.disk, &self.folder, next, self.roll_at)?;
        Ok(true)
    }

    /// Appends frames durably, and makes sure that the file returns the same bytes.
    ///
    /// After an error the file may hold part of the frames; see [`SegmentWriter::cut_back`].
    pub(crate) fn append(&mut self, frames: &[u8]) -> Result<(), AppendFailure> {
        let failed = |stage| move |error| AppendFailure { stage, error };
        self.file
            .write_at(frames, self.length)
            .map_err(failed(Stage::Write))?;
        self.file.sync_data().map_err(failed(Stage::Sync))?;
        self.verify(frames).map_err(failed(Stage::Verify))?;
        self.length += frames.len() as u64;
        Ok(())
    }

    /// Reads back what was appended.
    fn verify(&mut self, frames: &[u8]) -> Result<(), StoreError> {
        let mut offset = self.length;
        for part in frames.chunks(READ_BACK_BYTES) {
            self.read_back.resize(part.len(), 0);
            self.file.read_at(&mut self.read_back, offset)?;
            if self.read_back != part {
                let kind = io::ErrorKind::InvalidData;
                let differs = io::Error::new(kind, "other bytes were written");
                return Err(StoreError::io("read back", self.file.path())(differs));
            }
            offset += part.len() as u64;
        }
        Ok(())
    }

    /// Removes what a failed append may have left.
    pub(crate) fn cut_back(&mut self) -> Result<(), StoreError> {
        self.file.set_len(self.length)?;
        self.file.sync()
    }
}

/// An append that failed.
#[derive(Debug)]
pub(crate) struct AppendFailure {
    /// How far it had come.
    pub(crate) stage: Stage,
    /// What went wrong.
    pub(crate) error: StoreError,
}

/// The stages of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing can be on disk that [`SegmentWriter::cut_back`] does not remove. The disk may be full.
    Write,
    /// What is on disk is unknown: the system reports such an error once and then forgets it.
    Sync,
    /// The disk does not return what it was given.
    Verify,
}
