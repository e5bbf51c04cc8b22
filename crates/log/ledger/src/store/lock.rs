//! One process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{OpenError, StoreError};

/// How often a lock that another holds is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Locks the file, which unlocks when it is dropped or the process ends. A holder that is about to
/// stop gets `patience` to do so.
pub(crate) fn lock(path: &Path, patience: Duration) -> Result<File, OpenError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(StoreError::io("open", path))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::io("lock", path)(error).into());
            }
            Err(TryLockError::WouldBlock) if started.elapsed() < patience => thread::sleep(RETRY),
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked {
                    path: path.to_owned(),
                });
            }
        }
    }
}
