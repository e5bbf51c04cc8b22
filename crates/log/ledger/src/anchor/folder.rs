//! An anchor in a folder of its own: the file `checkpoint`, a signed note.
//!
//! It is replaced at every commit. The usual way, a new file renamed over the old one, deletes a
//! file each time, and ext4 then searches all files deleted within the last seconds for every one
//! that is created: a fifth of the processor time of a busy ledger. So two files exchange their
//! names instead. A loss of power can tear the newer of the two, and undo the exchange that made the
//! other one the older: so a start that cannot trust the one uses the other. Both hold the same
//! note once the ledger was closed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::AnchorError;
use crate::error::{OpenError, StoreError};
use crate::store::disk::{Disk, DiskFile, Durability, Mode};
use crate::store::lock::lock;

/// How long a replaced checkpoint may stay unsynced. A power loss within this time leaves an older
/// checkpoint beside newer entries, which a start then signs again.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// The files of an anchor. The folder is locked as long as this lives.
#[derive(Debug)]
pub(crate) struct FolderAnchor {
    disk: Disk,
    folder: PathBuf,
    path: PathBuf,
    /// The file that becomes the checkpoint next.
    spare_path: PathBuf,
    /// None before the first swap.
    files: Option<Files>,
    synced: Instant,
    dirty: bool,
    _lock: File,
}

#[derive(Debug)]
struct Files {
    /// None where the file system cannot exchange names.
    spare: Option<DiskFile>,
    /// The file that is the checkpoint.
    current: DiskFile,
}

impl FolderAnchor {
    /// Locks the folder; creates it if it is missing.
    pub(crate) fn open(folder: &Path, disk: &Disk, patience: Duration) -> Result<Self, OpenError> {
        disk.create_folder(folder)?;
        let lock = lock(&folder.join("lock"), patience)?;
        let path = path_in(folder);
        Ok(Self {
            disk: disk.clone(),
            folder: folder.to_owned(),
            spare_path: other_path_in(folder),
            path,
            files: None,
            synced: Instant::now(),
            dirty: false,
            _lock: lock,
        })
    }

    /// The checkpoint's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.read_if_there(&self.path)
    }

    /// The note in the other file.
    pub(crate) fn read_other(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.read_if_there(&self.spare_path)
    }

    /// Lets both files hold the note, durably.
    pub(crate) fn settle(&mut self, note: &[u8]) -> Result<(), StoreError> {
        self.sync()?;
        if let Some(Files {
            spare: Some(spare), ..
        }) = &self.files
        {
            spare.write_at(note, 0)?;
            spare.set_len(note.len() as u64)?;
            spare.sync()?;
        }
        Ok(())
    }

    pub(crate) fn swap(&mut self, expected: Option<&[u8]>, new: &[u8]) -> Result<(), AnchorError> {
        // Other processes are kept out by the lock, as far as they heed it; this finds the others.
        let found = self.read()?;
        if found.as_deref() != expected {
            return Err(AnchorError::Changed {
                place: self.path.display().to_string(),
                expected: expected.map(<[u8]>::to_vec),
                found,
            });
        }
        self.dirty = true;
        match &mut self.files {
            None => self.files = Some(self.begin(new)?),
            Some(Files {
                spare: None,
                current,
            }) => {
                self.disk
                    .replace(&self.path, new, 0o644, Durability::Process)?;
                *current = self.disk.open(&self.path, Mode::Write)?;
            }
            Some(Files {
                spare: Some(spare),
                current,
            }) => {
                spare.write_at(new, 0)?;
                spare.set_len(new.len() as u64)?;
                self.disk.exchange(&self.spare_path, &self.path)?;
                std::mem::swap(spare, current);
            }
        }
        Ok(())
    }

    /// Puts the first note of this process there.
    fn begin(&self, note: &[u8]) -> Result<Files, StoreError> {
        self.disk
            .replace(&self.spare_path, note, 0o644, Durability::Power)?;
        self.disk
            .replace(&self.path, note, 0o644, Durability::Power)?;
        let spare = self.disk.open(&self.spare_path, Mode::Write)?;
        let current = self.disk.open(&self.path, Mode::Write)?;
        if self.disk.exchange(&self.spare_path, &self.path).is_err() {
            return Ok(Files {
                spare: None,
                current,
            });
        }
        Ok(Files {
            spare: Some(current),
            current: spare,
        })
    }

    pub(crate) fn sync_is_due(&self) -> bool {
        self.dirty && self.synced.elapsed() >= SYNC_INTERVAL
    }

    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        let Some(files) = self.files.as_ref().filter(|_| self.dirty) else {
            return Ok(());
        };
        files.current.sync()?;
        self.disk.sync_folder(&self.folder)?;
        self.synced = Instant::now();
        self.dirty = false;
        Ok(())
    }
}

/// Path of the other file in an anchor's folder.
pub(crate) fn other_path_in(folder: &Path) -> PathBuf {
    path_in(folder).with_added_extension("old")
}

/// Path of the checkpoint in an anchor's folder.
pub(crate) fn path_in(folder: &Path) -> PathBuf {
    folder.join("checkpoint")
}
