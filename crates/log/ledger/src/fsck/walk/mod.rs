//! Reads every segment from front to back, and builds the tree again on the way.
//!
//! `derived` compares the derived files with what was read, `words` says what is wrong with a
//! segment, and `verdict` what the walk as a whole has shown.

mod derived;
mod verdict;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldledger_formats::canonical;
use fieldledger_formats::envelope::{Envelope, EnvelopeError};
use fieldledger_formats::frame::Frame;
use fieldledger_tlog::{EMPTY_HASH, Edge, Hash, Leaf, TreeHead};

use super::report::{Finding, FindingKind, Findings, Progress, Severity};
use crate::error::{OpenError, StoreError, with_causes};
use crate::markers::{Gone, explained_by};
use crate::paths::Paths;
use crate::producers::Producers;
use crate::store::archive::Archive;
use crate::store::disk::Disk;
use crate::store::offsets::Offsets;
use crate::store::scan::{Next, SegmentScan};
use crate::store::segments::Segments;
use crate::store::snapshot::Snapshot;
use crate::store::tile_files::TileFiles;

/// Entries after which progress is reported.
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
    tiles: TileFiles,
    signed: Option<&'a TreeHead>,
    in_use: bool,
    findings: Findings,
    /// None where there is no such file.
    offsets: Option<Offsets>,
    snapshot: Option<Snapshot>,
    /// The entries so far.
    edge: Edge,
    /// Where the entries of the unfinished tile lie.
    places: Vec<Option<Place>>,
    producers: Producers,
    received_at: u64,
    /// Entries whose payload is gone, and where their frames begin; and what entries of the log say so.
    gone: Gone,
    gone_places: Vec<Place>,
    explained: BTreeMap<u64, Range<u64>>,
    differences: Vec<Difference>,
    /// Levels of which a tile is missing.
    incomplete_levels: BTreeSet<u8>,
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
            tiles: TileFiles::new(disk, &paths.folder),
            signed,
            in_use,
            findings,
            offsets: Offsets::open_to_read(disk, &paths.offsets)?,
            snapshot: None,
            edge: Edge::default(),
            places: Vec::new(),
            producers: Producers::default(),
            received_at: 0,
            gone: Gone::default(),
            gone_places: Vec::new(),
            explained: BTreeMap::new(),
            differences: Vec::new(),
            incomplete_levels: BTreeSet::new(),
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
        self.report(progress);
        Ok(())
    }

    /// Of a log in use, only what was signed at the start is looked at.
    fn is_done(&self) -> bool {
        self.in_use
            && self
                .signed
                .is_some_and(|signed| self.edge.size() >= signed.size)
    }

    fn report(&self, progress: &mut dyn FnMut(Progress)) {
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
        self.segments_read += 1;
        let file = match self.segments.open_in_use(first) {
            Ok(file) => file,
            Err(StoreError::Damaged {
                path,
                offset,
                problem,
            }) => return self.unopened(first, end, (path, offset), problem),
            Err(error) => return Err(error.into()),
        };
        let path = Arc::new(file.place());
        let stored_bytes = file.stored_bytes()?;
        let mut scan = SegmentScan::new(file, 0)?;
        let mut ends = Vec::new();
        loop {
            let index = self.edge.size();
            if self.is_done() || end.is_some_and(|end| index >= end) {
                break;
            }
            if index.is_multiple_of(STEP) {
                self.report(progress);
            }
            let place = Place {
                file: Arc::clone(&path),
                offset: scan.stored_offset(),
            };
            let offset = scan.offset();
            let next = match scan.next(index) {
                Ok(next) => next,
                Err(error) => {
                    self.damaged(index, &place, with_causes(&error));
                    let Some(block) = scan.block() else {
                        break;
                    };
                    // The blocks after it can be read.
                    let (next, resumed) = (block.entries.end, block.plain.end);
                    self.fill(index, next)?;
                    scan.skip_to(resumed);
                    continue;
                }
            };
            let fault = match next {
                Next::End => break,
                Next::Frame(frame) => {
                    let examined = self.examine(frame, index, &place);
                    match examined {
                        Ok(leaf) => {
                            self.push(leaf.hash(), Some(place))?;
                            ends.push(scan.offset());
                            continue;
                        }
                        Err(fault) => fault.to_string(),
                    }
                }
                Next::Bad(fault) => {
                    if end.is_none() && !scan.is_packed() && self.may_be_half_written(index) {
                        self.half_written(index, &place, scan.length() - offset);
                        break;
                    }
                    fault.to_string()
                }
            };
            self.damaged(index, &place, fault);
            // The offsets say where the next entry begins; its checksum says whether that is so.
            let resumed = match scan.block() {
                // There is a hole where these offsets were; but what was read is a frame.
                Some(_) => Some(scan.offset()),
                None => self.end_by_offsets(index),
            };
            let resumed = resumed.filter(|&at| at > offset && at <= scan.length());
            self.fill(index, index + 1)?;
            let Some(resumed) = resumed else {
                break;
            };
            scan.skip_to(resumed);
            ends.push(resumed);
        }
        self.bytes += match scan.is_packed() {
            true => stored_bytes,
            false => scan.offset(),
        };
        if !scan.is_packed() {
            self.compare_offsets(first, &ends)?;
        }
        self.examine_end(first, end, &path, &scan)
    }

    /// A packed segment whose directory is damaged: none of its entries can be read.
    fn unopened(
        &mut self,
        first: u64,
        end: Option<u64>,
        (path, offset): (PathBuf, u64),
        problem: String,
    ) -> Result<(), OpenError> {
        let place = Place {
            file: Arc::new(path),
            offset,
        };
        self.damaged(first, &place, problem);
        match end {
            Some(end) => self.fill(first, end),
            None => Ok(()),
        }
    }

    /// Looks at where a segment ends: the next one begins with entry `end`.
    fn examine_end(
        &mut self,
        first: u64,
        end: Option<u64>,
        path: &Path,
        scan: &SegmentScan,
    ) -> Result<(), OpenError> {
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
                    self.short(first, next, end, path, scan.offset());
                }
                self.fill(next, end)?;
            }
            Some(_) if scan.offset() < scan.length() && !self.is_done() => {
                self.findings.add(Finding {
                    kind: FindingKind::SegmentUnexpected,
                    severity: Severity::Damage,
                    file: path.to_owned(),
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

    /// What was signed never is, and nothing before the end is.
    fn may_be_half_written(&self, index: u64) -> bool {
        self.signed.is_some_and(|signed| index >= signed.size)
    }

    /// Looks at an entry. The error says why there is no leaf for it.
    fn examine(
        &mut self,
        frame: Frame<'_>,
        index: u64,
        place: &Place,
    ) -> Result<Leaf, EnvelopeError> {
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

    /// Takes the hashes of entries that cannot be read from their tiles, where those are.
    fn fill(&mut self, from: u64, to: u64) -> Result<(), OpenError> {
        self.unread = true;
        for index in from..to {
            let hash = match self.whole {
                true => self.hash_in_tile(index)?,
                false => None,
            };
            if hash.is_none() {
                self.whole = false;
            }
            self.push(hash.unwrap_or(EMPTY_HASH), None)?;
        }
        Ok(())
    }

    fn push(&mut self, hash: Hash, place: Option<Place>) -> Result<(), OpenError> {
        self.places.push(place);
        for tile in self.edge.push(hash) {
            if let Some(position) = self.first_difference(&tile)? {
                match tile.level {
                    0 => self.tile_differs(&tile, position),
                    _ => self.upper_tile_differs(&tile, position),
                }
            }
            if tile.level == 0 {
                self.places.clear();
            }
        }
        self.compare_root();
        self.compare_snapshot();
        Ok(())
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
}
