//! Segments: the files that hold the log.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::files;
use crate::error::StoreError;

const EXTENSION: &str = "seg";

/// Digits of the first index in a segment's name: all of `u64`, so that names sort like numbers.
const DIGITS: usize = 20;

/// Path of the segment whose first entry is `first`.
pub(crate) fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:0DIGITS$}.{EXTENSION}"))
}

/// First indices of the segments in the folder, ascending.
pub(crate) fn list(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let mut firsts = Vec::new();
    for item in fs::read_dir(folder).map_err(StoreError::io("list", folder))? {
        let path = item.map_err(StoreError::io("list", folder))?.path();
        let first = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| stem.parse().ok());
        match first {
            Some(first) if path == path_of(folder, first) => firsts.push(first),
            _ => tracing::warn!(path = %path.display(), "a file that is no segment is ignored"),
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    folder: PathBuf,
    first: u64,
    path: PathBuf,
    file: File,
    /// Bytes of it that are good.
    length: u64,
    roll_at: u64,
}

impl SegmentWriter {
    /// Creates the segment whose first entry will be `first`; begins another once it has `roll_at`
    /// bytes.
    pub(crate) fn create(folder: &Path, first: u64, roll_at: u64) -> Result<Self, StoreError> {
        let path = path_of(folder, first);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(StoreError::io("create", &path))?;
        files::sync(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            first,
            path,
            file,
            length: 0,
            roll_at,
        })
    }

    /// Opens the last segment, cuts it to its good `length`, and makes that durable.
    pub(crate) fn open(
        folder: &Path,
        first: u64,
        length: u64,
        roll_at: u64,
    ) -> Result<Self, StoreError> {
        let path = path_of(folder, first);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        file.set_len(length).map_err(StoreError::io("cut", &path))?;
        file.sync_all().map_err(StoreError::io("sync", &path))?;
        files::sync(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            first,
            path,
            file,
            length,
            roll_at,
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
        *self = Self::create(&self.folder, next, self.roll_at)?;
        Ok(true)
    }

    /// Appends frames durably, and returns what is in the file now, read back.
    ///
    /// After an error the file may hold part of the frames; see [`SegmentWriter::cut_back`].
    pub(crate) fn append(&mut self, frames: &[u8]) -> Result<Vec<u8>, AppendFailure> {
        let failed = |stage, operation, source| AppendFailure {
            stage,
            error: StoreError::io(operation, &self.path)(source),
        };
        self.file
            .write_all_at(frames, self.length)
            .map_err(|error| failed(Stage::Write, "write", error))?;
        self.file
            .sync_data()
            .map_err(|error| failed(Stage::Sync, "sync", error))?;
        let mut read_back = vec![0; frames.len()];
        self.file
            .read_exact_at(&mut read_back, self.length)
            .map_err(|error| failed(Stage::Verify, "read back", error))?;
        if read_back != frames {
            let differs = io::Error::new(io::ErrorKind::InvalidData, "other bytes were written");
            return Err(failed(Stage::Verify, "read back", differs));
        }
        self.length += frames.len() as u64;
        Ok(read_back)
    }

    /// Removes what a failed append may have left.
    pub(crate) fn cut_back(&mut self) -> Result<(), StoreError> {
        self.file
            .set_len(self.length)
            .map_err(StoreError::io("cut", &self.path))?;
        self.file
            .sync_all()
            .map_err(StoreError::io("sync", &self.path))
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
