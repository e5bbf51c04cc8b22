//! The file `key`: the Ed25519 seeds of the keys that sign, in base64, each on a line of its own,
//! oldest first; readable by its owner only. It is replaced as a whole.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand::RngCore;

use super::disk::{Disk, Durability};
use crate::error::StoreError;

/// Keys that sign at the same time, at most.
pub(crate) const MOST_KEYS: usize = 2;

/// The secret of a key.
pub(crate) type Seed = [u8; 32];

/// Reads the seeds, at least one; none where there is no file yet.
pub(crate) fn read(disk: &Disk, path: &Path) -> Result<Option<Vec<Seed>>, StoreError> {
    let Some(text) = disk.read_if_there(path)? else {
        return Ok(None);
    };
    match decode(&text) {
        Some(seeds) => Ok(Some(seeds)),
        None => Err(StoreError::Damaged {
            path: path.to_owned(),
            offset: 0,
            problem: "it must hold one line, or two, each with the base64 of 32 bytes; restore it \
                      from a backup"
                .to_owned(),
        }),
    }
}

fn decode(text: &[u8]) -> Option<Vec<Seed>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut seeds = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        seeds.push(BASE64_STANDARD.decode(line.trim()).ok()?.try_into().ok()?);
    }
    (1..=MOST_KEYS).contains(&seeds.len()).then_some(seeds)
}

/// Replaces the file, durably.
pub(crate) fn write(disk: &Disk, path: &Path, seeds: &[Seed]) -> Result<(), StoreError> {
    let lines = seeds.iter().map(|seed| BASE64_STANDARD.encode(seed) + "\n");
    let text: String = lines.collect();
    disk.replace(path, text.as_bytes(), 0o600, Durability::Power)
}

/// A new seed.
pub(crate) fn new_seed() -> Seed {
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    seed
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn seeds_are_read_as_they_were_written_by_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert_eq!(read(&Disk::default(), &path).unwrap(), None);
        for seeds in [vec![[1; 32]], vec![[1; 32], [2; 32]], vec![[2; 32]]] {
            write(&Disk::default(), &path, &seeds).unwrap();
            assert_eq!(read(&Disk::default(), &path).unwrap(), Some(seeds));
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        let line = BASE64_STANDARD.encode([7; 32]);
        let three = format!("{line}\n{line}\n{line}\n");
        for text in ["", "\n", "AAAA\n", &line[1..], &three, "\u{e9}"] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
    }
}
