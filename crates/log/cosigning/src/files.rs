//! Files that survive a crash, with errors that say what was tried on which.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", .path.display())]
pub struct FileError {
    /// What was tried.
    pub operation: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn because(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// Creates a folder that may be there already; durable with the next file replaced in it.
pub(crate) fn create_folder(folder: &Path) -> Result<(), FileError> {
    fs::create_dir_all(folder).map_err(FileError::because("create", folder))?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => Ok(()),
    }
}

/// The file's text; none where there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::because("read", path)(error)),
    }
}

/// Replaces the whole file. Once this returns, the new bytes outlast a loss of power; whenever it
/// is interrupted, the file has all old or all new bytes.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = path.with_added_extension("tmp");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(FileError::because("write", &temporary))?;
    fs::rename(&temporary, path).map_err(FileError::because("replace", path))?;
    path.parent().map_or(Ok(()), sync)
}

fn sync(folder: &Path) -> Result<(), FileError> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(FileError::because("sync", folder))
}

/// The Ed25519 seed in the file, base64; none where there is no file.
pub(crate) fn read_seed(path: &Path) -> Result<Option<[u8; 32]>, FileError> {
    let Some(text) = read(path)? else {
        return Ok(None);
    };
    let decoded = BASE64_STANDARD.decode(text.trim_ascii()).ok();
    let seed = decoded.and_then(|seed| <[u8; 32]>::try_from(seed).ok());
    let problem = || io::Error::other("it must hold the base64 of 32 bytes; restore it");
    seed.map(Some)
        .ok_or_else(|| FileError::because("use", path)(problem()))
}

/// Writes a new seed, for its owner's eyes only.
pub(crate) fn create_seed(path: &Path) -> Result<[u8; 32], FileError> {
    let seed: [u8; 32] = rand::random();
    let text = format!("{}\n", BASE64_STANDARD.encode(seed));
    replace(path, text.as_bytes(), 0o600)?;
    Ok(seed)
}
