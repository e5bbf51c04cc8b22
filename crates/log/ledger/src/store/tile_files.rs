//! The folder `tile`: the full tiles of hashes, one file for each level, tile `n` at `n` times a
//! tile's bytes. Derived: what is missing is computed again from the log when it is needed.
//!
//! One file for each tile, as C2SP tlog-tiles names them, took a third of a commit: a new name every
//! 256 entries, looked for among ever more. Bundles of leaves are not on the disk at all (they took
//! 64 bytes an entry): leaves are computed from the entries.

use std::ops::Range;
use std::path::{Path, PathBuf};

use fieldledger_tlog::{HASH_BYTES, TILE_BYTES};

use super::disk::{Disk, Mode};
use crate::error::StoreError;

/// Where each level was a folder, with a file for each tile, and bundles lay beside them.
const OLDER_FORM: [&str; 9] = ["entries", "0", "1", "2", "3", "4", "5", "6", "7"];

/// Reads and writes tiles that are on the disk.
#[derive(Debug, Clone)]
pub(crate) struct TileFiles {
    disk: Disk,
    folder: PathBuf,
}

impl TileFiles {
    /// `folder` is the ledger's.
    pub(crate) fn new(disk: &Disk, folder: &Path) -> Self {
        Self {
            disk: disk.clone(),
            folder: folder.join("tile"),
        }
    }

    /// Where the tiles of a level are.
    pub(crate) fn path_of(&self, level: u8) -> PathBuf {
        self.folder.join(format!("level-{level}"))
    }

    /// Where in the file of its level a tile begins.
    pub(crate) fn offset_of(number: u64) -> u64 {
        number.saturating_mul(TILE_BYTES as u64)
    }

    /// Stores a full tile. It may be lost with the power: it can be computed again, and each sync
    /// would cost as much as a commit.
    pub(crate) fn write(&self, level: u8, number: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path_of(level);
        let file = match self.disk.open(&path, Mode::Create) {
            Err(error) if error.is_missing() => {
                self.disk.create_volatile_folder(&self.folder)?;
                self.disk.open(&path, Mode::Create)?
            }
            opened => opened?,
        };
        file.write_at(bytes, Self::offset_of(number))
    }

    /// A full tile, where it is there as far as its form shows.
    pub(crate) fn read(&self, level: u8, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path_of(level);
        let read = self
            .disk
            .read_part_if_there(&path, Self::offset_of(number), TILE_BYTES)?;
        // What was never written, lost with the power or given back reads as zeros, a page at a
        // time; no hash is zero.
        Ok(read.filter(|bytes| bytes.chunks(HASH_BYTES).all(|hash| hash != [0; HASH_BYTES])))
    }

    /// Gives back the room of tiles of the lowest level.
    pub(crate) fn remove_lowest(&self, numbers: Range<u64>) -> Result<(), StoreError> {
        let bytes = Self::offset_of(numbers.start)..Self::offset_of(numbers.end);
        self.disk.give_back(&self.path_of(0), bytes)
    }

    /// Removes what earlier versions had here, a file for each tile; true if there was any.
    pub(crate) fn remove_older_form(&self) -> Result<bool, StoreError> {
        let mut removed = false;
        for name in OLDER_FORM {
            let folder = self.folder.join(name);
            if folder.is_dir() {
                std::fs::remove_dir_all(&folder).map_err(StoreError::io("remove", &folder))?;
                removed = true;
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, TileFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files = TileFiles::new(&Disk::default(), folder.path());
        (folder, files)
    }

    #[test]
    fn tiles_are_read_as_they_were_written_in_any_order() {
        let (_folder, files) = files();
        assert_eq!(files.read(0, 0).unwrap(), None);
        for number in [3_u8, 0, 1] {
            let tile = [number + 1; TILE_BYTES];
            files.write(0, number.into(), &tile).unwrap();
        }
        for number in [0_u8, 1, 3] {
            let tile = files.read(0, number.into()).unwrap();
            assert_eq!(tile, Some(vec![number + 1; TILE_BYTES]));
        }
        assert_eq!(files.read(0, 2).unwrap(), None);
        assert_eq!(files.read(0, 4).unwrap(), None);
        assert_eq!(files.read(1, 0).unwrap(), None);
        assert_eq!(files.read(0, u64::MAX).unwrap(), None);
    }

    #[test]
    fn a_tile_that_is_there_in_part_is_missing() {
        let (_folder, files) = files();
        for page in [0..4_096, 4_096..TILE_BYTES] {
            let mut tile = [7; TILE_BYTES];
            tile[page].fill(0);
            files.write(2, 0, &tile).unwrap();
            assert_eq!(files.read(2, 0).unwrap(), None);
        }
        std::fs::write(files.path_of(2), [7; TILE_BYTES - 1]).unwrap();
        assert_eq!(files.read(2, 0).unwrap(), None);
    }

    #[test]
    fn what_is_removed_takes_no_room() {
        use std::os::unix::fs::MetadataExt as _;
        let (_folder, files) = files();
        for number in 0..4 {
            files.write(0, number, &[7; TILE_BYTES]).unwrap();
        }
        let blocks = || std::fs::metadata(files.path_of(0)).unwrap().blocks();
        let before = blocks();
        files.remove_lowest(1..3).unwrap();
        assert!(files.read(0, 1).unwrap().is_none() && files.read(0, 2).unwrap().is_none());
        assert!(files.read(0, 0).unwrap().is_some() && files.read(0, 3).unwrap().is_some());
        assert!(blocks() < before);
        files.remove_lowest(2..2).unwrap();
        files.remove_lowest(9..99).unwrap();
    }

    #[test]
    fn one_file_for_each_tile_is_removed() {
        let (folder, files) = files();
        for name in ["0/x000", "1", "entries/x000"] {
            let path = folder.path().join("tile").join(name);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("000"), "tile").unwrap();
        }
        files.write(0, 0, &[7; TILE_BYTES]).unwrap();
        assert!(files.remove_older_form().unwrap());
        assert!(!files.remove_older_form().unwrap());
        let left = std::fs::read_dir(folder.path().join("tile")).unwrap();
        assert_eq!(left.count(), 1);
        assert!(files.read(0, 0).unwrap().is_some());
    }
}
