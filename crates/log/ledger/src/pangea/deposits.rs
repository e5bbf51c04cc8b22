//! The folder `kept`: what clients will come back for, until it expires. One small file each, named
//! at random, so that whoever knows the name may have it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::error::{QueryError, StoreError};
use crate::store::disk::{Disk, Durability};

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
    /// Files there can be.
    most: usize,
    /// Held while it is decided what is under a name that a caller chose.
    naming: Mutex<()>,
}

impl Deposits {
    /// Reads the folder, and removes from it what has expired or cannot be read.
    pub(super) fn open(
        disk: &Disk,
        folder: &Path,
        most: usize,
        now: u64,
    ) -> Result<Self, StoreError> {
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
            most,
            naming: Mutex::default(),
        })
    }

    /// Keeps `content`; it is durable when this returns its name.
    pub(super) fn keep(
        &self,
        content: &str,
        now: u64,
        expires_at: u64,
    ) -> Result<String, QueryError> {
        let name = new_name();
        self.write(&name, content, now, expires_at)?;
        Ok(name)
    }

    /// Keeps `content` under this name, unless what is kept there has not expired; returns what is kept
    /// there then.
    pub(super) fn keep_as(
        &self,
        name: &str,
        content: &str,
        now: u64,
        expires_at: u64,
    ) -> Result<String, QueryError> {
        if !is_name(name) {
            let problem = format!("is no name of {NAME_LETTERS} lower-case letters and digits");
            return Err(QueryError::parameter("name", problem));
        }
        let _alone = self.naming.lock();
        match self.find(name, now) {
            Ok(kept) => return Ok(kept),
            Err(QueryError::NotFound(_) | QueryError::Expired(_)) => {}
            Err(error) => return Err(error),
        }
        self.write(name, content, now, expires_at)?;
        Ok(content.to_owned())
    }

    fn write(
        &self,
        name: &str,
        content: &str,
        now: u64,
        expires_at: u64,
    ) -> Result<(), QueryError> {
        if content.len() > MAX_CONTENT_BYTES {
            let found = content.len();
            let problem = format!("has {found} bytes; at most {MAX_CONTENT_BYTES} can be kept");
            return Err(QueryError::parameter("content", problem));
        }
        let most = self.most;
        {
            let mut expiries = self.expiries.lock();
            if expiries.len() >= most {
                self.remove_expired(&mut expiries, now)?;
            }
            if expiries.len() >= most {
                let problem = format!("{most} texts are kept already");
                return Err(QueryError::Unavailable(problem));
            }
            expiries.insert(name.to_owned(), expires_at);
        }
        let file = Deposit {
            expires_at,
            content: content.to_owned(),
        };
        let path = self.folder.join(name);
        let written = serde_json::to_vec(&file)
            .map_err(|error| StoreError::io("encode", &path)(error.into()))
            .and_then(|bytes| self.disk.replace(&path, &bytes, 0o600, Durability::Power));
        written.inspect_err(|_| {
            let mut expiries = self.expiries.lock();
            expiries.remove(name);
        })?;
        Ok(())
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
        let kept = Deposits::open(&Disk::default(), folder.path(), 9, 0).unwrap();
        let short = kept.keep("short", 0, 10).unwrap();
        let long = kept.keep("long", 0, 100).unwrap();
        for now in [0, 9] {
            assert_eq!(kept.find(&short, now).unwrap(), "short");
        }
        assert!(matches!(kept.find(&short, 10), Err(QueryError::Expired(_))));
        fs::write(folder.path().join("half-written.tmp"), "{").unwrap();
        let again = Deposits::open(&Disk::default(), folder.path(), 9, 10).unwrap();
        assert_eq!(again.find(&long, 10).unwrap(), "long");
        let gone = again.find(&short, 10);
        assert!(matches!(gone, Err(QueryError::NotFound(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_first_under_a_name_stays_until_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Deposits::open(&Disk::default(), folder.path(), 9, 0).unwrap();
        let name = "b".repeat(32);
        assert_eq!(kept.keep_as(&name, "first", 0, 10).unwrap(), "first");
        assert_eq!(kept.keep_as(&name, "second", 1, 20).unwrap(), "first");
        let again = Deposits::open(&Disk::default(), folder.path(), 9, 2).unwrap();
        assert_eq!(again.keep_as(&name, "second", 9, 20).unwrap(), "first");
        assert_eq!(again.keep_as(&name, "third", 10, 20).unwrap(), "third");
        let refused = again.keep_as("../x", "fourth", 0, 1);
        assert!(matches!(refused, Err(QueryError::Invalid(_))));
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Deposits::open(&Disk::default(), &folder.path().join("kept"), 9, 0).unwrap();
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
        let kept = Deposits::open(&Disk::default(), folder.path(), 9, 0).unwrap();
        {
            let mut expiries = kept.expiries.lock();
            expiries.extend((0..9).map(|number| (format!("x{number}"), 100)));
        }
        assert!(matches!(
            kept.keep("x", 0, 1),
            Err(QueryError::Unavailable(_))
        ));
    }
}
