//! The log as Pangea's clients know it: every entry is a leaf of a hot tree, every root of a hot
//! tree that was published is a leaf of the cold one (see `fieldledger_pangea_tree`).
//!
//! ```text
//! publisher.rs  decides when the entries since the last publication get a root, and logs it
//! trees.rs      both trees; what they are follows from the log's entries alone
//! roots.rs      the file of published roots, so that a start need not read the log
//! questions.rs  searches with proofs, roots, proofs of what was just logged
//! kept.rs       what clients come back for: asynchronous requests, exports, downloads
//! handle.rs     the ledger's functions about them
//! types.rs      what is answered
//! ```
//!
//! **All** entries are leaves, the ledger's own ones too, so a root's own entry is the first leaf or
//! one of the first of the buffer after it, and never of its own. Only what is not the entry of a
//! root makes a new publication due. So a log at rest gets no new roots, and an event that comes
//! alone still has a neighbour in its buffer, which it needs: there is no text for the proof of a
//! buffer of one that all of Pangea's clients can read. The very first event gets its neighbour from
//! an entry that says that the tree begins: its root has the number 0.

mod handle;
mod kept;
mod publisher;
mod questions;
mod roots;
mod trees;
mod types;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{QueryError, StoreError};
use crate::head::Published;
use crate::store::disk::Disk;
use crate::store::reader::LogReader;

use kept::Kept;
use trees::{Recent, Trees};

pub use handle::Restriction;
pub(crate) use publisher::Publisher;
pub use types::{Logged, PangeaEvent, PangeaPage, PangeaRoot};

/// When the entries since the last publication get a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// Once the oldest has waited so long, milliseconds.
    pub interval_ms: u64,
    /// Once there are so many; also the most that get one root. At least 2.
    pub entries: u64,
}

impl Default for Publication {
    /// Each minute, or 16,384 entries: to prove one of them, all their hashes are read.
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            entries: 16_384,
        }
    }
}

/// Both trees, fed from the log.
pub(crate) struct Pangea {
    log: Arc<LogReader>,
    published: Arc<Published>,
    /// The log's origin.
    tree_name: String,
    trees: Mutex<Trees>,
    recent: Mutex<Recent>,
    kept: Kept,
}

impl Pangea {
    /// `folder` is derived but for what is kept for clients; created where it is missing.
    pub(crate) fn open(
        disk: &Disk,
        folder: &Path,
        log: Arc<LogReader>,
        published: Arc<Published>,
        now: u64,
    ) -> Result<Self, StoreError> {
        let head = published.head();
        Ok(Self {
            trees: Mutex::new(Trees::open(disk, folder, &log, head.size())?),
            recent: Mutex::default(),
            kept: Kept::open(disk, &folder.join("kept"), now)?,
            tree_name: head.checkpoint.origin.clone(),
            log,
            published,
        })
    }

    /// The trees, with all entries that are signed so far.
    fn trees(&self) -> Result<MutexGuard<'_, Trees>, QueryError> {
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        let size = self.published.head().size();
        trees.catch_up(&self.log, size)?;
        Ok(trees)
    }

    /// Keeps a text for a client to come back for; the answer is its name, 32 letters and digits
    /// that nobody can guess. `now` and `expires_at` are microseconds since the Unix epoch.
    pub(crate) fn keep(
        &self,
        content: &str,
        now: u64,
        expires_at: u64,
    ) -> Result<String, QueryError> {
        self.kept.keep(content, now, expires_at)
    }

    /// What was kept under this name.
    pub(crate) fn kept(&self, id: &str, now: u64) -> Result<String, QueryError> {
        self.kept.find(id, now)
    }
}
