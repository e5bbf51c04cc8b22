//! The folder that holds a site's state, and who may use it.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fieldledger_site::stop_leftovers;

/// Name of the lock file, which stays when all else is cleared.
const LOCK: &str = "lock";

/// A state folder that is this process's alone while this lives.
pub(crate) struct State {
    folder: PathBuf,
    _lock: File,
}

impl State {
    /// Takes the folder, which is created if it is not there.
    pub(crate) fn lock(folder: &Path) -> anyhow::Result<Self> {
        let folder = std::path::absolute(folder)
            .with_context(|| format!("{} is no path", folder.display()))?;
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(LOCK);
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let owner = fs::read_to_string(&path).unwrap_or_default();
                bail!(
                    "another `cargo xtask up` (process {}) uses {}; stop it, \
                     or give this one a folder of its own with `--state`",
                    owner.trim(),
                    folder.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The folder, as an absolute path.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stops what an earlier run left behind because it was killed.
    pub(crate) fn stop_leftovers(&self) {
        for name in stop_leftovers(&self.folder) {
            println!("stopped a {name} that an earlier run left behind");
        }
    }

    /// Deletes all state.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        let fail = || format!("cannot clear {}", self.folder.display());
        for entry in fs::read_dir(&self.folder).with_context(fail)? {
            let entry = entry.with_context(fail)?;
            if entry.file_name() == LOCK {
                continue;
            }
            let path = entry.path();
            let deleted = match entry.file_type().with_context(fail)?.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            deleted.with_context(|| format!("cannot delete {}", path.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_is_one_process_s_and_survives_clearing() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::lock(folder.path()).unwrap();
        fs::create_dir(folder.path().join("ledger")).unwrap();
        state.clear().unwrap();
        assert!(!folder.path().join("ledger").exists());

        let second = State::lock(folder.path()).err().unwrap().to_string();
        assert!(second.contains(&std::process::id().to_string()), "{second}");
        drop(state);
        State::lock(folder.path()).unwrap();
    }
}
