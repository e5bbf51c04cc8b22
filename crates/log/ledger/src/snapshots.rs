//! Writing snapshots: large ones beside the commits.
//!
//! A snapshot grows with the number of producers, not with the log: of 100,000 sensors it is 40 MB of
//! JSON, and half a second in which nothing would be committed.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::error::{StoreError, with_causes};
use crate::paths::Paths;
use crate::store::disk::Disk;
use crate::store::reader::LogReader;
use crate::store::snapshot::Snapshot;

/// Producers from which on a thread is worth its while: fewer take a millisecond or two.
const LARGE: usize = 1_000;

/// Writes one snapshot at a time, and none after a newer one.
#[derive(Debug)]
pub(crate) struct Snapshots {
    target: Target,
    under_way: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone)]
struct Target {
    disk: Disk,
    path: PathBuf,
    log: Arc<LogReader>,
}

impl Snapshots {
    pub(crate) fn new(disk: Disk, paths: &Paths, log: Arc<LogReader>) -> Self {
        let path = paths.snapshot.clone();
        Self {
            target: Target { disk, path, log },
            under_way: None,
        }
    }

    /// Whether one is being written.
    pub(crate) fn is_busy(&self) -> bool {
        let under_way = self.under_way.as_ref();
        under_way.is_some_and(|thread| !thread.is_finished())
    }

    /// Writes a snapshot, whose tree the anchor has durably.
    pub(crate) fn write(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.settle();
        self.target.write(snapshot)
    }

    /// The same, beside the caller where it is large. One that cannot be written only makes the next
    /// start longer.
    pub(crate) fn write_beside(&mut self, snapshot: Snapshot) {
        self.settle();
        if snapshot.producers.len() < LARGE {
            return self.target.try_to_write(&snapshot);
        }
        let target = self.target.clone();
        let started = thread::Builder::new()
            .name("ledger-snapshot".to_owned())
            .spawn(move || target.try_to_write(&snapshot));
        match started {
            Ok(thread) => self.under_way = Some(thread),
            Err(error) => {
                tracing::warn!(%error, "no thread could be started to write the snapshot");
            }
        }
    }

    /// Waits for what is under way.
    fn settle(&mut self) {
        if let Some(thread) = self.under_way.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that wrote the snapshot panicked");
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Target {
    fn try_to_write(&self, snapshot: &Snapshot) {
        if let Err(error) = self.write(snapshot) {
            warn(&error);
        }
    }

    /// A snapshot must never be newer than the offsets that go with it.
    fn write(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.log.offsets().sync()?;
        snapshot.write(&self.disk, &self.path)
    }
}

/// Without it the next start only takes longer.
pub(crate) fn warn(error: &StoreError) {
    tracing::warn!(
        error = with_causes(error),
        "the snapshot could not be written"
    );
}
