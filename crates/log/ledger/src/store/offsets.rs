//! The file `offsets`: for each entry, where its frame ends within its segment (u64 LE). Derived. Where
//! a segment is packed, its directory says the same, and there is a hole here.

use std::ops::Range;
use std::path::Path;

use super::disk::{Disk, DiskFile, Mode};
use crate::error::{StoreError, with_causes};

const WIDTH: u64 = 8;

/// Finds entries without reading segments.
#[derive(Debug)]
pub(crate) struct Offsets {
    file: DiskFile,
}

impl Offsets {
    /// Opens the file, or creates an empty one.
    pub(crate) fn open(disk: &Disk, path: &Path) -> Result<Self, StoreError> {
        let file = disk.open(path, Mode::Create)?;
        Ok(Self { file })
    }

    /// Opens the file to be read; none where there is none.
    pub(crate) fn open_to_read(disk: &Disk, path: &Path) -> Result<Option<Self>, StoreError> {
        match disk.open(path, Mode::Read) {
            Ok(file) => Ok(Some(Self { file })),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Entries the file knows of.
    pub(crate) fn len(&self) -> Result<u64, StoreError> {
        Ok(self.file.len()? / WIDTH)
    }

    /// Notes where the frames of the entries from `first` on end.
    pub(crate) fn write(&self, first: u64, ends: &[u64]) -> Result<(), StoreError> {
        let bytes: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        self.file.write_at(&bytes, first * WIDTH)
    }

    /// Where the frames of `count` entries from `first` on end.
    pub(crate) fn read(&self, first: u64, count: usize) -> Result<Vec<u64>, StoreError> {
        let mut bytes = vec![0; count * WIDTH as usize];
        self.file.read_at(&mut bytes, first * WIDTH)?;
        let (ends, _) = bytes.as_chunks::<8>();
        Ok(ends.iter().map(|end| u64::from_le_bytes(*end)).collect())
    }

    /// Gives the room back that the offsets of these entries take, where the file system can.
    pub(crate) fn free(&self, entries: Range<u64>) {
        let part = entries.start * WIDTH..entries.end * WIDTH;
        let freed = self.file.give_back(part);
        if let Err(error) = freed {
            tracing::debug!(error = with_causes(&error), "offsets keep their room");
        }
    }

    /// Lets the file survive a power loss.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data()
    }
}
