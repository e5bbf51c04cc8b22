//! The file `retention`: what is given up, and what of that must yet be done.

use std::path::{Path, PathBuf};

use fieldledger_contract::ledger::RetentionScope;
use fieldledger_formats::envelope::Envelope;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::markers::{GivenUp, Markers, given_up_by};
use crate::paths::Paths;
use crate::store::disk::{Disk, Durability};
use crate::store::offsets::Offsets;
use crate::store::reader::LogReader;
use crate::store::scan::{Next, SegmentScan};
use crate::store::segments::Segments;

/// Changes whenever the meaning of a member does.
const VERSION: u32 = 1;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    version: u32,
    /// Readings below this entry are given up, and done with.
    pub(crate) readings_below: u64,
    /// All payloads below this entry are given up, and done with.
    pub(crate) all_below: u64,
    /// Bytes that segments became shorter by.
    pub(crate) freed_bytes: u64,
    /// What is to be done, oldest first.
    pub(crate) pending: Vec<GivenUp>,
    /// The segment that is being replaced: its file and the offsets may not fit each other.
    pub(crate) replacing: Option<u64>,
}

impl Plan {
    /// Up to where payloads of this scope are given up, or will be.
    pub(crate) fn below(&self, scope: RetentionScope) -> u64 {
        let pending = self.pending.iter().filter(|pending| {
            // Whoever gives up all gives up the readings.
            pending.scope == scope || pending.scope == RetentionScope::All
        });
        let pending = pending.map(|pending| pending.below).max();
        self.done_below(scope).max(pending.unwrap_or(0))
    }

    /// Up to where payloads of this scope are given up, and done with.
    pub(crate) fn done_below(&self, scope: RetentionScope) -> u64 {
        match scope {
            RetentionScope::Readings => self.readings_below.max(self.all_below),
            RetentionScope::All => self.all_below,
        }
    }

    /// The entry will never be, so there is nothing to do.
    pub(crate) fn forget(&mut self, marker: u64) {
        self.pending.retain(|pending| pending.marker != marker);
    }

    /// What the entry says was done.
    pub(crate) fn done(&mut self, done: GivenUp) {
        self.forget(done.marker);
        let below = match done.scope {
            RetentionScope::Readings => &mut self.readings_below,
            RetentionScope::All => &mut self.all_below,
        };
        *below = done.below.max(*below);
    }
}

/// The plan in memory and on disk.
#[derive(Debug)]
pub(crate) struct Plans {
    disk: Disk,
    path: PathBuf,
    plan: Mutex<Plan>,
}

impl Plans {
    /// As the plan is now.
    pub(crate) fn now(&self) -> Plan {
        self.plan().clone()
    }

    /// Changes it, durably. Nothing is changed where that fails.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Plan)) -> Result<(), StoreError> {
        let mut plan = self.plan();
        let mut changed = plan.clone();
        change(&mut changed);
        write(&self.disk, &self.path, &changed)?;
        *plan = changed;
        Ok(())
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock()
    }
}

fn write(disk: &Disk, path: &Path, plan: &Plan) -> Result<(), StoreError> {
    let plan = Plan {
        version: VERSION,
        ..plan.clone()
    };
    let failed = |error: serde_json::Error| StoreError::io("encode", path)(error.into());
    let bytes = serde_json::to_vec(&plan).map_err(failed)?;
    disk.replace(path, &bytes, 0o644, Durability::Power)
}

/// What a start finds.
pub(crate) enum Found {
    /// The plan.
    Plan(Plan),
    /// No file, as in a log that never gave up anything, or one that was restored.
    Nothing,
    /// A file that cannot be read, so nothing says whether the offsets fit the segments.
    Unreadable,
}

/// Before the log is read: makes the offsets fit a segment that a crash may have left half replaced.
pub(crate) fn resume(
    disk: &Disk,
    paths: &Paths,
    segments: &Segments,
    offsets: &Offsets,
) -> Result<Found, StoreError> {
    let Some(bytes) = disk.read_if_there(&paths.retention)? else {
        return Ok(Found::Nothing);
    };
    let read = serde_json::from_slice(&bytes).ok();
    let Some(mut plan) = read.filter(|plan: &Plan| plan.version == VERSION) else {
        tracing::warn!(
            path = %paths.retention.display(),
            "the file does not say what is given up; the log itself does, and is read whole"
        );
        disk.remove(&paths.snapshot)?;
        return Ok(Found::Unreadable);
    };
    if let Some(first) = plan.replacing {
        let mut scan = SegmentScan::new(segments.open(first)?, 0)?;
        let mut ends = Vec::new();
        while let Next::Frame(_) = scan.next(first + ends.len() as u64)? {
            ends.push(scan.offset());
        }
        offsets.write(first, &ends)?;
        offsets.sync()?;
        plan.replacing = None;
        write(disk, &paths.retention, &plan)?;
    }
    Ok(Found::Plan(plan))
}

/// After the log was read: what of the plan the log tells of, and what it tells of beyond that.
pub(crate) fn reconcile(
    disk: &Disk,
    paths: &Paths,
    found: Found,
    log: &LogReader,
    size: u64,
    markers: &Markers,
) -> Result<Plans, StoreError> {
    let plan = match found {
        Found::Plan(mut plan) => {
            let mut pending = Vec::new();
            for one in plan.pending {
                if is_in_log(log, size, one)? {
                    pending.push(one);
                }
            }
            plan.pending = pending;
            plan
        }
        // Where all is done already there is nothing to do but to look.
        Found::Nothing | Found::Unreadable => Plan {
            pending: markers.retentions.clone(),
            ..Plan::default()
        },
    };
    Ok(Plans {
        disk: disk.clone(),
        path: paths.retention.clone(),
        plan: Mutex::new(plan),
    })
}

/// Whether there is an entry that says so: a crash may have come before it.
fn is_in_log(log: &LogReader, size: u64, pending: GivenUp) -> Result<bool, StoreError> {
    if pending.marker >= size {
        return Ok(false);
    }
    let stored = log.entry(pending.marker)?;
    let parsed = stored.envelope().map(Envelope::parse);
    let Some(Ok(envelope)) = parsed else {
        return Ok(false);
    };
    Ok(given_up_by(pending.marker, &envelope) == Some(pending))
}
