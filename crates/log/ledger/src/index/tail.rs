//! Follows the log and puts its entries in the index.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::own::OwnKind;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, MergePolicy, NoMergePolicy};
use tantivy::query::Query;
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyError};

use super::matching;
use super::readings::{self, Scan, Shelf};
use super::schema::IndexSchema;
use super::view::{View, Views};
use super::words::{self, Words};
use crate::error::{OpenError, StoreError, with_causes};
use crate::head::Published;
use crate::markers::{GivenUp, given_up_by};
use crate::problem::Problem;
use crate::store::reader::LogReader;

/// Memory for entries that are not yet in a segment of the index.
const WRITER_BYTES: usize = 20_000_000;

/// Entries after which it is looked whether the ledger closes.
const STEP: u64 = 4_096;

/// Entries that become searchable at once at most, when a long log is indexed.
const COMMIT_ENTRIES: u64 = 262_144;

/// Entries from which on a segment of the index is not merged any more: a merge takes memory for each
/// entry, and a search does not feel a segment for every million.
const MERGE_BELOW_ENTRIES: usize = 1_000_000;

/// How long it waits after a first error before it tries again; twice as long after each further one.
const RETRY: Duration = Duration::from_secs(5);

/// How long it waits at most.
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// The file of an index that names its other files.
const META: &str = "meta.json";

/// What an index calls the entries that it covers, before their number. An index in which readings are
/// documents has another name for it, and is built anew.
const COVERED: &str = "beside-readings ";

/// The folder of the readings in that of the index.
pub(crate) fn readings_folder(index: &Path) -> PathBuf {
    index.join("readings")
}

/// How often the check of an index that is being written is begun anew.
const ATTEMPTS_IN_USE: usize = 20;

/// Puts entries in the index.
pub(crate) struct Indexer {
    index: Index,
    reader: IndexReader,
    schema: IndexSchema,
    /// Entries whose documents are committed, as far as they are no readings: all below this.
    committed: u64,
    /// The readings.
    shelf: Shelf,
    scan: Scan,
    views: Arc<Views>,
    log: Arc<LogReader>,
    published: Arc<Published>,
    interval: Duration,
    /// Why entries cannot be indexed; empty if nothing is wrong.
    problem: Problem,
}

impl Indexer {
    /// Opens the index in the folder. One that is damaged, or does not belong to a log of `size`
    /// entries, is built anew.
    pub(crate) fn open(
        folder: &Path,
        size: u64,
        log: Arc<LogReader>,
        published: Arc<Published>,
        interval: Duration,
        problem: Problem,
    ) -> Result<(Self, Arc<Views>), OpenError> {
        let schema = IndexSchema::new();
        let opened = match open(folder, &schema, size) {
            Ok(opened) => opened,
            Err(problem) => {
                tracing::warn!(problem, folder = %folder.display(), "the index is built anew");
                remove(folder)?;
                open(folder, &schema, size).map_err(|problem| StoreError::Damaged {
                    path: folder.to_owned(),
                    offset: 0,
                    problem,
                })?
            }
        };
        let shelf = Shelf::open(&readings_folder(folder), size);
        let shelf = shelf.map_err(|fault| StoreError::Damaged {
            path: readings_folder(folder),
            offset: 0,
            problem: fault.to_string(),
        })?;
        let view = View {
            searcher: opened.reader.searcher(),
            schema: schema.clone(),
            readings: shelf.readings(),
            size: opened.size.min(shelf.end()),
        };
        let views = Arc::new(Views::new(view));
        let indexer = Self {
            index: opened.index,
            reader: opened.reader,
            schema,
            committed: opened.size,
            shelf,
            scan: Scan::default(),
            views: Arc::clone(&views),
            log,
            published,
            interval,
            problem,
        };
        Ok((indexer, views))
    }

    /// Follows the log until the ledger is closed.
    pub(crate) fn run(mut self) {
        let mut pause = RETRY;
        let mut size = self.views.newest().size;
        while let Err(problem) = self.follow() {
            let reached = self.views.newest().size;
            if reached > size {
                (size, pause) = (reached, RETRY);
            }
            // Said once, however often it is tried; the status has what is wrong now.
            if self.problem.note(&problem).is_empty() {
                tracing::warn!(
                    problem,
                    "entries cannot be indexed; it is tried again and again"
                );
            }
            self.published.pause(pause);
            if self.published.is_closed() {
                return;
            }
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    }

    /// Returns once the ledger is closed.
    fn follow(&mut self) -> Result<(), String> {
        let mut writer = self.writer(merge_policy()).map_err(text)?;
        let mut size = self.committed.min(self.shelf.end());
        let mut looked_at = None;
        loop {
            if looked_at != Some(self.committed) {
                looked_at = Some(self.committed);
                if self.holds_deleted().map_err(text)? {
                    writer.wait_merging_threads().map_err(text)?;
                    self.purge(size).map_err(text)?;
                    writer = self.writer(merge_policy()).map_err(text)?;
                }
            }
            let (head, closed) = self.published.wait_beyond(size);
            if closed {
                break;
            }
            if head.size() - size < COMMIT_ENTRIES {
                self.published.pause_unless_hurried(self.interval);
            }
            size = self.index_some(&mut writer, size)?;
            if !self.problem.note("").is_empty() {
                tracing::info!(size, "entries are indexed again");
            }
        }
        size = self.index_some(&mut writer, size)?;
        if size > self.committed {
            self.commit(&mut writer, size).map_err(text)?;
        }
        self.shelf.save().map_err(|fault| fault.to_string())?;
        writer.wait_merging_threads().map_err(text)?;
        if self.holds_deleted().map_err(text)? {
            self.purge(size).map_err(text)?;
        }
        Ok(())
    }

    fn writer(&self, merging: Box<dyn MergePolicy>) -> tantivy::Result<IndexWriter> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(WRITER_BYTES)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = self.index.writer_with_options(options)?;
        writer.set_merge_policy(merging);
        Ok(writer)
    }

    /// Whether words of deleted entries are still in the index's files.
    fn holds_deleted(&self) -> tantivy::Result<bool> {
        let segments = self.index.searchable_segment_metas()?;
        Ok(segments
            .iter()
            .any(|segment| segment.num_deleted_docs() > 0))
    }

    /// Writes every segment of the index anew that holds deleted entries. To be deleted only hides
    /// an entry; its words stay on disk until then.
    fn purge(&self, size: u64) -> tantivy::Result<()> {
        let mut writer = self.writer(Box::new(NoMergePolicy))?;
        for segment in self.index.searchable_segment_metas()? {
            if segment.num_deleted_docs() > 0 {
                writer.merge(&[segment.id()]).wait()?;
            }
        }
        // Files are kept as long as a searcher has them open.
        self.reader.reload()?;
        self.show(size);
        writer.garbage_collect_files().wait()?;
        writer.wait_merging_threads()
    }

    /// Makes entries from `from` on searchable, and returns up to where. Once the ledger closes it
    /// takes one more step only: what is missing is indexed after the next start.
    fn index_some(&mut self, writer: &mut IndexWriter, from: u64) -> Result<u64, String> {
        let end = self.published.head().size().min(from + COMMIT_ENTRIES);
        let mut next = from;
        let mut is_changed = false;
        while next < end {
            let step_end = end.min(next + STEP);
            is_changed |= self.add(writer, next, step_end)?;
            next = step_end;
            if self.shelf.is_full() {
                // In this order: after a crash the readings are never ahead, so that none is looked at
                // twice.
                self.commit(writer, next).map_err(text)?;
                is_changed = false;
                self.shelf.seal().map_err(|fault| fault.to_string())?;
            }
            if self.published.is_closed() {
                break;
            }
        }
        if next > from {
            // A commit costs as much for one entry as for a thousand: there is none for readings alone.
            if is_changed {
                self.commit(writer, next).map_err(text)?;
            }
            self.show(next);
        }
        Ok(next)
    }

    /// Takes entries in; true where some are no readings.
    fn add(&mut self, writer: &IndexWriter, from: u64, to: u64) -> Result<bool, String> {
        let Self {
            log,
            schema,
            committed,
            shelf,
            scan,
            ..
        } = self;
        let covered = shelf.end();
        let mut failure: Option<String> = None;
        let mut is_changed = false;
        let mut gone = Vec::new();
        let read = log.read(from..to, |index, frame| {
            let Some(bytes) = frame.envelope() else {
                return Ok(());
            };
            let is_here = match index < covered {
                true if index < *committed => return Ok(()),
                true => Shelf::has(scan, bytes),
                false => shelf.push(index, bytes, scan).unwrap_or_else(|fault| {
                    failure.get_or_insert(fault.to_string());
                    false
                }),
            };
            if is_here {
                return Ok(());
            }
            let envelope = Envelope::parse(bytes).map_err(|problem| log.damaged(index, problem))?;
            // It comes later in the log than what it is about, so that was added before. Readings that are
            // indexed anew may be those.
            let its = GoneEntries::because_of(index, &envelope);
            if index >= *committed {
                is_changed = true;
                let mut done = writer.add_document(schema.document(index, &envelope));
                if let Some(its) = &its {
                    done = done.and_then(|_| writer.delete_query(its.query(schema)));
                }
                if let Err(error) = done {
                    failure.get_or_insert(error.to_string());
                }
            }
            gone.extend(its);
            Ok(())
        });
        read.map_err(|error| with_causes(&error))?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        shelf.cover(to);
        for its in gone {
            let (from, to) = its.readings();
            shelf.remove(from, to).map_err(|fault| fault.to_string())?;
        }
        Ok(is_changed)
    }

    fn commit(&mut self, writer: &mut IndexWriter, size: u64) -> tantivy::Result<()> {
        let mut prepared = writer.prepare_commit()?;
        prepared.set_payload(&format!("{COVERED}{size}"));
        prepared.commit()?;
        self.committed = self.committed.max(size);
        self.reader.reload()
    }

    /// Lets searches see the index as it is now, with the entries below `size`.
    fn show(&self, size: u64) {
        self.views.replace(View {
            searcher: self.reader.searcher(),
            schema: self.schema.clone(),
            readings: self.shelf.readings(),
            size,
        });
    }
}

/// Entries that must not be found any more because of another.
enum GoneEntries {
    One(u64),
    GivenUp(GivenUp),
}

impl GoneEntries {
    fn because_of(index: u64, envelope: &Envelope<'_>) -> Option<Self> {
        let (producer, sequence) = envelope.origin()?;
        if producer == OwnKind::Erasure.producer() {
            return Some(Self::One(sequence));
        }
        given_up_by(index, envelope).map(Self::GivenUp)
    }

    fn query(&self, schema: &IndexSchema) -> Box<dyn Query> {
        match self {
            Self::One(index) => matching::entries(schema, *index, index + 1),
            Self::GivenUp(GivenUp { below, scope, .. }) => {
                Box::new(matching::given_up(schema, *below, *scope))
            }
        }
    }

    /// The first and the end of the entries among which no readings are left.
    fn readings(&self) -> (u64, u64) {
        match self {
            Self::One(index) => (*index, index.saturating_add(1)),
            Self::GivenUp(given_up) => (0, given_up.below),
        }
    }
}

fn merge_policy() -> Box<dyn MergePolicy> {
    let mut merging = LogMergePolicy::default();
    merging.set_max_docs_before_merge(MERGE_BELOW_ENTRIES);
    Box::new(merging)
}

#[allow(clippy::needless_pass_by_value)]
fn text(error: TantivyError) -> String {
    error.to_string()
}

/// Why the index in the folder is not an index of a log of `size` entries, or which of its files are
/// damaged. Writes nothing.
pub(crate) fn verify(folder: &Path, size: u64) -> Result<(), String> {
    if !folder.join(META).is_file() {
        return Ok(());
    }
    verify_files(folder, size)
}

/// Like [`verify`], for an index that another process is writing.
///
/// It may hold more than the caller read of the log, and its writer removes files once [`META`] no
/// longer names them: only what is found while that file stays the same is a problem.
pub(crate) fn verify_in_use(folder: &Path) -> Result<(), String> {
    let meta = folder.join(META);
    // A busy index commits a few times a second, a check of a small one takes milliseconds. Where
    // every attempt is overtaken nothing is said: the owner checks its index when it opens it.
    for _ in 0..ATTEMPTS_IN_USE {
        let Ok(before) = fs::read(&meta) else {
            return Ok(());
        };
        let verified = verify_files(folder, u64::MAX);
        if verified.is_ok() || fs::read(&meta).is_ok_and(|after| after == before) {
            return verified;
        }
    }
    Ok(())
}

fn verify_files(folder: &Path, size: u64) -> Result<(), String> {
    let opened = open(folder, &IndexSchema::new(), size)?;
    let damaged = opened.index.validate_checksum();
    let damaged = damaged.map_err(|error| error.to_string())?;
    if damaged.is_empty() {
        return readings::verify(&readings_folder(folder), size);
    }
    let mut names: Vec<_> = damaged
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.sort_unstable();
    Err(format!("damaged: {}", names.join(", ")))
}

struct Opened {
    index: Index,
    reader: IndexReader,
    size: u64,
}

/// The error says why the index cannot be used.
fn open(folder: &Path, schema: &IndexSchema, log_size: u64) -> Result<Opened, String> {
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let opened = || {
        let directory = MmapDirectory::open(folder)?;
        let settings = IndexSettings::default();
        let index = if Index::exists(&directory)? {
            Index::open(directory)?
        } else {
            Index::create(directory, schema.schema.clone(), settings)?
        };
        index.tokenizers().register(words::NAME, Words::default());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        let payload = index.load_metas()?.payload;
        Ok::<_, TantivyError>((index, reader, payload))
    };
    // It panics at some damaged files.
    let opened = panic::catch_unwind(AssertUnwindSafe(opened));
    let opened = opened.map_err(|_| "its files are damaged".to_owned())?;
    let (index, reader, payload) = opened.map_err(|error| error.to_string())?;
    if index.schema() != schema.schema {
        return Err("it has another schema".to_owned());
    }
    let size = match payload {
        None => 0,
        Some(payload) => {
            let size = payload
                .strip_prefix(COVERED)
                .and_then(|size| size.parse().ok());
            size.ok_or_else(|| format!("{payload:?} is not a size"))?
        }
    };
    if size > log_size {
        return Err(format!("it has {size} entries, but the log has {log_size}"));
    }
    Ok(Opened {
        index,
        reader,
        size,
    })
}

fn remove(folder: &Path) -> Result<(), StoreError> {
    let trash: PathBuf = folder.with_added_extension("old");
    if trash.exists() {
        fs::remove_dir_all(&trash).map_err(StoreError::io("remove", &trash))?;
    }
    fs::rename(folder, &trash).map_err(StoreError::io("move", folder))?;
    fs::remove_dir_all(&trash).map_err(StoreError::io("remove", &trash))
}
