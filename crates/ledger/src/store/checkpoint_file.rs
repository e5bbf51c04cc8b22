//! The file `checkpoint`: the newest signed tree head, as a signed note.
//!
//! It is replaced at every commit. The usual way, a new file renamed over the old one, deletes a
//! file each time, and ext4 then searches all files deleted within the last seconds for every one
//! that is created: a fifth of the processor time of a busy ledger. So two files exchange their
//! names instead. A note is shorter than a disk's sector, so each of them is whole at any time.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::files::{self, Durability};
use crate::error::StoreError;

/// How long a replaced checkpoint may stay unsynced. A power loss within this time leaves an older
/// checkpoint beside newer entries, which a start then signs again.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Writes checkpoints.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
    /// The file that becomes the checkpoint next.
    spare_path: PathBuf,
    spare: File,
    /// False where the file system cannot exchange names.
    exchange: bool,
    /// The file that is the checkpoint.
    current: File,
    synced: Instant,
    dirty: bool,
}

impl CheckpointFile {
    /// Begins with this note, durably.
    pub(crate) fn create(path: &Path, note: &str) -> Result<Self, StoreError> {
        let spare_path = path.with_added_extension("old");
        files::replace(&spare_path, note.as_bytes(), 0o644, Durability::Power)?;
        files::replace(path, note.as_bytes(), 0o644, Durability::Power)?;
        let mut spare = open(&spare_path)?;
        let mut current = open(path)?;
        let exchange = exchange_names(&spare_path, path).is_ok();
        if exchange {
            std::mem::swap(&mut spare, &mut current);
        }
        Ok(Self {
            spare,
            exchange,
            current,
            path: path.to_owned(),
            spare_path,
            synced: Instant::now(),
            dirty: false,
        })
    }

    /// The note in the file; none where there is no file.
    pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        files::read_if_there(path)
    }

    /// Replaces the note; a crash of this process does not undo it, a power loss may.
    pub(crate) fn replace(&mut self, note: &str) -> Result<(), StoreError> {
        self.dirty = true;
        if !self.exchange {
            files::replace(&self.path, note.as_bytes(), 0o644, Durability::Process)?;
            self.current = open(&self.path)?;
            return Ok(());
        }
        self.spare
            .write_all_at(note.as_bytes(), 0)
            .and_then(|()| self.spare.set_len(note.len() as u64))
            .map_err(StoreError::io("write", &self.spare_path))?;
        exchange_names(&self.spare_path, &self.path)
            .map_err(StoreError::io("exchange", &self.path))?;
        std::mem::swap(&mut self.spare, &mut self.current);
        Ok(())
    }

    /// Whether [`CheckpointFile::sync`] should be called.
    pub(crate) fn sync_is_due(&self) -> bool {
        self.dirty && self.synced.elapsed() >= SYNC_INTERVAL
    }

    /// Lets the note survive a power loss.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        if !self.dirty {
            return Ok(());
        }
        self.current
            .sync_all()
            .map_err(StoreError::io("sync", &self.path))?;
        if let Some(folder) = self.path.parent() {
            files::sync(folder)?;
        }
        self.synced = Instant::now();
        self.dirty = false;
        Ok(())
    }
}

fn exchange_names(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(StoreError::io("open", path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_note_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        assert_eq!(CheckpointFile::read(&path).unwrap(), None);
        let mut file = CheckpointFile::create(&path, "a first note").unwrap();
        for note in ["b", "a longer note", "c", ""] {
            file.replace(note).unwrap();
            assert_eq!(
                CheckpointFile::read(&path).unwrap().unwrap(),
                note.as_bytes()
            );
        }
        file.sync().unwrap();
        assert!(!file.sync_is_due());
    }
}
