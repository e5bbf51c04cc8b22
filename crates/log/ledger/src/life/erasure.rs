//! Erasing the payload of an entry.
//!
//! First an entry says who had it erased and why; once that is durable and signed, the frame is
//! overwritten where it is, by one that keeps the leaf. A crash may tear the overwriting, so the new
//! frame is written to the file `erasing` before: a start that finds it writes it again. A packed
//! segment is written anew with the new frame, beside the old one, and then takes its place.
//!
//! A frozen log takes these entries too, and no others: the duty to erase does not end with the log,
//! and only an entry of the same log can tell whoever verifies it that the payload is rightly gone.
//!
//! What lies under the file system, such as a copy-on-write snapshot of it, is beyond reach here.

use fieldledger_contract::ledger::Erasure;
use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::erasing::ErasurePlan;
use fieldledger_formats::frame::{Erased, erased_frame};
use fieldledger_formats::own::{Details, OwnKind};
use serde_json::Value;

use crate::commit::Committer;
use crate::error::{ControlError, StoreError, with_causes};
use crate::markers::{Markers, explained_by};
use crate::paths::Paths;
use crate::readings::reading_of;
use crate::store::disk::{Disk, Durability};
use crate::store::reader::{LogEntry, LogReader};
use crate::store::segments::Segments;

impl Committer {
    /// Erases the payload of an entry. With the erasure comes the sensor whose newest reading it
    /// was, if it was one.
    pub(crate) fn erase(
        &mut self,
        entry: u64,
        reason: &str,
        actor: &str,
    ) -> Result<(Erasure, Option<String>), ControlError> {
        self.check_signing()?;
        let size = self.grower.size();
        if entry >= size {
            let problem = format!("no entry {entry}; the log has {size} entries");
            return Err(ControlError::NotFound(problem));
        }
        let stored = self.log.entry(entry)?;
        let envelope = match &stored {
            LogEntry::Envelope(bytes, _) => {
                Envelope::parse(bytes).map_err(|problem| self.log.damaged(entry, problem))?
            }
            LogEntry::Erased(_, marker) => {
                let erasure = Erasure {
                    entry,
                    marker: *marker,
                    already: true,
                };
                return Ok((erasure, None));
            }
        };
        if envelope.is_own() {
            return Err(ControlError::Refused(format!(
                "entry {entry} is one of the log's own, which cannot be erased"
            )));
        }
        let sensor = reading_of(&envelope.event(), entry, 0).map(|reading| reading.sensor);
        let details = Details::from([
            ("entry", Value::from(entry)),
            (
                "envelope_hash",
                Value::from(hex::encode(stored.leaf().envelope_hash)),
            ),
            ("reason", Value::from(reason)),
            ("actor", Value::from(actor)),
        ]);
        // Where the archive cannot be reached, nothing is begun.
        drop(self.log.place_to_change(entry)?);
        let marker = self.append_own(OwnKind::Erasure, entry, &details)?;
        if let Err(error) = overwrite(&self.disk, &self.log, &self.paths, entry, marker) {
            let problem = with_causes(&error);
            self.stop(&problem);
            return Err(ControlError::Unavailable(format!(
                "entry {entry} could not be overwritten: {problem}; opening the ledger again does it"
            )));
        }
        let erasure = Erasure {
            entry,
            marker,
            already: false,
        };
        let was_newest = sensor.filter(|sensor| {
            let mut latest = self.latest.write();
            latest.remove(sensor, entry)
        });
        tracing::info!(entry, marker, actor, reason, "an entry was erased");
        Ok((erasure, was_newest))
    }
}

/// Overwrites the frame of an entry, whose erasure the entry `marker` tells of; false if that was
/// done before.
fn overwrite(
    disk: &Disk,
    log: &LogReader,
    paths: &Paths,
    entry: u64,
    marker: u64,
) -> Result<bool, StoreError> {
    let stored = log.entry(entry)?;
    let Some(bytes) = stored.envelope() else {
        return Ok(false);
    };
    let envelope = Envelope::parse(bytes).map_err(|problem| log.damaged(entry, problem))?;
    let remains = Erased {
        leaf: stored.leaf(),
        marker,
        origin: envelope.origin(),
    };
    let frame = erased_frame(entry, bytes.len(), &remains)
        .ok_or_else(|| log.damaged(entry, "it has no room for what must be left of it"))?;
    let (first, place, _on_disk) = log.place_to_change(entry)?;
    let plan = ErasurePlan {
        entry,
        segment: first,
        offset: place.start,
        frame: &frame,
    };
    disk.replace(&paths.erasing, &plan.encode(), 0o600, Durability::Power)?;
    carry_out(&plan, log.segments())?;
    remove_plan(disk, paths)?;
    Ok(true)
}

/// Overwrites the frame, durably.
fn carry_out(plan: &ErasurePlan<'_>, segments: &Segments) -> Result<(), StoreError> {
    segments.overwrite(plan.segment, plan.offset, plan.frame)
}

fn remove_plan(disk: &Disk, paths: &Paths) -> Result<(), StoreError> {
    disk.remove(&paths.erasing)?;
    disk.sync_folder(&paths.folder)
}

/// Before the log is read: overwrites again what a crash may have left half overwritten.
pub(crate) fn resume(disk: &Disk, paths: &Paths, segments: &Segments) -> Result<(), StoreError> {
    let Some(bytes) = disk.read_if_there(&paths.erasing)? else {
        return Ok(());
    };
    match ErasurePlan::decode(&bytes) {
        Some(plan) => carry_out(&plan, segments)?,
        None => tracing::warn!(
            path = %paths.erasing.display(),
            "the file does not say what to erase; the log itself does"
        ),
    }
    remove_plan(disk, paths)
}

/// After the log was read: erases what an entry says was erased, and returns how many were left.
pub(crate) fn finish(
    disk: &Disk,
    log: &LogReader,
    paths: &Paths,
    markers: &Markers,
) -> Result<u64, StoreError> {
    let mut left = 0;
    for &(entry, marker) in &markers.erasures {
        if entry >= marker {
            return Err(log.damaged(marker, "it tells of an erasure of what came after it"));
        }
        left += u64::from(overwrite(disk, log, paths, entry, marker)?);
    }
    Ok(left)
}

/// Every entry without payload must have an entry that says why.
pub(crate) fn check_markers(
    log: &LogReader,
    size: u64,
    markers: &Markers,
) -> Result<(), StoreError> {
    for (gone, marker) in markers.gone.runs() {
        let explained = if marker < size {
            let stored = log.entry(marker)?;
            let envelope = stored.envelope().map(Envelope::parse);
            envelope.and_then(|parsed| explained_by(marker, &parsed.ok()?))
        } else {
            None
        };
        let says_so = explained
            .is_some_and(|explained| explained.start <= gone.start && gone.end <= explained.end);
        if !says_so {
            let entry = gone.start;
            let problem = format!("its payload is gone, but entry {marker} does not say why");
            return Err(log.damaged(entry, &problem));
        }
    }
    Ok(())
}
