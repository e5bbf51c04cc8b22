//! Opening a ledger: its folder is locked and recovered, then its threads are started.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::{Inner, Ledger, Running};
use crate::anchor::Anchor;
use crate::archiver::Archiver;
use crate::clock_recorder::ClockRecorder;
use crate::clock_watch::ClockWatch;
use crate::commit::{CommitQueue, Committer};
use crate::config::Config;
use crate::error::OpenError;
use crate::gap_recorder::Recorder;
use crate::head::Published;
use crate::index::{Indexer, Views};
use crate::life::restore::ReadOnly;
use crate::life::retention::retainer::Retainer;
use crate::packer::Packer;
use crate::pangea::{Pangea, Publisher};
use crate::paths::Paths;
use crate::problem::Problem;
use crate::proofs::Proofs;
use crate::recovery::{Recovered, recover};
use crate::search::Search;
use crate::snapshots::Snapshots;
use crate::stats::Stats;
use crate::store::disk::Disk;
use crate::store::lock::lock;
use crate::store::reader::LogReader;

impl Ledger {
    /// Opens the ledger in the configured folder, or creates it, and recovers what a crash left.
    /// `status().recovery` then says what was found and done.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used, another process holds it, or its log is not the one that
    /// was last signed.
    #[allow(clippy::needless_pass_by_value)]
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let paths = Paths::of(&config.folder);
        let disk = Disk::new(config.faults.clone());
        let (lock, recovered) = lock_and_recover(&disk, &paths, &config)?;
        let Recovered { log, state, .. } = recovered;
        let size = state.grower.size();
        tracing::info!(
            folder = %paths.folder.display(),
            size,
            recovery = recovered.sentence,
            "the log is recovered"
        );
        let anchored = recovered.head.checkpoint.note.clone();
        let published = Arc::new(Published::new(recovered.head));
        if let Some(reason) = recovered.ended {
            published.end(reason);
        }
        let index_problem = Problem::default();
        let (indexer, views) =
            open_index(&config, &paths, size, &log, &published, &index_problem)?.unzip();
        let pangea = Pangea::open(
            &disk,
            &paths.pangea,
            Arc::clone(&log),
            Arc::clone(&published),
            config.clock.now(),
        )?;
        let queue = Arc::new(CommitQueue::new(config.queue_bytes));
        let latest = Arc::new(RwLock::new(state.latest));
        let gaps = Arc::new(RwLock::new(state.gaps));
        let stats = Arc::new(Stats::new(config.clock.now()));
        let watch = Arc::new(ClockWatch::new(config.clock.clone(), state.received_at));
        // A last entry in the future is found before another follows it.
        watch.look();
        let mut committer = Committer {
            queue: Arc::clone(&queue),
            segment: recovered.segment,
            log: Arc::clone(&log),
            grower: state.grower,
            keys: recovered.keys,
            key_entry: state.markers.key_entry,
            anchored,
            anchor: recovered.anchor,
            published: Arc::clone(&published),
            producers: state.producers,
            latest: Arc::clone(&latest),
            gaps: Arc::clone(&gaps),
            recent: state.recent,
            views: views.clone(),
            stats: Arc::clone(&stats),
            watch: Arc::clone(&watch),
            received_at: state.received_at,
            snapshots: Snapshots::new(disk.clone(), &paths, Arc::clone(&log)),
            disk,
            paths: paths.clone(),
            snapshot_every: config.snapshot_every,
            snapshot_size: recovered.snapshot_size,
            commit_events: config.commit_events,
            stopped: None,
        };
        if recovered.unrecorded_key {
            committer.finish_rotation().map_err(OpenError::Unfinished)?;
        }
        let control = Arc::new(Mutex::default());
        let ledger = Self(Arc::new(Inner {
            archive: recovered.archive,
            archive_problem: Problem::default(),
            index_problem,
            watch,
            proofs: Proofs {
                log: Arc::clone(&log),
                tiles: recovered.tiles,
            },
            search: Search {
                log: Arc::clone(&log),
                published: Arc::clone(&published),
                views,
                clock: config.clock.clone(),
            },
            pangea: Arc::new(pangea),
            paths,
            recovery: recovered.sentence,
            retainer: Retainer {
                plans: recovered.plans,
                log,
                published: Arc::clone(&published),
                queue: Arc::clone(&queue),
                control: Arc::clone(&control),
                clock: config.clock.clone(),
                problem: Problem::default(),
            },
            control,
            queue,
            published,
            latest,
            gaps,
            stats,
            running: Mutex::new(Some(Running {
                threads: Vec::new(),
                _lock: lock,
            })),
        }));
        ledger.0.start_threads(committer, indexer, &config)?;
        Ok(ledger)
    }
}

/// Locks the folder; creates it if it is missing, and recovers the log in it.
fn lock_and_recover(
    disk: &Disk,
    paths: &Paths,
    config: &Config,
) -> Result<(File, Recovered), OpenError> {
    disk.create_folder(&paths.folder)?;
    let patience = Duration::from_millis(config.lock_wait_ms);
    let lock = lock(&paths.lock, patience)?;
    let read_only = ReadOnly::read(disk, paths)?;
    let anchor = match &read_only {
        Some(read_only) => Anchor::fixed(&read_only.checkpoint),
        None => Anchor::open(&config.anchor, &paths.folder, disk, patience)?,
    };
    let recovered = recover(disk, paths, anchor, read_only.as_ref(), config)?;
    Ok((lock, recovered))
}

/// What follows the log for the search index, and where its newest view is found; none without one.
fn open_index(
    config: &Config,
    paths: &Paths,
    size: u64,
    log: &Arc<LogReader>,
    published: &Arc<Published>,
    problem: &Problem,
) -> Result<Option<(Indexer, Arc<Views>)>, OpenError> {
    if !config.index {
        return Ok(None);
    }
    let opened = Indexer::open(
        &paths.index,
        size,
        Arc::clone(log),
        Arc::clone(published),
        Duration::from_millis(config.index_interval_ms),
        problem.clone(),
    );
    opened.map(Some)
}

impl Inner {
    /// Starts the commit thread, and then those that work behind it. They end once the ledger is
    /// closed, also where one of them could not be started.
    fn start_threads(
        &self,
        committer: Committer,
        indexer: Option<Indexer>,
        config: &Config,
    ) -> Result<(), OpenError> {
        self.spawn("ledger-commit", move || committer.run())?;
        if let Some(indexer) = indexer {
            self.spawn("ledger-index", move || indexer.run())?;
        }
        let packer = Packer {
            disk: Disk::new(config.faults.clone()),
            log: Arc::clone(&self.proofs.log),
            published: Arc::clone(&self.published),
            control: Arc::clone(&self.control),
            done: HashSet::new(),
        };
        self.spawn("ledger-pack", move || packer.run())?;
        if let Some(archive) = &self.archive {
            let archiver = Archiver {
                archive: Arc::clone(archive),
                log: Arc::clone(&self.proofs.log),
                published: Arc::clone(&self.published),
                local_segments: config.local_segments,
                problem: self.archive_problem.clone(),
            };
            self.spawn("ledger-archive", move || archiver.run())?;
        }
        let clock_recorder = ClockRecorder {
            watch: Arc::clone(&self.watch),
            queue: Arc::clone(&self.queue),
            published: Arc::clone(&self.published),
        };
        self.spawn("ledger-clock", move || clock_recorder.run())?;
        let recorder = Recorder {
            gaps: Arc::clone(&self.gaps),
            queue: Arc::clone(&self.queue),
            published: Arc::clone(&self.published),
            clock: config.clock.clone(),
            grace: config.gap_grace_ms.saturating_mul(1_000),
        };
        self.spawn("ledger-gaps", move || recorder.run())?;
        if let Some(when) = config.publication {
            let publisher = Publisher {
                pangea: Arc::clone(&self.pangea),
                queue: Arc::clone(&self.queue),
                when,
            };
            self.spawn("ledger-publish", move || publisher.run())?;
        }
        let (retainer, policy) = (self.retainer.clone(), config.retention);
        self.spawn("ledger-retention", move || retainer.run(policy))
    }

    fn spawn(
        &self,
        name: &'static str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), OpenError> {
        let started = thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = started.map_err(|source| OpenError::Thread { name, source })?;
        let mut running = self.running.lock();
        if let Some(running) = running.as_mut() {
            running.threads.push(thread);
        }
        Ok(())
    }
}
