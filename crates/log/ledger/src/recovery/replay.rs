//! Reading a log from its snapshot, or whole, and comparing it with what was signed.

use std::path::Path;
use std::sync::Arc;

use fieldledger_contract::ledger::Reading;
use fieldledger_formats::envelope::{Envelope, EnvelopeError};
use fieldledger_tlog::TreeHead;

use super::state::State;
use crate::claims::{Claim, Recent};
use crate::error::{OpenError, StoreError, with_causes};
use crate::grower::Grower;
use crate::markers::Markers;
use crate::paths::Paths;
use crate::producers::Producers;
use crate::readings::{Latest, reading_and_told, reading_of};
use crate::store::disk::Disk;
use crate::store::reader::LogReader;
use crate::store::scan::{Next, SegmentScan};
use crate::store::segment;
use crate::store::segments::Segments;
use crate::store::snapshot::Snapshot;
use crate::store::tiles::TileStore;

/// Entries whose offsets are written in one go.
const OFFSETS_AT_ONCE: usize = 4_096;

/// Entries before a snapshot whose readings are kept in memory: what is delivered again after a start is
/// among them.
const PRIMED_ENTRIES: u64 = 16_384;

/// A log that is read to be opened.
pub(super) struct Replay<'a> {
    pub(super) disk: &'a Disk,
    /// Where the anchor is, for messages.
    pub(super) anchor: String,
    pub(super) paths: &'a Paths,
    pub(super) segments: &'a Segments,
    pub(super) firsts: &'a [u64],
    pub(super) signed: Option<&'a TreeHead>,
    pub(super) log: &'a Arc<LogReader>,
    pub(super) tiles: &'a Arc<TileStore>,
}

/// A log that was read.
pub(super) struct Replayed {
    pub(super) state: State,
    /// Entries that were known from the snapshot.
    pub(super) from: u64,
    /// Where the good frames of the last segment end.
    pub(super) end: u64,
    /// Bytes after that.
    pub(super) cut: u64,
}

/// Why a snapshot does not fit the log.
#[derive(Debug, thiserror::Error)]
enum SnapshotFault {
    #[error("entry {index} is not in a log of {size}")]
    Beyond { index: u64, size: u64 },
    #[error("entry {0} was removed")]
    Removed(u64),
    #[error("entry {0} is not a reading")]
    NoReading(u64),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where reading begins.
struct Start {
    state: State,
    segment: u64,
    offset: u64,
}

impl Replay<'_> {
    /// Reads what the snapshot does not cover; the whole log without one that fits.
    pub(super) fn run(&self) -> Result<Replayed, OpenError> {
        if let Some(start) = self.start_of_snapshot()? {
            match self.read_from(start) {
                Err(OpenError::Forked { problem, .. }) => {
                    tracing::warn!(
                        problem,
                        "the log does not follow from its snapshot; it is read whole"
                    );
                }
                replayed => return replayed,
            }
        }
        self.read_from(Start {
            state: State::empty(Arc::clone(self.tiles)),
            segment: 0,
            offset: 0,
        })
    }

    /// The state in the snapshot, if it goes with the files beside it.
    fn start_of_snapshot(&self) -> Result<Option<Start>, OpenError> {
        let Some(snapshot) = Snapshot::read(self.disk, &self.paths.snapshot)? else {
            return Ok(None);
        };
        let signed_size = self.signed.map_or(0, |signed| signed.size);
        let fits = snapshot.size <= signed_size
            && self.log.offsets().len()? >= snapshot.size
            && self.firsts.contains(&snapshot.segment);
        let Some(edge) = snapshot.edge().filter(|_| fits) else {
            tracing::warn!("the snapshot does not fit the log; the log is read whole");
            return Ok(None);
        };
        let mut latest = Latest::default();
        for &index in &snapshot.latest {
            match self.reading_at(index, snapshot.size) {
                Ok(reading) => latest.update(reading),
                Err(fault) => {
                    tracing::warn!(
                        index,
                        problem = with_causes(&fault),
                        "the snapshot does not fit the log; the log is read whole"
                    );
                    return Ok(None);
                }
            }
        }
        let mut producers = Producers::default();
        for (producer, ranges) in snapshot.producers {
            producers.restore(producer, &ranges);
        }
        Ok(Some(Start {
            state: State {
                grower: Grower::new(edge, Arc::clone(self.tiles)),
                producers,
                latest,
                gaps: snapshot.gaps,
                recent: self.recent_before(snapshot.segment, snapshot.size),
                received_at: snapshot.received_at,
                markers: Markers {
                    key_entry: snapshot.key_entry,
                    ..Markers::default()
                },
            },
            segment: snapshot.segment,
            offset: snapshot.offset,
        }))
    }

    /// What the readings say that were written last before the snapshot, as far as they are in the segment
    /// that begins with `segment`. The search index finds the others.
    fn recent_before(&self, segment: u64, size: u64) -> Recent {
        let mut recent = Recent::default();
        let first = segment.max(size.saturating_sub(PRIMED_ENTRIES));
        let read = self.log.read(first..size.max(first), |index, frame| {
            let Some(envelope) = frame.envelope().map(Envelope::parse).and_then(Result::ok) else {
                return Ok(());
            };
            let event = envelope.event();
            if let Some(origin) = envelope.origin()
                && let Some((_, told)) = reading_and_told(&event, index, 0)
                && let Some(claim) = Claim::of(origin.0, &told)
            {
                recent.note(origin.1, &claim);
            }
            Ok(())
        });
        if let Err(error) = read {
            tracing::warn!(
                error = with_causes(&error),
                "the newest readings could not be read; some may be recorded twice"
            );
        }
        recent
    }

    fn reading_at(&self, index: u64, size: u64) -> Result<Reading, SnapshotFault> {
        if index >= size {
            return Err(SnapshotFault::Beyond { index, size });
        }
        let stored = self.log.entry(index)?;
        let bytes = stored.envelope().ok_or(SnapshotFault::Removed(index))?;
        let envelope = Envelope::parse(bytes)?;
        reading_of(&envelope.event(), index, envelope.received_at()?)
            .ok_or(SnapshotFault::NoReading(index))
    }

    fn read_from(&self, start: Start) -> Result<Replayed, OpenError> {
        let mut state = start.state;
        let from = state.grower.size();
        self.compare_root(&state)?;
        let mut end = 0;
        let mut cut = 0;
        let segments = self.firsts.iter().filter(|&&first| first >= start.segment);
        for &first in segments {
            let in_order = first == start.segment || first == state.grower.size();
            if !in_order {
                return Err(self.missing_segment(state.grower.size(), first).into());
            }
            let path = segment::path_of(&self.paths.segments, first);
            let offset = if first == start.segment {
                start.offset
            } else {
                0
            };
            let mut scan = SegmentScan::new(self.segments.open(first)?, offset)?;
            self.read_segment(&mut scan, &path, &mut state)?;
            end = scan.offset();
            cut = scan.length().saturating_sub(end);
        }
        let size = state.grower.size();
        let signed_size = self.signed.map_or(0, |signed| signed.size);
        if size < signed_size {
            return Err(self.forked(format!(
                "{signed_size} entries were signed, but only {size} are there; this is an older copy \
                 of the log, or its end was lost: restore the newest segments. The anchor {} knows \
                 what was signed, and must not be restored with an old copy",
                self.anchor
            )));
        }
        Ok(Replayed {
            state,
            from,
            end,
            cut,
        })
    }

    /// Reads a segment up to its end, or to what a crash left half written.
    fn read_segment(
        &self,
        scan: &mut SegmentScan,
        path: &Path,
        state: &mut State,
    ) -> Result<(), OpenError> {
        let mut ends = Vec::new();
        let is_packed = scan.is_packed();
        loop {
            let index = state.grower.size();
            let offset = scan.stored_offset();
            let damaged = |problem: String| StoreError::Damaged {
                path: path.to_owned(),
                offset,
                problem: format!("entry {index}: {problem}"),
            };
            match scan.next(index)? {
                Next::End => break,
                Next::Frame(frame) => {
                    let applied = state.apply(frame, index);
                    applied.map_err(|fault| damaged(fault.to_string()))?;
                }
                Next::Bad(_) if !is_packed && self.may_be_half_written(path, index) => break,
                Next::Bad(fault) => {
                    let problem = format!("{fault}, but the entry was signed; restore this file");
                    return Err(damaged(problem).into());
                }
            }
            // Of a packed segment only the last: the file must be as long as the log.
            if is_packed {
                ends.clear();
            }
            ends.push(scan.offset());
            if ends.len() == OFFSETS_AT_ONCE {
                self.write_offsets(state, &mut ends)?;
            }
            self.compare_root(state)?;
        }
        self.write_offsets(state, &mut ends)
    }

    /// Only the end of the last segment can be half written, and what was signed never is.
    fn may_be_half_written(&self, path: &Path, index: u64) -> bool {
        let last = self.firsts.last().copied().unwrap_or(0);
        let signed_size = self.signed.map_or(0, |signed| signed.size);
        path == segment::path_of(&self.paths.segments, last) && index >= signed_size
    }

    fn write_offsets(&self, state: &State, ends: &mut Vec<u64>) -> Result<(), OpenError> {
        let first = state.grower.size() - ends.len() as u64;
        self.log.offsets().write(first, ends)?;
        ends.clear();
        Ok(())
    }

    /// Once as many entries are read as were signed, their tree must be the signed one.
    fn compare_root(&self, state: &State) -> Result<(), OpenError> {
        match self.signed {
            Some(signed) if signed.size == state.grower.size() => {
                let root = state.grower.edge().root();
                if root == signed.root {
                    return Ok(());
                }
                Err(self.forked(format!(
                    "the tree of its first {} entries has the root {root}, but {} was signed; \
                     restore the segments as they were",
                    signed.size, signed.root
                )))
            }
            _ => Ok(()),
        }
    }

    fn missing_segment(&self, expected: u64, found: u64) -> StoreError {
        StoreError::Damaged {
            path: segment::path_of(&self.paths.segments, expected),
            offset: 0,
            problem: format!(
                "the segment that begins with entry {expected} is missing before that of entry \
                 {found}; restore it"
            ),
        }
    }

    pub(super) fn forked(&self, problem: String) -> OpenError {
        OpenError::Forked {
            folder: self.paths.folder.clone(),
            problem,
        }
    }
}
