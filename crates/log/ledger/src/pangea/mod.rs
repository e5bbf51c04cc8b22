//! The log as Pangea's clients know it: every entry is a leaf of a hot tree, every root of a hot
//! tree that was published is a leaf of the cold one (see `fieldledger_pangea_tree`).
//!
//! ```text
//! publisher.rs  decides when the entries since the last publication get a root, and logs it
//! trees.rs      both trees; what they are follows from the log's entries alone
//! roots.rs      the file of published roots, so that a start need not read the log
//! questions.rs  searches with proofs, roots, proofs of what was just logged
//! deposits.rs   what clients come back for: asynchronous requests, exports, downloads
//! types.rs      what is answered
//! ```
//!
//! **All** entries are leaves, the ledger's own ones too, so a root's own entry is the first leaf or
//! one of the first of the buffer after it, and never of its own. Only what is not the entry of a
//! root makes a new publication due. So a log at rest gets no new roots, and an event that comes
//! alone still has a neighbour in its buffer, which it needs: there is no text for the proof of a
//! buffer of one that all of Pangea's clients can read. The very first event gets its neighbour from
//! an entry that says that the tree begins: its root has the number 0.

mod deposits;
mod publisher;
mod questions;
mod roots;
mod trees;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{QueryError, StoreError};
use crate::head::Published;
use crate::store::disk::Disk;
use crate::store::reader::LogReader;

use deposits::Deposits;
use parking_lot::{Mutex, MutexGuard};
use trees::{Recent, Trees};

pub(crate) use publisher::Publisher;
pub(crate) use questions::ResultId;

/// Texts that can be kept under names which they got here.
const MOST_KEPT: usize = 10_000;

/// And under names that callers chose, two for each write with a key of its own in an hour.
const MOST_NAMED: usize = 100_000;

/// Both trees, fed from the log.
pub(crate) struct Pangea {
    log: Arc<LogReader>,
    published: Arc<Published>,
    /// The log's origin.
    tree_name: String,
    trees: Mutex<Trees>,
    recent: Mutex<Recent>,
    deposits: Deposits,
    /// Under names that callers have chosen: in a folder of their own, so that neither takes the other's
    /// room.
    named: Deposits,
    /// A client was told that all entries below this are in the log.
    answered: AtomicU64,
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
            deposits: Deposits::open(disk, &folder.join("kept"), MOST_KEPT, now)?,
            named: Deposits::open(disk, &folder.join("named"), MOST_NAMED, now)?,
            tree_name: head.checkpoint.origin.clone(),
            answered: AtomicU64::new(0),
            log,
            published,
        })
    }

    /// A client is told that entry `index` is in the log.
    pub(crate) fn answer(&self, index: u64) {
        self.answered.fetch_max(index + 1, Ordering::Relaxed);
    }

    /// What clients were told of lies below.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// The trees, with all entries that are signed so far.
    fn trees(&self) -> Result<MutexGuard<'_, Trees>, QueryError> {
        let mut trees = self.trees.lock();
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
        self.deposits.keep(content, now, expires_at)
    }

    /// Keeps a text under this name unless one is kept there, and says what is kept there then.
    pub(crate) fn keep_as(
        &self,
        name: &str,
        content: &str,
        now: u64,
        expires_at: u64,
    ) -> Result<String, QueryError> {
        self.named.keep_as(name, content, now, expires_at)
    }

    /// What was kept under this name.
    pub(crate) fn kept(&self, id: &str, now: u64) -> Result<String, QueryError> {
        match self.deposits.find(id, now) {
            Err(QueryError::NotFound(_)) => self.named.find(id, now),
            found => found,
        }
    }
}
