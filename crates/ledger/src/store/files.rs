//! File operations that survive a crash, with errors that say what was tried on which file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::StoreError;

/// Makes a file, or the entries of a folder, durable.
pub(crate) fn sync(path: &Path) -> Result<(), StoreError> {
    let opened = File::open(path).map_err(StoreError::io("open", path))?;
    opened.sync_all().map_err(StoreError::io("sync", path))
}

/// Creates a folder and those above it, durably.
pub(crate) fn create_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => Ok(()),
    }
}

/// The file's bytes; none where there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// How much a replaced file must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of this process.
    Process,
    /// The loss of power.
    Power,
}

/// Replaces the whole file: a reader, and a start after a crash, finds all old or all new bytes.
/// `mode` are the permissions of a new file.
pub(crate) fn replace(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    durability: Durability,
) -> Result<(), StoreError> {
    let temporary = path.with_added_extension("tmp");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            match durability {
                Durability::Process => Ok(()),
                Durability::Power => file.sync_all(),
            }
        });
    written.map_err(StoreError::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(StoreError::io("replace", path))?;
    match (durability, path.parent()) {
        (Durability::Power, Some(folder)) => sync(folder),
        _ => Ok(()),
    }
}
