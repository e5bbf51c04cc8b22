//! The folder `kept`: what clients will come back for, until it expires. One small file each, named
//! at random, so that whoever knows the name may have it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::error::{QueryError, StoreError};
use crate::store::disk::{Disk, Durability};

/// Files there can be.
const MOST: usize = 10_000;

/// Bytes of one content.
const MAX_CONTENT_BYTES: usize = 128 * 1024;

/// Letters of a name: 165 random bits.
const NAME_LETTERS: usize = 32;
const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A file.
#[derive(Debug, Serialize, Deserialize)]
struct Deposit {
    /// Microseconds since the Unix epoch.
    expires_at: u64,
    content: String,
}

/// The texts that clients will come back for.
#[derive(Debug)]
pub(super) struct Deposits {
    disk: Disk,
    folder: PathBuf,
    /// When each file expires, by its name.
    expiries: Mutex<HashMap<String, u64>>,
}

impl Deposits {
    /// Reads the folder, and removes from it what has expired or cannot be read.
    pub(super) fn open(disk: &Disk, folder: &Path, now: u64) -> Result<Self, StoreError> {
        disk.create_folder(folder)?;
        let mut expiries = HashMap::new();
        for path in disk.list(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let kept = read(disk, &path)?.filter(|kept| kept.expires_at > now && is_name(&name));
            match kept {
                Some(kept) => {
                    expiries.insert(name.into_owned(), kept.expires_at);
                }
                None => disk.remove(&path)?,
            }
        }
        Ok(Self {
            disk: disk.clone(),
            folder: folder.to_owned(),
            expiries: Mutex::new(expiries),
        })
    }

    /// Keeps `content`; it is durable when this returns its name.
    pub(super) fn keep(
        &self,
        content: &str,
        now: u64,
        expires_at: u64,
    ) -> Result<String, QueryError> {
        if content.len() > MAX_CONTENT_BYTES {
            let found = content.len();
            let problem = format!("has {found} bytes; at most {MAX_CONTENT_BYTES} can be kept");
            return Err(QueryError::parameter("content", problem));
        }
        let name = new_name();
        {
            let mut expiries = self.expiries.lock();
            if expiries.len() >= MOST {
                self.remove_expired(&mut expiries, now)?;
            }
            if expiries.len() >= MOST {
                let problem = format!("{MOST} requests and downloads are kept already");
                return Err(QueryError::Unavailable(problem));
            }
            expiries.insert(name.clone(), expires_at);
        }
        let file = Deposit {
            expires_at,
            content: content.to_owned(),
        };
        let path = self.folder.join(&name);
        let written = serde_json::to_vec(&file)
            .map_err(|error| StoreError::io("encode", &path)(error.into()))
            .and_then(|bytes| self.disk.replace(&path, &bytes, 0o600, Durability::Power));
        written.inspect_err(|_| {
            let mut expiries = self.expiries.lock();
            expiries.remove(&name);
        })?;
        Ok(name)
    }

    fn remove_expired(
        &self,
        expiries: &mut HashMap<String, u64>,
        now: u64,
    ) -> Result<(), StoreError> {
        let expired = expiries.extract_if(|_, expires_at| *expires_at <= now);
        for (name, _) in expired {
            self.disk.remove(&self.folder.join(name))?;
        }
        Ok(())
    }

    /// The content of that name.
    pub(super) fn find(&self, name: &str, now: u64) -> Result<String, QueryError> {
        let nothing = || QueryError::NotFound("nothing is kept under this name".to_owned());
        // A name is part of a path.
        if !is_name(name) {
            return Err(nothing());
        }
        let kept = read(&self.disk, &self.folder.join(name))?.ok_or_else(nothing)?;
        if kept.expires_at <= now {
            let problem = "what was kept under this name has expired; ask for it again";
            return Err(QueryError::Expired(problem.to_owned()));
        }
        Ok(kept.content)
    }
}

/// None where there is no file, or a crash left one half written.
fn read(disk: &Disk, path: &Path) -> Result<Option<Deposit>, StoreError> {
    let bytes = disk.read_if_there(path)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn is_name(text: &str) -> bool {
    text.len() == NAME_LETTERS && text.bytes().all(|letter| LETTERS.contains(&letter))
}

fn new_name() -> String {
    let mut random = rand::rng();
    (0..NAME_LETTERS)
        .map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_kept_is_found_until_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Deposits::open(&Disk::default(), folder.path(), 0).unwrap();
        let short = kept.keep("short", 0, 10).unwrap();
        let long = kept.keep("long", 0, 100).unwrap();
        for now in [0, 9] {
            assert_eq!(kept.find(&short, now).unwrap(), "short");
        }
        assert!(matches!(kept.find(&short, 10), Err(QueryError::Expired(_))));
        fs::write(folder.path().join("half-written.tmp"), "{").unwrap();
        let again = Deposits::open(&Disk::default(), folder.path(), 10).unwrap();
        assert_eq!(again.find(&long, 10).unwrap(), "long");
        let gone = again.find(&short, 10);
        assert!(matches!(gone, Err(QueryError::NotFound(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Deposits::open(&Disk::default(), &folder.path().join("kept"), 0).unwrap();
        fs::write(folder.path().join("secret"), "{}").unwrap();
        for name in [
            "",
            "../secret",
            "/etc/passwd",
            &"a/".repeat(16),
            &"A".repeat(32),
        ] {
            assert!(matches!(kept.find(name, 0), Err(QueryError::NotFound(_))));
        }
        let long = "x".repeat(MAX_CONTENT_BYTES + 1);
        assert!(matches!(
            kept.keep(&long, 0, 1),
            Err(QueryError::Invalid(_))
        ));
    }

    #[test]
    fn no_more_is_kept_than_fits() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Deposits::open(&Disk::default(), folder.path(), 0).unwrap();
        {
            let mut expiries = kept.expiries.lock();
            expiries.extend((0..MOST).map(|number| (format!("x{number}"), 100)));
        }
        assert!(matches!(
            kept.keep("x", 0, 1),
            Err(QueryError::Unavailable(_))
        ));
    }
}
