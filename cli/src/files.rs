//! Small files that must be whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::InputError;

/// Longest file of this kind that is read, bytes.
const LONGEST: u64 = 64 << 20;

/// Puts `content` in place of what the file held: after a crash it holds the one or the other.
///
/// # Errors
///
/// Where the file cannot be written.
pub(crate) fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    let write = || {
        let mut file = File::create(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The file's text.
///
/// # Errors
///
/// [`InputError`] where it cannot be read or is far too long.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let read = || {
        let length = fs::metadata(path)?.len();
        match length > LONGEST {
            true => Err(io::Error::other(format!(
                "it has {length} bytes, too many to be one"
            ))),
            false => fs::read_to_string(path),
        }
    };
    read()
        .map_err(|error| InputError(error.to_string()))
        .with_context(|| format!("cannot read {}", path.display()))
}

/// The file's text, or none where there is no such file.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn read_if_there(path: &Path) -> anyhow::Result<Option<String>> {
    match path.exists() {
        true => read(path).map(Some),
        false => Ok(None),
    }
}
