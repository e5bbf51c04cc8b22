//! What is known of the run there is, for those who ask from outside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use crate::dead_letters::Letters;
use crate::progress::Progress;
use crate::storage::Storage;

/// How long a question for the status waits for JetStream. The lattice gives up after two seconds.
const PENDING_PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct PresentRun {
    pub(crate) progress: Arc<Progress>,
    /// Its name.
    epoch: Mutex<String>,
    /// There while polling is.
    storage: Mutex<Option<Storage>>,
    /// The answer when JetStream was last asked.
    pending: AtomicU64,
    /// The same of dead letters.
    letters: Mutex<Letters>,
    /// Why it has not started yet.
    obstacle: Mutex<String>,
}

impl Default for PresentRun {
    fn default() -> Self {
        Self {
            progress: Arc::default(),
            epoch: Mutex::default(),
            storage: Mutex::default(),
            pending: AtomicU64::new(0),
            letters: Mutex::default(),
            obstacle: Mutex::new("connecting".to_owned()),
        }
    }
}

impl PresentRun {
    /// Batches in the stream; as of before, where JetStream does not say so at once.
    pub(crate) async fn pending(&self) -> u64 {
        if let Some(storage) = self.storage()
            && let Ok(Ok(pending)) = tokio::time::timeout(PENDING_PATIENCE, storage.pending()).await
        {
            self.pending.store(pending, Relaxed);
        }
        self.pending.load(Relaxed)
    }

    /// Dead letters; as of before, where JetStream does not say so at once.
    pub(crate) async fn letters(&self) -> Letters {
        if let Some(storage) = self.storage()
            && let Ok(Ok(letters)) = tokio::time::timeout(PENDING_PATIENCE, storage.letters()).await
        {
            *self.letters.lock() = letters;
        }
        *self.letters.lock()
    }

    pub(crate) fn epoch(&self) -> String {
        self.epoch.lock().clone()
    }

    pub(crate) fn set_epoch(&self, name: &str) {
        name.clone_into(&mut self.epoch.lock());
    }

    pub(crate) fn storage(&self) -> Option<Storage> {
        self.storage.lock().clone()
    }

    pub(crate) fn set_storage(&self, present: Option<Storage>) {
        *self.storage.lock() = present;
    }

    pub(crate) fn obstacle(&self) -> String {
        self.obstacle.lock().clone()
    }

    pub(crate) fn set_obstacle(&self, text: String) {
        *self.obstacle.lock() = text;
    }
}
