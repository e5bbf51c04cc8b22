//! The file `key`: the Ed25519 seed in base64, readable by its owner only.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand::RngCore;

use super::files::{self, Durability};
use crate::error::StoreError;

/// Reads the seed; none where there is no key yet.
pub(crate) fn read(path: &Path) -> Result<Option<[u8; 32]>, StoreError> {
    let Some(text) = files::read_if_there(path)? else {
        return Ok(None);
    };
    let decoded = BASE64_STANDARD.decode(text.trim_ascii()).ok();
    match decoded.and_then(|seed| <[u8; 32]>::try_from(seed).ok()) {
        Some(seed) => Ok(Some(seed)),
        None => Err(StoreError::Damaged {
            path: path.to_owned(),
            offset: 0,
            problem: "it must hold the base64 of 32 bytes; restore it from a backup".to_owned(),
        }),
    }
}

/// Makes a new seed and writes it down.
pub(crate) fn create(path: &Path) -> Result<[u8; 32], StoreError> {
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let text = format!("{}\n", BASE64_STANDARD.encode(seed));
    files::replace(path, text.as_bytes(), 0o600, Durability::Power)?;
    Ok(seed)
}
