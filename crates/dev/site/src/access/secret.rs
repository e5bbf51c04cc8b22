//! Secrets, in files that only their owner reads.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

use crate::error::SiteError;
use crate::process::file_error;

/// Bytes of chance in a password: nobody tries 2^192 of them.
const PASSWORD_BYTES: usize = 24;

/// A slow hash protects passwords that people choose. These are chance, and a thousand devices that
/// come back at once should cost the server a second, not minutes.
const BCRYPT_COST: u32 = 4;

/// A password drawn by lot.
pub(crate) fn password() -> Result<String, SiteError> {
    let mut bytes = [0; PASSWORD_BYTES];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|source| SiteError::Secret {
            operation: "draw a password",
            problem: source.to_string(),
        })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A password as nats-server's configuration may hold it.
pub(crate) fn hash(password: &str) -> Result<String, SiteError> {
    let hashed = bcrypt::hash_with_result(password, BCRYPT_COST);
    let hashed = hashed.map_err(|source| SiteError::Secret {
        operation: "hash a password",
        problem: source.to_string(),
    })?;
    // nats-server older than 2.11 knows a hash by `$2a$`; since 2014 all versions mean the same.
    Ok(hashed.format_for_version(bcrypt::Version::TwoA))
}

/// Makes a folder that only its owner may enter.
pub(crate) fn folder(path: &Path) -> Result<(), SiteError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(|source| file_error("create", path, source))
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), SiteError> {
    write_as(path, text, 0o600)
}

/// Writes a file that is no secret in the same way.
pub(crate) fn write_for_all(path: &Path, text: &str) -> Result<(), SiteError> {
    write_as(path, text, 0o644)
}

fn write_as(path: &Path, text: &str, mode: u32) -> Result<(), SiteError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = || -> io::Result<()> {
        if new.exists() {
            fs::remove_file(&new)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        let mut file = options.open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    written().map_err(|source| file_error("write", path, source))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_secret_is_its_owners_alone_and_replaced_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("inner");
        folder(&inner).unwrap();
        let path = inner.join("secret");
        for text in ["one", "two"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&inner), mode(&path)), (0o700, 0o600));
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    }

    #[test]
    fn passwords_differ_and_fit_their_hashes() {
        let (one, two) = (password().unwrap(), password().unwrap());
        assert_ne!(one, two);
        let hashed = hash(&one).unwrap();
        assert!(hashed.starts_with("$2a$04$"), "{hashed}");
        assert!(bcrypt::verify(&one, &hashed).unwrap());
        assert!(!bcrypt::verify(&two, &hashed).unwrap());
    }
}
