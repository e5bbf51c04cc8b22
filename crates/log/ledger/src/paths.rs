//! The files and folders in a ledger's folder.

use std::path::{Path, PathBuf};

/// Where things lie in the ledger's folder.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) folder: PathBuf,
    pub(crate) segments: PathBuf,
    pub(crate) offsets: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) snapshot: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) lock: PathBuf,
    /// Why nothing may be appended, if that is so.
    pub(crate) read_only: PathBuf,
    /// What is being erased, while it is.
    pub(crate) erasing: PathBuf,
    /// What is given up, and what of that must yet be done.
    pub(crate) retention: PathBuf,
    pub(crate) pangea: PathBuf,
}

impl Paths {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            segments: folder.join("segments"),
            offsets: folder.join("offsets"),
            key: folder.join("key"),
            snapshot: folder.join("snapshot"),
            index: folder.join("index"),
            lock: folder.join("lock"),
            read_only: folder.join("read-only"),
            erasing: folder.join("erasing"),
            retention: folder.join("retention"),
            pangea: folder.join("pangea"),
        }
    }
}
