//! A device's secret key: a file of one line, the hexadecimal seed, for its owner's eyes only.
#![forbid(unsafe_code)]

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fieldledger_attest::identity::KEY_BYTES;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use thiserror::Error;

/// What is wrong with a key file.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It cannot be read, created or looked at.
    #[error("cannot {operation} the key file {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may read it.
    #[error("key file {} has mode {mode:o}; others may read it, expected 600", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Who may do what with it.
        mode: u32,
    },
    /// It holds no key.
    #[error("key file {} holds no key; expected {} hexadecimal digits", path.display(), 2 * KEY_BYTES)]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// The machine gives no random numbers.
    #[error("the operating system gives no random numbers for a key")]
    Random(#[source] rand::rand_core::OsError),
}

/// The seed of the key in `path`, which is created with mode 600 where there is none.
///
/// # Errors
///
/// Says what is wrong with the file.
pub fn read_or_create(path: &Path) -> Result<[u8; KEY_BYTES], KeyFileError> {
    match fs::metadata(path) {
        Ok(metadata) => read(path, metadata.permissions().mode() & 0o777),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(source) => Err(failed("look at", path)(source)),
    }
}

fn failed<'a>(operation: &'static str, path: &'a Path) -> impl Fn(io::Error) -> KeyFileError + 'a {
    move |source| KeyFileError::File {
        operation,
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path, mode: u32) -> Result<[u8; KEY_BYTES], KeyFileError> {
    let path_buf = || path.to_owned();
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Mode {
            path: path_buf(),
            mode,
        });
    }
    let mut text = String::new();
    let mut file = fs::File::open(path).map_err(failed("open", path))?;
    file.read_to_string(&mut text)
        .map_err(failed("read", path))?;
    seed(text.trim_end()).ok_or_else(|| KeyFileError::Content { path: path_buf() })
}

fn seed(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut seed = [0; KEY_BYTES];
    hex::decode_to_slice(text, &mut seed).ok()?;
    Some(seed)
}

fn create(path: &Path) -> Result<[u8; KEY_BYTES], KeyFileError> {
    let mut seed = [0; KEY_BYTES];
    OsRng
        .try_fill_bytes(&mut seed)
        .map_err(KeyFileError::Random)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(folder)
            .map_err(failed("create the folder of", path))?;
    }
    let mut options = OpenOptions::new();
    // Not over a key that another process has just made.
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).map_err(failed("create", path))?;
    writeln!(file, "{}", hex::encode(seed)).map_err(failed("write", path))?;
    file.sync_all().map_err(failed("sync", path))?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("key");
        let made = read_or_create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(read_or_create(&path).unwrap(), made);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_or_create(&path).unwrap_err();
        assert!(
            matches!(error, KeyFileError::Mode { mode: 0o640, .. }),
            "{error}"
        );
    }

    #[test]
    fn what_holds_no_key_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for content in [
            String::new(),
            "x".repeat(64),
            "0".repeat(63),
            "+1".repeat(32),
        ] {
            fs::write(&path, &content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = read_or_create(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Content { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}
