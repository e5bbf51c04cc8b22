//! Reads every segment from front to back, and builds the tree again on the way.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldledger_tlog::{
    Edge, HASH_BYTES, Hash, LEAF_BYTES, Leaf, TILE_WIDTH, TreeHead, decode_bundle, encode_bundle,
    entries_path, tile_path,
};

use super::canonical;
use super::report::{Finding, FindingKind, Findings, Progress, Severity};
use crate::envelope::Envelope;
use crate::error::{OpenError, StoreError, with_causes};
use crate::index;
use crate::life::{Gone, explained_by};
use crate::producers::Producers;
use crate::recovery::Paths;
use crate::store::archive::Archive;
use crate::store::disk::Disk;
use crate::store::frame::Frame;
use crate::store::offsets::Offsets;
use crate::store::scan::{Next, SegmentScan};
use crate::store::segments::{SegmentFile, Segments};
use crate::store::snapshot::Snapshot;

/// Entries after which progress is told.
const STEP: u64 = 4_096;

/// What a walk has found in the end.
pub(crate) struct Walked {
    pub(crate) findings: Findings,
    pub(crate) entries: u64,
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
}

/// Where an entry lies.
#[derive(Debug, Clone)]
struct Place {
    file: Arc<PathBuf>,
    offset: u64,
}

/// An entry whose leaf differs from what a derived file says.
struct Difference {
    kind: FindingKind,
    entry: u64,
    /// None where the entry itself could not be read.
    place: Option<Place>,
    derived: PathBuf,
    offset: u64,
}

/// A walk through the log.
pub(crate) struct Walk<'a> {
    disk: &'a Disk,
    paths: &'a Paths,
    archive: Option<Arc<Archive>>,
    segments: Segments,
    signed: Option<&'a TreeHead>,
    in_use: bool,
    findings: Findings,
    /// None where there is no such file.
    offsets: Option<Offsets>,
    snapshot: Option<Snapshot>,
    /// The entries so far.
    edge: Edge,
    /// The leaves of the unfinished bundle, and where their entries lie.
    leaves: Vec<u8>,
    places: Vec<Option<Place>>,
    producers: Producers,
    received_at: u64,
    /// Entries whose payload is gone, and where their frames begin; and what entries of the log say so.
    gone: Gone,
    gone_places: Vec<Place>,
    explained: BTreeMap<u64, Range<u64>>,
    differences: Vec<Difference>,
    /// Whether every leaf so far is known.
    whole: bool,
    /// Whether an entry could not be read.
    unread: bool,
    /// Whether the tree was the signed one, once as many entries were read as were signed.
    root: Option<(Hash, bool)>,
    segments_read: u64,
    bytes: u64,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        disk: &'a Disk,
        paths: &'a Paths,
        archive: Option<Arc<Archive>>,
        signed: Option<&'a TreeHead>,
        in_use: bool,
        findings: Findings,
    ) -> Result<Self, OpenError> {
        let segments = Segments::new(disk.clone(), paths.segments.clone(), archive.clone());
        let mut walk = Self {
            disk,
            paths,
            archive,
            segments,
            signed,
            in_use,
            findings,
            offsets: Offsets::open_to_read(disk, &paths.offsets)?,
            snapshot: None,
            edge: Edge::default(),
            leaves: Vec::new(),
            places: Vec::new(),
            producers: Producers::default(),
            received_at: 0,
            gone: Gone::default(),
            gone_places: Vec::new(),
            explained: BTreeMap::new(),
            differences: Vec::new(),
            whole: true,
            unread: false,
            root: None,
            segments_read: 0,
            bytes: 0,
        };
        walk.snapshot = walk.read_snapshot()?;
        Ok(walk)
    }

    /// Reads all segments.
    pub(crate) fn run(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), OpenError> {
        self.compare_root();
        let firsts = self.segments.list()?;
        for (position, &first) in firsts.iter().enumerate() {
            if self.is_done() {
                break;
            }
            let next = self.edge.size();
            if first < next {
                self.unexpected(first, next);
                continue;
            }
            if first > next {
                self.missing(next, first);
                self.fill(next, first)?;
            }
            let end = firsts.get(position + 1).copied();
            self.read_segment(first, end, progress)?;
        }
        self.tell(progress);
        Ok(())
    }

    /// Of a log in use, only what was signed at the start is looked at.
    fn is_done(&self) -> bool {
        self.in_use
            && self
                .signed
                .is_some_and(|signed| self.edge.size() >= signed.size)
    }

    fn tell(&self, progress: &mut dyn FnMut(Progress)) {
        let entries = self.edge.size();
        let signed = self.signed.map_or(0, |signed| signed.size);
        progress(Progress {
            entries,
            of: signed.max(entries),
        });
    }

    fn read_segment(
        &mut self,
        first: u64,
        end: Option<u64>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), OpenError> {
        let file = self.open(first)?;
        let path = Arc::new(file.place());
        let mut scan = SegmentScan::new(file, 0)?;
        self.segments_read += 1;
        let mut ends = Vec::new();
        loop {
            let index = self.edge.size();
            if self.is_done() || end.is_some_and(|end| index >= end) {
                break;
            }
            if index.is_multiple_of(STEP) {
                self.tell(progress);
            }
            let place = Place {
                file: Arc::clone(&path),
                offset: scan.offset(),
            };
            let next = match scan.next(index) {
                Ok(next) => next,
                Err(error) => {
                    self.damaged(index, &place, with_causes(&error));
                    break;
                }
            };
            let fault = match next {
                Next::End => break,
                Next::Frame(frame) => {
                    let examined = self.examine(frame, index, &place);
                    match examined {
                        Ok(leaf) => {
                            self.push(leaf, Some(place))?;
                            ends.push(scan.offset());
                            continue;
                        }
                        Err(problem) => problem,
                    }
                }
                Next::Bad(fault) => {
                    if end.is_none() && self.may_be_half_written(index) {
                        self.half_written(index, &place, scan.length() - place.offset);
                        break;
                    }
                    fault.to_string()
                }
            };
            self.damaged(index, &place, fault);
            // The offsets say where the next entry begins; its checksum says whether that is so.
            let resumed = self.end_by_offsets(index);
            let resumed = resumed.filter(|&at| at > place.offset && at <= scan.length());
            self.fill(index, index + 1)?;
            let Some(resumed) = resumed else {
                break;
            };
            scan.skip_to(resumed);
            ends.push(resumed);
        }
        self.bytes += scan.offset();
        self.compare_offsets(first, &ends)?;
        let next = self.edge.size();
        match end {
            Some(end) if next < end && !self.is_done() => {
                // Offsets begin anew with each segment.
                let of_another = self
                    .end_by_offsets(next)
                    .is_some_and(|at| at < scan.offset());
                if of_another && scan.offset() == scan.length() {
                    self.missing(next, end);
                } else {
                    self.short(first, next, end, &path, scan.offset());
                }
                self.fill(next, end)?;
            }
            Some(_) if scan.offset() < scan.length() && !self.is_done() => {
                self.findings.add(Finding {
                    kind: FindingKind::SegmentUnexpected,
                    severity: Severity::Damage,
                    file: path.to_path_buf(),
                    offset: Some(scan.offset()),
                    entry: None,
                    problem: format!(
                        "{} bytes follow its last entry",
                        scan.length() - scan.offset()
                    ),
                    advice: "restore this file".to_owned(),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// A segment of a log in use may have moved to the archive since that was listed.
    fn open(&self, first: u64) -> Result<SegmentFile, StoreError> {
        match (self.segments.open(first), &self.archive) {
            (Err(error), Some(archive)) if error.is_missing() => {
                archive.refresh()?;
                self.segments.open(first)
            }
            (opened, _) => opened,
        }
    }

    /// What was signed never is, and nothing before the end is.
    fn may_be_half_written(&self, index: u64) -> bool {
        self.signed.is_some_and(|signed| index >= signed.size)
    }

    /// Looks at an entry. The error says why there is no leaf for it.
    fn examine(&mut self, frame: Frame<'_>, index: u64, place: &Place) -> Result<Leaf, String> {
        let leaf = frame.leaf(index)?;
        match frame {
            Frame::Envelope(bytes) => {
                if let Some(problem) = canonical::problem_with(bytes) {
                    self.entry(FindingKind::Envelope, index, place, problem);
                }
                let envelope = Envelope::parse(bytes)?;
                if let Some(explained) = explained_by(index, &envelope) {
                    self.explained.insert(index, explained);
                }
                if let Some((producer, sequence)) = envelope.origin() {
                    self.note_origin(producer, sequence, index, place);
                }
            }
            Frame::Erased(erased) => {
                if self.gone.note(index, erased.marker) {
                    self.gone_places.push(place.clone());
                }
                if let Some((producer, sequence)) = erased.origin {
                    self.note_origin(producer, sequence, index, place);
                }
            }
        }
        if leaf.received_at < self.received_at {
            let problem = "it was received before the entry before it".to_owned();
            self.entry(FindingKind::Order, index, place, problem);
        }
        self.received_at = self.received_at.max(leaf.received_at);
        Ok(leaf)
    }

    fn note_origin(&mut self, producer: &str, sequence: u64, index: u64, place: &Place) {
        if !self.producers.insert(producer, sequence) {
            let problem = format!("the event {sequence} of {producer:?} is there a second time");
            self.entry(FindingKind::Duplicate, index, place, problem);
        }
    }

    fn entry(&mut self, kind: FindingKind, index: u64, place: &Place, problem: String) {
        self.findings.add(Finding {
            kind,
            severity: Severity::Damage,
            file: place.file.to_path_buf(),
            offset: Some(place.offset),
            entry: Some(index),
            problem,
            advice: "the ledger never writes this: find out who did, and restore this file"
                .to_owned(),
        });
    }

    fn damaged(&mut self, index: u64, place: &Place, fault: String) {
        self.findings.add(Finding {
            kind: FindingKind::Frame,
            severity: Severity::Damage,
            file: place.file.to_path_buf(),
            offset: Some(place.offset),
            entry: Some(index),
            problem: fault,
            advice: "restore this file from a backup or the archive".to_owned(),
        });
    }

    fn half_written(&mut self, index: u64, place: &Place, bytes: u64) {
        self.findings.add(Finding {
            kind: FindingKind::HalfWritten,
            severity: Severity::Note,
            file: place.file.to_path_buf(),
            offset: Some(place.offset),
            entry: Some(index),
            problem: format!("{bytes} bytes of entries that were never acknowledged"),
            advice: "nothing need be done: the next start removes them".to_owned(),
        });
    }

    fn unexpected(&mut self, first: u64, next: u64) {
        self.findings.add(Finding {
            kind: FindingKind::SegmentUnexpected,
            severity: Severity::Damage,
            file: self.segments.path_of(first),
            offset: None,
            entry: Some(first),
            problem: format!("it begins with entry {first}, which the segment before it has too"),
            advice: format!("restore the segments around entry {next}"),
        });
    }

    fn missing(&mut self, next: u64, first: u64) {
        self.findings.add(Finding {
            kind: FindingKind::SegmentMissing,
            severity: Severity::Damage,
            file: self.segments.path_of(next),
            offset: None,
            entry: Some(next),
            problem: format!(
                "the segment of the entries {next} to {} is missing",
                first - 1
            ),
            advice: "restore it from a backup or the archive".to_owned(),
        });
    }

    fn short(&mut self, first: u64, next: u64, end: u64, path: &Path, offset: u64) {
        self.findings.add(Finding {
            kind: FindingKind::EntriesMissing,
            severity: Severity::Damage,
            file: path.to_owned(),
            offset: Some(offset),
            entry: Some(next),
            problem: format!(
                "the segment of the entries {first} to {} ends before entry {next}",
                end - 1
            ),
            advice: "restore this file from a backup or the archive".to_owned(),
        });
    }

    /// Takes the leaves of entries that cannot be read from their bundles, where those are.
    fn fill(&mut self, from: u64, to: u64) -> Result<(), OpenError> {
        self.unread = true;
        for index in from..to {
            let leaf = match self.whole {
                true => self.leaf_in_bundle(index)?,
                false => None,
            };
            if leaf.is_none() {
                self.whole = false;
            }
            let unknown = Leaf {
                envelope_hash: [0; 32],
                index,
                received_at: self.received_at,
            };
            self.push(leaf.unwrap_or(unknown), None)?;
        }
        Ok(())
    }

    fn leaf_in_bundle(&self, index: u64) -> Result<Option<Leaf>, StoreError> {
        let width = TILE_WIDTH as u64;
        let name = entries_path(index / width, TILE_WIDTH);
        let Some(bytes) = self.derived(&name)? else {
            return Ok(None);
        };
        let position = usize::try_from(index % width).unwrap_or(usize::MAX);
        let leaves = decode_bundle(&bytes).unwrap_or_default();
        let leaf = leaves
            .get(position)
            .and_then(|leaf| Leaf::decode(leaf).ok());
        Ok(leaf.filter(|leaf| leaf.index == index))
    }

    /// A tile or bundle, from the disk or the archive.
    fn derived(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.disk.read_if_there(&self.paths.folder.join(name))? {
            return Ok(Some(bytes));
        }
        match &self.archive {
            Some(archive) => archive.get(name),
            None => Ok(None),
        }
    }

    fn push(&mut self, leaf: Leaf, place: Option<Place>) -> Result<(), OpenError> {
        self.leaves.extend_from_slice(&leaf.encode());
        self.places.push(place);
        for tile in self.edge.push(leaf.hash()) {
            let name = tile_path(tile.level, tile.number, TILE_WIDTH);
            let first = tile.number * TILE_WIDTH as u64;
            if let Some(differs) = self.compare(FindingKind::Tile, &name, &tile.bytes)? {
                let position = differs / HASH_BYTES;
                match tile.level {
                    0 => self.differs(FindingKind::Tile, &name, first, position, differs),
                    _ => self.wrong(FindingKind::Tile, &name, differs),
                }
            }
            if tile.level == 0 {
                let name = entries_path(tile.number, TILE_WIDTH);
                // Leaves are 49 bytes, which fit.
                let bundle = encode_bundle(self.leaves.chunks(LEAF_BYTES)).unwrap_or_default();
                if let Some(differs) = self.compare(FindingKind::Bundle, &name, &bundle)? {
                    let position = differs / (LEAF_BYTES + 2);
                    self.differs(FindingKind::Bundle, &name, first, position, differs);
                }
                self.leaves.clear();
                self.places.clear();
            }
        }
        self.compare_root();
        self.compare_snapshot();
        Ok(())
    }

    /// Where a stored file differs first from what it should hold.
    fn compare(
        &mut self,
        kind: FindingKind,
        name: &str,
        computed: &[u8],
    ) -> Result<Option<usize>, StoreError> {
        if !self.whole {
            return Ok(None);
        }
        let Some(stored) = self.derived(name)? else {
            self.findings.add(Finding {
                kind,
                severity: Severity::Note,
                file: self.paths.folder.join(name),
                offset: None,
                entry: None,
                problem: "the file is missing".to_owned(),
                advice: "nothing need be done: it is computed again when it is needed".to_owned(),
            });
            return Ok(None);
        };
        if stored == computed {
            return Ok(None);
        }
        let same = stored
            .iter()
            .zip(computed)
            .take_while(|(one, other)| one == other);
        Ok(Some(same.count()))
    }

    fn differs(
        &mut self,
        kind: FindingKind,
        name: &str,
        first: u64,
        position: usize,
        offset: usize,
    ) {
        self.differences.push(Difference {
            kind,
            entry: first + position as u64,
            place: self.places.get(position).cloned().flatten(),
            derived: self.paths.folder.join(name),
            offset: offset as u64,
        });
    }

    fn wrong(&mut self, kind: FindingKind, name: &str, offset: usize) {
        self.differences.push(Difference {
            kind,
            entry: u64::MAX,
            place: None,
            derived: self.paths.folder.join(name),
            offset: offset as u64,
        });
    }

    fn compare_root(&mut self) {
        if let Some(signed) = self.signed
            && self.edge.size() == signed.size
            && self.whole
        {
            let root = self.edge.root();
            self.root = Some((root, root == signed.root));
        }
    }

    fn end_by_offsets(&self, index: u64) -> Option<u64> {
        let ends = self.offsets.as_ref()?.read(index, 1).ok()?;
        ends.first().copied()
    }

    fn compare_offsets(&mut self, first: u64, ends: &[u64]) -> Result<(), StoreError> {
        let Some(offsets) = &self.offsets else {
            return Ok(());
        };
        // What is not signed yet may not be there.
        let known = offsets.len()?;
        let count = known.saturating_sub(first).min(ends.len() as u64);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let stored = offsets.read(first, count)?;
        let differs = stored
            .iter()
            .zip(ends)
            .position(|(one, other)| one != other);
        let lacks = self
            .signed
            .is_some_and(|signed| known < signed.size.min(first + ends.len() as u64));
        let Some(position) = differs.or(lacks.then_some(count)) else {
            return Ok(());
        };
        let entry = first + position as u64;
        self.findings.add(Finding {
            kind: FindingKind::Offsets,
            severity: Severity::Repairable,
            file: self.paths.offsets.clone(),
            offset: Some(entry * 8),
            entry: Some(entry),
            problem: "it does not say where the entry ends".to_owned(),
            advice: "repair, or remove this file and the snapshot: the next start writes them anew"
                .to_owned(),
        });
        Ok(())
    }

    fn read_snapshot(&mut self) -> Result<Option<Snapshot>, StoreError> {
        let there = self.paths.snapshot.is_file();
        let snapshot = Snapshot::read(self.disk, &self.paths.snapshot)?;
        if there && snapshot.is_none() {
            self.snapshot_is_wrong("its checksum does not match, or it is of another version");
        }
        if let (Some(snapshot), Some(signed)) = (&snapshot, self.signed)
            && snapshot.size > signed.size
            && !self.in_use
        {
            let problem = format!(
                "the snapshot was written after a tree of {} entries was signed, but the anchor \
                 holds one of {}: an older checkpoint was put in its place",
                snapshot.size, signed.size
            );
            self.findings.add(Finding {
                kind: FindingKind::Checkpoint,
                severity: Severity::Damage,
                file: self.paths.snapshot.clone(),
                offset: None,
                entry: Some(signed.size),
                problem,
                advice: "find out who changed the anchor, and compare the log with its witnesses"
                    .to_owned(),
            });
        }
        Ok(snapshot)
    }

    fn snapshot_is_wrong(&mut self, problem: &str) {
        self.findings.add(Finding {
            kind: FindingKind::Snapshot,
            severity: Severity::Repairable,
            file: self.paths.snapshot.clone(),
            offset: None,
            entry: None,
            problem: problem.to_owned(),
            advice: "repair, or remove this file: the next start reads the whole log".to_owned(),
        });
    }

    /// Once as many entries are read as the snapshot covers, both must say the same.
    fn compare_snapshot(&mut self) {
        let Some(snapshot) = &self.snapshot else {
            return;
        };
        if snapshot.size != self.edge.size() || !self.whole {
            return;
        }
        let mut problems = Vec::new();
        match snapshot.tree() {
            Some((edge, leaves)) => {
                if leaves != self.leaves {
                    let same = leaves
                        .chunks(LEAF_BYTES)
                        .zip(self.leaves.chunks(LEAF_BYTES))
                        .take_while(|(one, other)| one == other);
                    let position = same.count();
                    self.differences.push(Difference {
                        kind: FindingKind::Snapshot,
                        entry: snapshot.size - self.places.len() as u64 + position as u64,
                        place: self.places.get(position).cloned().flatten(),
                        derived: self.paths.snapshot.clone(),
                        offset: 0,
                    });
                } else if edge != self.edge {
                    self.differences.push(Difference {
                        kind: FindingKind::Snapshot,
                        entry: u64::MAX,
                        place: None,
                        derived: self.paths.snapshot.clone(),
                        offset: 0,
                    });
                }
            }
            None => problems.push("its tree does not fit its size"),
        }
        let noted: BTreeMap<&str, &Vec<(u64, u64)>> = snapshot
            .producers
            .iter()
            .map(|(producer, ranges)| (producer.as_str(), ranges))
            .collect();
        let there: BTreeMap<&str, Vec<(u64, u64)>> = self.producers.ranges().collect();
        let same = self.unread
            || noted.len() == there.len()
                && noted
                    .iter()
                    .zip(&there)
                    .all(|(one, other)| one.0 == other.0 && *one.1 == other.1);
        if !same {
            problems.push("it has other events than the log");
        }
        for problem in problems {
            self.snapshot_is_wrong(problem);
        }
    }

    /// Says what the walk as a whole has shown.
    pub(crate) fn finish(mut self, with_index: bool) -> Result<Walked, OpenError> {
        let size = self.edge.size();
        // Where the roots cannot be compared, the worse is said.
        let altered = !matches!(self.root, Some((_, true)));
        for difference in std::mem::take(&mut self.differences) {
            self.judge(difference, altered);
        }
        self.judge_tree(size);
        self.judge_removals();
        self.check_archive()?;
        let index = match (with_index, self.in_use) {
            (false, _) => Ok(()),
            (true, false) => index::verify(&self.paths.index, size),
            (true, true) => index::verify_in_use(&self.paths.index),
        };
        if let Err(problem) = index {
            self.findings.add(Finding {
                kind: FindingKind::Index,
                severity: Severity::Repairable,
                file: self.paths.index.clone(),
                offset: None,
                entry: None,
                problem,
                advice: "repair, or remove this folder: it is built anew".to_owned(),
            });
        }
        Ok(Walked {
            findings: self.findings,
            entries: size,
            segments: self.segments_read,
            bytes: self.bytes,
        })
    }

    /// Where entry and derived file differ, the signed root says which of them was changed.
    fn judge(&mut self, difference: Difference, altered: bool) {
        if let (true, Some(place)) = (altered, difference.place) {
            self.findings.add(Finding {
                kind: FindingKind::Altered,
                severity: Severity::Damage,
                file: place.file.to_path_buf(),
                offset: Some(place.offset),
                entry: Some(difference.entry),
                problem: format!(
                    "the entry is not the one that was signed: {} has another hash for it",
                    difference.derived.display()
                ),
                advice: "restore this file from a backup or the archive; what is there now was \
                         written by someone else"
                    .to_owned(),
            });
            return;
        }
        if altered {
            return;
        }
        self.findings.add(Finding {
            kind: difference.kind,
            severity: Severity::Repairable,
            file: difference.derived,
            offset: Some(difference.offset),
            entry: (difference.entry != u64::MAX).then_some(difference.entry),
            problem: "it does not follow from the log".to_owned(),
            advice: "repair, or remove this file: it is computed again".to_owned(),
        });
    }

    fn judge_tree(&mut self, size: u64) {
        let Some(signed) = self.signed else {
            return;
        };
        let segment = |walk: &Self| {
            let firsts = walk.segments.list().unwrap_or_default();
            walk.segments.path_of(firsts.last().copied().unwrap_or(0))
        };
        if size < signed.size {
            let finding = Finding {
                kind: FindingKind::EntriesMissing,
                severity: Severity::Damage,
                file: segment(self),
                offset: None,
                entry: Some(size),
                problem: format!(
                    "{} entries were signed, but only {size} are there",
                    signed.size
                ),
                advice:
                    "restore the newest segments; if the folder is an older copy, use the newer \
                         one, and never restore the anchor with it"
                        .to_owned(),
            };
            self.findings.add(finding);
        }
        if size > signed.size && !self.in_use {
            let finding = Finding {
                kind: FindingKind::EntriesUnsigned,
                severity: Severity::Note,
                file: segment(self),
                offset: None,
                entry: Some(signed.size),
                problem: format!(
                    "{} entries follow those that were signed",
                    size - signed.size
                ),
                advice: "after a crash nothing need be done: the next start signs them; otherwise \
                         the anchor was put back to an older state"
                    .to_owned(),
            };
            self.findings.add(finding);
        }
        match self.root {
            Some((root, false)) => self.findings.add(Finding {
                kind: FindingKind::Tree,
                severity: Severity::Damage,
                file: self.paths.segments.clone(),
                offset: None,
                entry: None,
                problem: format!(
                    "the tree of the first {} entries has the root {root}, but {} was signed: \
                     entries were changed, dropped, inserted or reordered, or this is another \
                     history of the log",
                    signed.size, signed.root
                ),
                advice:
                    "restore the segments as they were; where no entry is named, the tiles were \
                         changed with them"
                        .to_owned(),
            }),
            None if size >= signed.size => self.findings.add(Finding {
                kind: FindingKind::Tree,
                severity: Severity::Damage,
                file: self.paths.segments.clone(),
                offset: None,
                entry: None,
                problem:
                    "the tree cannot be compared with the signed one: entries are missing, and \
                          the bundles that would have their leaves as well"
                        .to_owned(),
                advice: "restore what is missing, and check again".to_owned(),
            }),
            _ => {}
        }
    }

    /// Every entry without payload must have an entry that says why.
    fn judge_removals(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        let places = std::mem::take(&mut self.gone_places);
        for ((gone, marker), place) in gone.runs().zip(&places) {
            let explained = self.explained.get(&marker).cloned().unwrap_or_default();
            if explained.start <= gone.start && gone.end <= explained.end {
                continue;
            }
            let entry = gone.start;
            let problem = match gone.end - gone.start {
                1 => format!("its payload is gone, but entry {marker} does not say why"),
                _ => format!(
                    "the payloads from here to entry {} are gone, but entry {marker} does not say why",
                    gone.end - 1
                ),
            };
            self.entry(FindingKind::Envelope, entry, place, problem);
        }
    }

    /// What is in the archive must be what was put there, also where it is on the disk as well.
    fn check_archive(&mut self) -> Result<(), StoreError> {
        let Some(archive) = self.archive.clone() else {
            return Ok(());
        };
        for sealed in archive.all() {
            let problem = match archive.is_intact(&sealed) {
                Ok(true) => continue,
                Ok(false) => "it is missing, or other bytes than were archived".to_owned(),
                Err(error) => with_causes(&error),
            };
            let local = self.segments.is_local(sealed.first);
            self.findings.add(Finding {
                kind: FindingKind::Archive,
                severity: Severity::Damage,
                file: archive.url_of(sealed.first).into(),
                offset: None,
                entry: Some(sealed.first),
                problem,
                advice: if local {
                    "the segment is on the disk as well: copy it to this object".to_owned()
                } else {
                    "restore this object from an earlier version".to_owned()
                },
            });
        }
        Ok(())
    }
}
