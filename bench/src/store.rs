//! What is compared: the ledger and two databases, each taking batches of readings durably.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::Context as _;
use fieldledger_ledger::{Config, EventColumns, Ledger};
use futures::executor::block_on;
use serde::Serialize;

use crate::measure::{Percentiles, Times, sync_ms};
use crate::postgres::Server;
use crate::workload::Workload;
use crate::{postgres, sqlite};

/// Callers of the ledger that append at the same time, where there are several.
const CALLERS: u64 = 8;

/// Batch sizes.
pub(crate) const BATCHES: [u64; 5] = [1, 64, 256, 1_024, 8_192];

/// A store, and how it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Ledger { index: bool, callers: u64 },
    Sqlite,
    Postgres,
}

impl Store {
    pub(crate) const ALL: [Self; 6] = [
        Self::Ledger {
            index: false,
            callers: 1,
        },
        Self::Ledger {
            index: false,
            callers: CALLERS,
        },
        Self::Ledger {
            index: true,
            callers: 1,
        },
        Self::Ledger {
            index: true,
            callers: CALLERS,
        },
        Self::Sqlite,
        Self::Postgres,
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Ledger { index, callers } => {
                let index = if index { " + index" } else { "" };
                let callers = if callers > 1 {
                    format!(", {callers} callers")
                } else {
                    String::new()
                };
                format!("ledger{index}{callers}")
            }
            Self::Sqlite => "SQLite".to_owned(),
            Self::Postgres => "PostgreSQL".to_owned(),
        }
    }
}

/// What a store reached with a batch size.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rate {
    pub(crate) store: String,
    pub(crate) batch: u64,
    pub(crate) entries_per_second: f64,
    /// With an index: entries a second until all could be found, the time after the last append
    /// included.
    pub(crate) searchable_per_second: Option<f64>,
    /// From call to answer.
    pub(crate) call: Percentiles,
    /// What the disk took for a small write just before.
    pub(crate) sync_ms: f64,
}

/// Appends to a fresh store for a while. What it leaves stays until the end: ext4 searches all files
/// deleted within the last minutes for every one that is created, so that the next would pay for it.
pub(crate) fn rate(
    store: Store,
    batch: u64,
    folder: &Path,
    server: Option<&Server>,
    duration: Duration,
) -> anyhow::Result<Rate> {
    let folder = folder.join(format!("{}-{batch}", store.name()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let sync_ms = sync_ms(&folder)?;
    let run = match store {
        Store::Ledger { index, callers } => ledger(&folder, index, callers, batch, duration)?,
        Store::Sqlite => {
            let mut database = sqlite::Database::create(&folder.join("entries.sqlite"))?;
            one_caller(batch, duration, |events| database.append(events))?
        }
        Store::Postgres => {
            let server = server.context("PostgreSQL is left out")?;
            let mut database = postgres::Database::create(server)?;
            one_caller(batch, duration, |events| database.append(events))?
        }
    };
    Ok(Rate {
        store: store.name(),
        batch,
        entries_per_second: run.appended as f64 / run.elapsed.as_secs_f64(),
        searchable_per_second: run
            .searchable
            .map(|elapsed| run.appended as f64 / elapsed.as_secs_f64()),
        call: run.times.percentiles(),
        sync_ms,
    })
}

struct Run {
    appended: u64,
    elapsed: Duration,
    searchable: Option<Duration>,
    times: Times,
}

fn ledger(
    folder: &Path,
    index: bool,
    callers: u64,
    batch: u64,
    duration: Duration,
) -> anyhow::Result<Run> {
    let mut config = Config::new(folder.join("ledger"));
    config.index = index;
    let ledger = Ledger::open(config)?;
    let started = Instant::now();
    let runs: Vec<anyhow::Result<Run>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|caller| {
                let ledger = &ledger;
                scope.spawn(move || {
                    let workload = Workload::new(caller, callers, 0);
                    run(workload, batch, started + duration, |events| {
                        block_on(ledger.append(events))?;
                        Ok(())
                    })
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(run) => run,
            Err(_panicked) => Err(anyhow::anyhow!("a caller panicked")),
        });
        joined.collect()
    });
    let mut whole = Run {
        appended: 0,
        elapsed: started.elapsed(),
        searchable: None,
        times: Times::new()?,
    };
    for run in runs {
        let run = run?;
        whole.appended += run.appended;
        whole.times.merge(&run.times)?;
    }
    if index {
        wait_for_index(&ledger);
        whole.searchable = Some(started.elapsed());
    }
    ledger.close();
    Ok(whole)
}

/// Waits until everything can be found.
pub(crate) fn wait_for_index(ledger: &Ledger) {
    loop {
        let status = ledger.status();
        if status.indexed_size >= status.tree_size {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn one_caller(
    batch: u64,
    duration: Duration,
    append: impl FnMut(EventColumns) -> anyhow::Result<()>,
) -> anyhow::Result<Run> {
    run(
        Workload::new(0, 1, 0),
        batch,
        Instant::now() + duration,
        append,
    )
}

/// Calls `append` again and again until the end.
fn run(
    mut workload: Workload,
    batch: u64,
    end: Instant,
    mut append: impl FnMut(EventColumns) -> anyhow::Result<()>,
) -> anyhow::Result<Run> {
    let started = Instant::now();
    let mut times = Times::new()?;
    let mut appended = 0;
    while Instant::now() < end {
        let events = workload.readings(batch);
        let called = Instant::now();
        append(events)?;
        times.add(called.elapsed());
        appended += batch;
    }
    Ok(Run {
        appended,
        elapsed: started.elapsed(),
        searchable: None,
        times,
    })
}
