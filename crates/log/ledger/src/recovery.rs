//! Opening a ledger's folder: checks that the log is the one that was signed, removes what a crash
//! left half written, and computes again what the log's entries add up to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldledger_tlog::{Edge, Leaf, TreeHead};

use crate::anchor::{Anchor, AnchorError};
use crate::config::Config;
use crate::envelope::Envelope;
use crate::error::{OpenError, StoreError, with_causes};
use crate::gaps::{Gaps, Noted, Place, noted_in, noted_in_erased};
use crate::grower::Grower;
use crate::head::Head;
use crate::life::keys::Keys;
use crate::life::restore::ReadOnly;
use crate::life::retention::plan::{self, Plans};
use crate::life::retention::told_by;
use crate::life::{Told, erasure, freeze};
use crate::own::OwnKind;
use crate::producers::Producers;
use crate::readings::{Latest, reading_and_clock, reading_of};
use crate::store::archive::Archive;
use crate::store::disk::Disk;
use crate::store::frame::Frame;
use crate::store::key_file;
use crate::store::offsets::Offsets;
use crate::store::reader::LogReader;
use crate::store::scan::{Next, SegmentScan};
use crate::store::segment::{self, SegmentWriter};
use crate::store::segments::Segments;
use crate::store::snapshot::Snapshot;
use crate::store::tiles::TileStore;

/// Entries whose offsets are written in one go.
const OFFSETS_AT_ONCE: usize = 4_096;

/// Where things lie in the ledger's folder.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) folder: PathBuf,
    pub(crate) segments: PathBuf,
    pub(crate) offsets: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) snapshot: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) lock: PathBuf,
    /// Why nothing may be appended, if that is so.
    pub(crate) read_only: PathBuf,
    /// What is being erased, while it is.
    pub(crate) erasing: PathBuf,
    /// What is given up, and what of that must yet be done.
    pub(crate) retention: PathBuf,
    pub(crate) pangea: PathBuf,
}

impl Paths {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            segments: folder.join("segments"),
            offsets: folder.join("offsets"),
            key: folder.join("key"),
            snapshot: folder.join("snapshot"),
            index: folder.join("index"),
            lock: folder.join("lock"),
            read_only: folder.join("read-only"),
            erasing: folder.join("erasing"),
            retention: folder.join("retention"),
            pangea: folder.join("pangea"),
        }
    }
}

/// A log that is ready to be read and written.
pub(crate) struct Recovered {
    pub(crate) keys: Keys,
    /// Why the log takes no more entries, if it has ended.
    pub(crate) frozen: Option<String>,
    /// Whether an entry must yet tell of the newest key.
    pub(crate) untold_key: bool,
    pub(crate) head: Head,
    pub(crate) anchor: Anchor,
    pub(crate) segment: SegmentWriter,
    pub(crate) archive: Option<Arc<Archive>>,
    pub(crate) log: Arc<LogReader>,
    pub(crate) tiles: Arc<TileStore>,
    /// What is given up.
    pub(crate) plans: Arc<Plans>,
    pub(crate) state: State,
    /// Size of the snapshot that was used; 0 without one.
    pub(crate) snapshot_size: u64,
    /// What was found and done.
    pub(crate) sentence: String,
}

/// What the entries up to a size add up to.
pub(crate) struct State {
    pub(crate) grower: Grower,
    pub(crate) producers: Producers,
    pub(crate) latest: Latest,
    pub(crate) gaps: Gaps,
    pub(crate) received_at: u64,
    /// What the entries that were read say of other entries.
    pub(crate) life: Told,
}

/// Opens or creates the log. Its folder is locked by the caller.
pub(crate) fn recover(
    disk: &Disk,
    paths: &Paths,
    mut anchor: Anchor,
    read_only: Option<&ReadOnly>,
    config: &Config,
) -> Result<Recovered, OpenError> {
    disk.create_folder(&paths.segments)?;
    let archive = match &config.archive {
        Some(objects) => Some(Arc::new(Archive::open(
            disk,
            paths.folder.clone(),
            objects.clone(),
        )?)),
        None => None,
    };
    let segments = Segments::new(disk.clone(), paths.segments.clone(), archive.clone());
    let firsts = segments.list()?;
    let identity = match read_only {
        Some(read_only) => Identity {
            keys: Keys::default(),
            signed: Some(read_only.head(&paths.folder)?),
            note: read_only.checkpoint.clone().into_bytes(),
        },
        None => identity(disk, paths, &mut anchor, config, !firsts.is_empty())?,
    };
    let (mut keys, signed) = (identity.keys, identity.signed);
    let offsets = Offsets::open(disk, &paths.offsets)?;
    let plan = plan::resume(disk, paths, &segments, &offsets)?;
    let log = LogReader::new(segments.clone(), offsets, firsts.clone());
    let log = Arc::new(log);
    let tiles = Arc::new(TileStore::new(
        disk.clone(),
        paths.folder.clone(),
        Arc::clone(&log),
        archive.clone(),
    ));
    let replay = Replay {
        disk,
        paths,
        segments: &segments,
        anchor: anchor.place(),
        firsts: &firsts,
        signed: signed.as_ref(),
        log: &log,
        tiles: &tiles,
    };
    erasure::resume(disk, paths)?;
    let mut replayed = replay.run()?;
    let erased = erasure::finish(disk, &log, paths, &replayed.state.life)?;
    if erased > 0 {
        // What was erased just now must not be among the newest readings.
        replayed = replay.run()?;
    }
    let told = &replayed.state.life;
    let size = replayed.state.grower.size();
    erasure::check_markers(&log, size, told)?;
    let plans = plan::reconcile(disk, paths, plan, &log, size, told)?;

    let segment = match firsts.last() {
        Some(&last) if segments.is_local(last) => {
            let roll_at = config.segment_bytes;
            SegmentWriter::open(disk, &paths.segments, last, replayed.end, roll_at)?
        }
        // A new log, or one whose last segment is in the archive only.
        _ => {
            let next = replayed.state.grower.size();
            log.add_segment(next);
            SegmentWriter::create(disk, &paths.segments, next, config.segment_bytes)?
        }
    };
    let edge = replayed.state.grower.edge();
    let (head, frozen, untold_key) = match read_only {
        Some(_)
            if signed
                .as_ref()
                .is_none_or(|signed| signed.size != edge.size()) =>
        {
            let size = edge.size();
            let problem = format!("it is read-only, but has {size} entries, more than were signed");
            return Err(replay.forked(problem));
        }
        Some(read_only) => {
            let reason = format!("the log is read-only: {}", read_only.reason);
            (read_only.published(edge), Some(reason), false)
        }
        None => {
            let key_entry = replayed.state.life.key_entry;
            let untold_key = keys.reconcile(disk, &log, key_entry, paths)?;
            let head = sign(&keys, edge)?;
            swap(&mut anchor, Some(&identity.note), &head)?;
            (head, freeze::frozen(&log, edge.size())?, untold_key)
        }
    };
    let mut sentence = describe(signed.as_ref(), &replayed);
    if erased > 0 {
        sentence = format!("{sentence}, finished erasing {erased} entries");
    }
    Ok(Recovered {
        keys,
        frozen,
        untold_key,
        head,
        anchor,
        segment,
        archive,
        log,
        tiles,
        plans: Arc::new(plans),
        state: replayed.state,
        snapshot_size: replayed.from,
        sentence,
    })
}

fn sign(keys: &Keys, edge: &Edge) -> Result<Head, OpenError> {
    Head::sign(keys, edge.clone()).map_err(|error| OpenError::Setting {
        setting: "origin",
        problem: with_causes(&error),
    })
}

/// Puts the signed tree head in the anchor, durably.
fn swap(anchor: &mut Anchor, expected: Option<&[u8]>, head: &Head) -> Result<(), OpenError> {
    let note = head.checkpoint.note.as_bytes();
    anchor
        .swap(expected, note)
        .and_then(|()| Ok(anchor.sync()?))
        .map_err(|error| match error {
            AnchorError::Store(error) => OpenError::Store(error),
            refused => OpenError::Anchor(refused.to_string()),
        })
}

/// Who the log is.
struct Identity {
    keys: Keys,
    /// What the keys signed last; none for a new log.
    signed: Option<TreeHead>,
    /// The note in the anchor.
    note: Vec<u8>,
}

/// Reads keys and anchor; makes both for a new log.
fn identity(
    disk: &Disk,
    paths: &Paths,
    anchor: &mut Anchor,
    config: &Config,
    has_segments: bool,
) -> Result<Identity, OpenError> {
    let forked = |problem: String| OpenError::Forked {
        folder: paths.folder.clone(),
        problem,
    };
    let note = anchor.read()?;
    let seeds = match key_file::read(disk, &paths.key)? {
        Some(seeds) => seeds,
        None if note.is_some() || has_segments => {
            let problem =
                "the file key is missing, and another key would be another log; restore it";
            return Err(forked(problem.to_owned()));
        }
        None => {
            let seeds = vec![key_file::new_seed()];
            key_file::write(disk, &paths.key, &seeds)?;
            seeds
        }
    };
    let keys = Keys::of(&config.origin, &seeds).map_err(|error| OpenError::Setting {
        setting: "origin",
        problem: with_causes(&error),
    })?;
    let Some(note) = note else {
        if has_segments {
            return Err(forked(format!(
                "its anchor {} holds no checkpoint, so nothing says how many entries there must \
                 be; restore the anchor, or set `anchor` to where it is",
                anchor.place()
            )));
        }
        // Before the first segment, so that a log without a checkpoint is never a crash's doing.
        let empty = sign(&keys, &Edge::default())?;
        swap(anchor, None, &empty)?;
        return Ok(Identity {
            keys,
            signed: None,
            note: empty.checkpoint.note.into_bytes(),
        });
    };
    let signed = match keys.open(&note) {
        Ok(signed) => signed,
        Err(error) => {
            let other = anchor.read_other()?;
            let Some(signed) = other.and_then(|other| keys.open(&other).ok()) else {
                return Err(forked(format!(
                    "{}; origin, key and the anchor {} must be those of one log",
                    with_causes(&error),
                    anchor.place()
                )));
            };
            tracing::error!(
                anchor = anchor.place(),
                error = with_causes(&error),
                tree_size = signed.size,
                "the newest checkpoint cannot be believed, as after a loss of power; the other is used"
            );
            signed
        }
    };
    Ok(Identity {
        keys,
        signed: Some(signed),
        note,
    })
}

fn describe(signed: Option<&TreeHead>, replayed: &Replayed) -> String {
    let size = replayed.state.grower.size();
    let Some(signed) = signed else {
        return "created an empty log".to_owned();
    };
    let read = size - replayed.from;
    let mut sentence = format!("found {size} entries and read the last {read} of them again");
    if size > signed.size {
        let unsigned = size - signed.size;
        sentence = format!("{sentence}, signed {unsigned} that were written but not yet signed");
    }
    if replayed.cut > 0 {
        let cut = replayed.cut;
        sentence = format!("{sentence}, removed {cut} bytes of an entry that was half written");
    }
    sentence
}

struct Replay<'a> {
    disk: &'a Disk,
    /// Where the anchor is, for messages.
    anchor: String,
    paths: &'a Paths,
    segments: &'a Segments,
    firsts: &'a [u64],
    signed: Option<&'a TreeHead>,
    log: &'a Arc<LogReader>,
    tiles: &'a Arc<TileStore>,
}

struct Replayed {
    state: State,
    /// Entries that were known from the snapshot.
    from: u64,
    /// Where the good frames of the last segment end.
    end: u64,
    /// Bytes after that.
    cut: u64,
}

/// Where reading begins.
struct Start {
    state: State,
    segment: u64,
    offset: u64,
}

impl Replay<'_> {
    fn run(&self) -> Result<Replayed, OpenError> {
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
            state: State {
                grower: Grower::new(Edge::default(), Vec::new(), Arc::clone(self.tiles)),
                producers: Producers::default(),
                latest: Latest::default(),
                gaps: Gaps::default(),
                received_at: 0,
                life: Told::default(),
            },
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
        let Some((edge, leaves)) = snapshot.tree().filter(|_| fits) else {
            tracing::warn!("the snapshot does not fit the log; the log is read whole");
            return Ok(None);
        };
        let mut latest = Latest::default();
        for &index in &snapshot.latest {
            match self.reading_at(index, snapshot.size) {
                Ok(reading) => latest.update(reading),
                Err(problem) => {
                    tracing::warn!(
                        index,
                        problem,
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
                grower: Grower::new(edge, leaves, Arc::clone(self.tiles)),
                producers,
                latest,
                gaps: snapshot.gaps,
                received_at: snapshot.received_at,
                life: Told {
                    key_entry: snapshot.key_entry,
                    ..Told::default()
                },
            },
            segment: snapshot.segment,
            offset: snapshot.offset,
        }))
    }

    fn reading_at(&self, index: u64, size: u64) -> Result<crate::types::Reading, String> {
        if index >= size {
            return Err(format!("entry {index} is not in a log of {size}"));
        }
        let stored = self.log.entry(index);
        let stored = stored.map_err(|error| with_causes(&error))?;
        let bytes = stored
            .envelope()
            .ok_or_else(|| format!("entry {index} was removed"))?;
        let envelope = Envelope::parse(bytes)?;
        reading_of(&envelope.event(), index, envelope.received_at()?)
            .ok_or_else(|| format!("entry {index} is no reading"))
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
        loop {
            let index = state.grower.size();
            let offset = scan.offset();
            let damaged = |problem: String| StoreError::Damaged {
                path: path.to_owned(),
                offset,
                problem: format!("entry {index}: {problem}"),
            };
            match scan.next(index)? {
                Next::End => break,
                Next::Frame(frame) => apply(frame, index, state).map_err(damaged)?,
                Next::Bad(_) if self.may_be_half_written(path, index) => break,
                Next::Bad(fault) => {
                    let problem = format!("{fault}, but the entry was signed; restore this file");
                    return Err(damaged(problem).into());
                }
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

    fn forked(&self, problem: String) -> OpenError {
        OpenError::Forked {
            folder: self.paths.folder.clone(),
            problem,
        }
    }
}

/// Takes an entry into account.
fn apply(frame: Frame<'_>, index: u64, state: &mut State) -> Result<(), String> {
    let leaf = frame.leaf(index)?;
    match frame {
        Frame::Envelope(bytes) => {
            let envelope = Envelope::parse(bytes)?;
            state.note_origin(envelope.origin(), index)?;
            let reading = reading_and_clock(&envelope.event(), index, leaf.received_at);
            if let Some(origin) = envelope.origin() {
                let times = reading
                    .as_ref()
                    .map(|(reading, device_at)| (reading.polled_at, *device_at));
                let noted = noted_in(&envelope.event(), origin.0, times);
                state.note_gaps(origin, noted, &leaf);
            }
            if let Some((reading, _)) = reading {
                state.latest.update(reading);
            }
            if let Some(told) = told_by(index, &envelope) {
                state.latest.forget_below(told.below);
                state.life.retentions.push(told);
            }
        }
        Frame::Erased(erased) => {
            state.note_origin(erased.origin, index)?;
            if let Some(origin) = erased.origin {
                state.note_gaps(origin, noted_in_erased(origin.0, leaf.received_at), &leaf);
            }
            state.life.gone.note(index, erased.marker);
        }
    }
    state.received_at = state.received_at.max(leaf.received_at);
    state.grower.push(&leaf);
    Ok(())
}

impl State {
    fn note_gaps(&mut self, origin: (&str, u64), noted: Option<Noted>, leaf: &Leaf) {
        if let Some(noted) = noted {
            let place = Place {
                index: leaf.index,
                received_at: leaf.received_at,
            };
            self.gaps.note(origin, &noted, place);
        }
    }

    fn note_origin(&mut self, origin: Option<(&str, u64)>, index: u64) -> Result<(), String> {
        let Some((producer, sequence)) = origin else {
            return Ok(());
        };
        if !self.producers.insert(producer, sequence) {
            return Err(format!(
                "the event {sequence} of {producer:?} is there a second time"
            ));
        }
        if producer == OwnKind::Erasure.producer() {
            self.life.erasures.push((sequence, index));
        } else if producer == OwnKind::Key.producer() {
            self.life.key_entry = Some(index);
        }
        Ok(())
    }
}
