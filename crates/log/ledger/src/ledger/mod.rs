//! The handle through which a ledger is used.
//!
//! ```text
//! mod.rs        appends and questions
//! open.rs       opening: what there is, and the threads that work on it
//! life.rs       erasures, keys, retention, the end of the log
//! pangea.rs     questions about Pangea's trees
//! successor.rs  a log that goes on where another ended
//! ```

mod life;
mod open;
mod pangea;
mod successor;

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_audit::EventColumns;
use fieldledger_audit::log::validate_page_limit;
use fieldledger_contract::audit::{
    Checkpoint, Entry, EntryRange, InclusionProof, SearchPage, SearchQuery, Written,
};
use fieldledger_contract::ledger::{
    ArchiveStatus, GapPage, GapQuery, GapTotals, LedgerStatus, Reading, Series,
};
use fieldledger_formats::own::{self, Details, OwnKind};
use fieldledger_tlog::Hash;
use parking_lot::{Mutex, RwLock};

use crate::clock_watch::ClockWatch;
use crate::commit::CommitQueue;
use crate::error::{AppendError, QueryError};
use crate::gaps::Gaps;
use crate::head::Published;
use crate::intake::{self, Answer};
use crate::life::retention::retainer::Retainer;
use crate::pangea::Pangea;
use crate::paths::Paths;
use crate::problem::Problem;
use crate::proofs::Proofs;
use crate::readings::Latest;
use crate::search::Search;
use crate::stats::Stats;
use crate::store::archive::Archive;
use crate::usage;

/// Sensors that one call of [`Ledger::latest`] is about, at most.
const MAX_SENSORS: usize = 10_000;

/// A ledger that is open. Clones are handles to the same ledger.
///
/// [`Ledger::append`] can be awaited in any runtime. All other methods read files and may take
/// milliseconds: call them where blocking is allowed, such as `tokio::task::spawn_blocking`.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    queue: Arc<CommitQueue>,
    published: Arc<Published>,
    latest: Arc<RwLock<Latest>>,
    gaps: Arc<RwLock<Gaps>>,
    stats: Arc<Stats>,
    archive: Option<Arc<Archive>>,
    archive_problem: Problem,
    index_problem: Problem,
    watch: Arc<ClockWatch>,
    proofs: Proofs,
    search: Search,
    pangea: Arc<Pangea>,
    paths: Paths,
    recovery: String,
    /// Held while the log is changed otherwise than by an append.
    control: Arc<Mutex<()>>,
    retainer: Retainer,
    running: Mutex<Option<Running>>,
}

/// What ends when the ledger is closed.
struct Running {
    /// The commit thread first: the others end once it has.
    threads: Vec<JoinHandle<()>>,
    /// Locked as long as it is open.
    _lock: File,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checkpoint = self.checkpoint();
        formatter
            .debug_struct("Ledger")
            .field("origin", &checkpoint.origin)
            .field("tree_size", &checkpoint.tree_size)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Appends events, all or none. Resolves once they are durable and a signed tree covers them.
    ///
    /// An event that was there already, with the same producer and sequence, is not appended again: it
    /// counts as a duplicate and has no index in the answer, because the log remembers that it has the
    /// event, but not where.
    ///
    /// The events are queued by the time this returns; dropping the future does not take them back.
    ///
    /// # Errors
    ///
    /// [`AppendError::Invalid`] names what is wrong with which event; [`AppendError::Ended`] once the
    /// log was frozen, and where it was restored read-only; [`AppendError::Unavailable`] when too much
    /// waits already, the ledger is closing, or the disk failed.
    #[allow(clippy::needless_pass_by_value)]
    pub fn append(
        &self,
        events: EventColumns,
    ) -> impl Future<Output = Result<Written, AppendError>> + Send + use<> {
        let impostors = own::impostors(&events);
        let queued = if impostors.is_empty() {
            self.enqueue(&events)
        } else {
            self.count_rejected(&events);
            Err(AppendError::Invalid(impostors))
        };
        intake::written(queued)
    }

    /// Appends an entry about the log itself; see [`OwnKind`] for what `sequence` is. Resolves as
    /// [`Ledger::append`] does.
    ///
    /// # Errors
    ///
    /// As [`Ledger::append`].
    pub fn append_own(
        &self,
        kind: OwnKind,
        sequence: u64,
        details: &Details,
    ) -> impl Future<Output = Result<Written, AppendError>> + Send + use<> {
        let origin = self.checkpoint().origin;
        intake::written(self.enqueue(&own::event(kind, sequence, &origin, details)))
    }

    fn enqueue(&self, events: &EventColumns) -> Result<Answer, AppendError> {
        intake::submit(events, &self.0.queue).inspect_err(|error| {
            if matches!(error, AppendError::Invalid(_)) {
                self.count_rejected(events);
            }
        })
    }

    fn count_rejected(&self, events: &EventColumns) {
        let rejected = &self.0.stats.rejected;
        rejected.fetch_add(events.len() as u64, Ordering::Relaxed);
    }

    /// Entries that match, from the first.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] names the parameter.
    pub fn search(&self, query: &SearchQuery) -> Result<SearchPage, QueryError> {
        self.0.search.check_times(query)?;
        self.0.search.search(query, &self.0.proofs)
    }

    /// More of an earlier search; `limit` 1 to 1,000. Beyond the result's end there are no entries.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] for what is not such an id, [`QueryError::Expired`] for an old one.
    pub fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, QueryError> {
        self.0.search.page(id, offset, limit, &self.0.proofs)
    }

    /// Entry `index` and its audit path in the newest signed tree.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] beyond the end of the log.
    pub fn inclusion(&self, index: u64) -> Result<InclusionProof, QueryError> {
        let head = self.0.published.head();
        head.has(index)?;
        let mut entries = self.0.proofs.proven([index], &head)?;
        Ok(InclusionProof {
            entry: entries.remove(0),
            checkpoint: head.checkpoint.clone(),
        })
    }

    /// Entry `index` and its audit path in the tree of an older checkpoint of this log.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] where that tree has no such entry, [`QueryError::Invalid`] where it
    /// is not a tree of this log.
    pub fn inclusion_in(
        &self,
        index: u64,
        checkpoint: &Checkpoint,
    ) -> Result<InclusionProof, QueryError> {
        let head = self.0.published.head();
        let size = checkpoint.tree_size;
        if index >= size || size > head.size() {
            let problem = format!("no entry {index} in a tree of {size} entries of this log");
            return Err(QueryError::NotFound(problem));
        }
        let root = BASE64_STANDARD.decode(&checkpoint.root_hash).ok();
        let root = root.and_then(|root| <[u8; 32]>::try_from(root).ok());
        let root = root.ok_or_else(|| {
            QueryError::parameter("root_hash", "must be the base64 of a hash, 32 bytes")
        })?;
        let tree = (size, Hash(root));
        Ok(InclusionProof {
            entry: self.0.proofs.proven_in(index, tree, &head)?,
            checkpoint: checkpoint.clone(),
        })
    }

    /// Entries from `first` on, with audit paths if asked for; `limit` 1 to 1,000. Fewer come where
    /// they are large or the log ends, none beyond its end.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] for such a limit.
    pub fn entries(
        &self,
        first: u64,
        limit: u32,
        with_proofs: bool,
    ) -> Result<EntryRange, QueryError> {
        validate_page_limit(limit).map_err(QueryError::Invalid)?;
        let head = self.0.published.head();
        let end = first.saturating_add(limit.into()).min(head.size());
        Ok(EntryRange {
            entries: self.0.proofs.range(first..end, with_proofs, &head)?,
            checkpoint: head.checkpoint.clone(),
        })
    }

    /// RFC 6962 consistency proof between two sizes, hashes in base64; `0 < old <= new <= size`.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] for sizes out of order, [`QueryError::NotFound`] for a size the log
    /// has not reached.
    pub fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, QueryError> {
        let head = self.0.published.head();
        let size = head.size();
        if new_size > size {
            let problem = format!("no tree of {new_size} entries yet; the log has {size}");
            return Err(QueryError::NotFound(problem));
        }
        if old_size == 0 || old_size > new_size {
            let problem = format!("is {old_size}; it must be 1 to new_size, {new_size}");
            return Err(QueryError::parameter("old_size", problem));
        }
        self.0.proofs.consistency(old_size, new_size, &head)
    }

    /// Entry `index` without a proof.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] beyond the end of the log.
    pub fn entry(&self, index: u64) -> Result<Entry, QueryError> {
        self.0.published.head().has(index)?;
        self.0.proofs.entry(index)
    }

    /// The first `width` (1 to 256) hashes of tile `number` at `level`, C2SP tlog-tiles.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] where the newest signed tree has no such tile, or not that wide.
    pub fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, QueryError> {
        let head = self.0.published.head();
        self.0.proofs.tile(level, number, width, &head)
    }

    /// The first `width` (1 to 256) leaves of bundle `number`, C2SP tlog-tiles.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] where the newest signed tree has no such bundle, or not that wide.
    pub fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, QueryError> {
        let head = self.0.published.head();
        self.0.proofs.entry_bundle(number, width, &head)
    }

    /// The COSE receipt, RFC 9942, that entry `index` is in the newest signed tree.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] beyond the end of the log, and where its only entry is asked for.
    pub fn receipt(&self, index: u64) -> Result<Vec<u8>, QueryError> {
        let head = self.0.published.head();
        head.has(index)?;
        self.0.proofs.receipt(index, &head)
    }

    /// The newest signed tree head.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.0.published.head().checkpoint.clone()
    }

    /// The newest reading of each of these sensors that has one, in the order asked; of all
    /// sensors, by id, for an empty list. At most 10,000.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] when more than 10,000 are asked for.
    pub fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, QueryError> {
        let asked = sensors.len();
        if asked > MAX_SENSORS {
            let problem = format!("has {asked} items; at most {MAX_SENSORS} are allowed");
            return Err(QueryError::parameter("sensors", problem));
        }
        let latest = self.0.latest.read();
        if sensors.is_empty() {
            return Ok(latest.all(MAX_SENSORS));
        }
        Ok(latest.of(sensors))
    }

    /// Readings of one sensor polled in `start <= t < end`, microseconds since the Unix epoch, as
    /// far as they are indexed. More than `limit` (1 to 10,000) of them come as at most `limit`
    /// buckets.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] names the parameter.
    pub fn series(
        &self,
        sensor: &str,
        start: u64,
        end: u64,
        limit: u32,
    ) -> Result<Series, QueryError> {
        self.0.search.series(sensor, start, end, limit)
    }

    /// What is in the archive; none where there is no archive.
    #[must_use]
    pub fn archive_status(&self) -> Option<ArchiveStatus> {
        let archive = self.0.archive.as_ref()?;
        let mut status = archive.status();
        status.problem = self.0.archive_problem.text();
        Some(status)
    }

    /// Readings that are missing, or may be, the newest gap first; see [`crate::Gap`].
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] names the parameter.
    pub fn gaps(&self, query: &GapQuery) -> Result<GapPage, QueryError> {
        let gaps = self.0.gaps.read();
        let listed = gaps.list(query)?;
        Ok(GapPage {
            gaps: listed.gaps.iter().map(Into::into).collect(),
            next: listed.next,
            totals: gaps.totals(),
        })
    }

    /// How complete the log is.
    #[must_use]
    pub fn gap_totals(&self) -> GapTotals {
        let gaps = self.0.gaps.read();
        gaps.totals()
    }

    /// Counters and gauges.
    #[must_use]
    pub fn status(&self) -> LedgerStatus {
        let checkpoint = self.checkpoint();
        let stats = &self.0.stats;
        let (commit_p50, commit_p99) = stats.percentiles();
        LedgerStatus {
            origin: checkpoint.origin,
            tree_size: checkpoint.tree_size,
            indexed_size: self.0.search.indexed_size(),
            bytes_on_disk: usage::bytes_on_disk(
                &self.0.paths,
                checkpoint.tree_size,
                self.0
                    .archive
                    .as_ref()
                    .map_or(0, |archive| archive.removed().1),
            ),
            bytes_per_day: stats.bytes_per_day(self.0.search.clock.now()),
            appended: stats.appended.load(Ordering::Relaxed),
            duplicates: stats.duplicates.load(Ordering::Relaxed),
            rejected: stats.rejected.load(Ordering::Relaxed),
            commits: stats.commits.load(Ordering::Relaxed),
            recovery: self.0.recovery.clone(),
            commit_p50,
            commit_p99,
            ended: self.0.published.ended().map(str::to_owned),
            index_problem: self.0.index_problem.text(),
            archive: self.archive_status(),
            clock: self.0.watch.problem(),
        }
    }

    /// Commits what waits, refuses what comes after, writes the derived state down and lets go of
    /// the folder. Blocks until done; a second call returns at once. Dropping the last handle
    /// does the same.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.queue.close();
        let running = self.running.lock().take();
        let Some(running) = running else {
            return;
        };
        for thread in running.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the ledger panicked; the next start recovers the log");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
