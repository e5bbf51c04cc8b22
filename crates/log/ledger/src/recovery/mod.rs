//! Opening a ledger's folder: checks that the log is the one that was signed, removes what a crash
//! left half written, and computes again what the log's entries add up to.
//!
//! `identity` reads keys and anchor, `replay` the log, and `state` is what its entries add up
//! to. What a crash left half done is finished in an order of its own: what was being erased is
//! erased before the log is read, and nothing is signed before all that was signed is there.

mod identity;
mod replay;
mod state;

use std::sync::Arc;

use crate::anchor::Anchor;
use crate::config::Config;
use crate::error::OpenError;
use crate::head::Head;
use crate::keys::Keys;
use crate::life::restore::ReadOnly;
use crate::life::retention::plan::{self, Plans};
use crate::life::{erasure, freeze};
use crate::paths::Paths;
use crate::store::archive::Archive;
use crate::store::disk::Disk;
use crate::store::offsets::Offsets;
use crate::store::reader::LogReader;
use crate::store::segment::{self, SegmentWriter};
use crate::store::segments::Segments;
use crate::store::tile_files::TileFiles;
use crate::store::tiles::TileStore;
use identity::{Identity, identity, read_only_identity, sign, swap};
use replay::{Replay, Replayed};

pub(crate) use state::State;

/// A log that is ready to be read and written.
pub(crate) struct Recovered {
    pub(crate) keys: Keys,
    /// Why the log takes no more entries, if it has ended.
    pub(crate) ended: Option<String>,
    /// Whether the newest key must yet be recorded.
    pub(crate) unrecorded_key: bool,
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

/// Opens or creates the log. Its folder is locked by the caller.
pub(crate) fn recover(
    disk: &Disk,
    paths: &Paths,
    mut anchor: Anchor,
    read_only: Option<&ReadOnly>,
    config: &Config,
) -> Result<Recovered, OpenError> {
    disk.create_folder(&paths.segments)?;
    segment::remove_unfinished(disk, &paths.segments)?;
    let archive = Archive::open_configured(disk, &paths.folder, config.archive.as_ref())?;
    let segments = Segments::new(disk.clone(), paths.segments.clone(), archive.clone())
        .packed_from(config.pack_from_bytes);
    let firsts = segments.list()?;
    let mut identity = match read_only {
        Some(read_only) => read_only_identity(read_only, paths)?,
        None => identity(disk, paths, &mut anchor, config, !firsts.is_empty())?,
    };
    let offsets = Offsets::open(disk, &paths.offsets)?;
    let plan = plan::resume(disk, paths, &segments, &offsets)?;
    let log = Arc::new(LogReader::new(segments.clone(), offsets, firsts.clone()));
    let files = TileFiles::new(disk, &paths.folder);
    if files.remove_older_form()? {
        tracing::info!("tiles that lay in a file each are computed again as they are needed");
    }
    let tiles = Arc::new(TileStore::new(files, Arc::clone(&log), archive.clone()));
    let replay = Replay {
        disk,
        paths,
        segments: &segments,
        anchor: anchor.place(),
        firsts: &firsts,
        signed: identity.signed.as_ref(),
        log: &log,
        tiles: &tiles,
    };
    let (replayed, erased) = read_and_erase(&replay)?;
    let markers = &replayed.state.markers;
    let size = replayed.state.grower.size();
    erasure::check_markers(&log, size, markers)?;
    let plans = plan::reconcile(disk, paths, plan, &log, size, markers)?;
    let segment = segment_to_write(&replay, &replayed, config.segment_bytes)?;
    let sentence = describe(&replay, &replayed, erased);
    let end = match read_only {
        Some(read_only) => End::of_read_only(&replay, &replayed, read_only)?,
        None => End::sign(disk, paths, &log, &replayed, &mut identity, &mut anchor)?,
    };
    Ok(Recovered {
        keys: identity.keys,
        ended: end.ended,
        unrecorded_key: end.unrecorded_key,
        head: end.head,
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

/// Reads the log, and finishes erasing what its entries say was erased; how many entries that were.
fn read_and_erase(replay: &Replay<'_>) -> Result<(Replayed, u64), OpenError> {
    erasure::resume(replay.disk, replay.paths, replay.segments)?;
    let replayed = replay.run()?;
    let markers = &replayed.state.markers;
    let erased = erasure::finish(replay.disk, replay.log, replay.paths, markers)?;
    if erased == 0 {
        return Ok((replayed, erased));
    }
    // What was erased just now must not be among the newest readings.
    Ok((replay.run()?, erased))
}

/// The segment that the next entry goes to, without what a crash left half written.
fn segment_to_write(
    replay: &Replay<'_>,
    replayed: &Replayed,
    roll_at: u64,
) -> Result<SegmentWriter, OpenError> {
    let folder = &replay.paths.segments;
    Ok(match replay.firsts.last() {
        Some(&last) if replay.segments.is_local_and_plain(last)? => {
            SegmentWriter::open(replay.disk, folder, last, replayed.end, roll_at)?
        }
        // A new log, or one whose last segment is packed, or in the archive only.
        _ => {
            let next = replayed.state.grower.size();
            replay.log.add_segment(next);
            SegmentWriter::create(replay.disk, folder, next, roll_at)?
        }
    })
}

/// Where a log ends as it is opened.
struct End {
    head: Head,
    /// Why it takes no more entries, if that is so.
    ended: Option<String>,
    /// Whether the newest key must yet be recorded.
    unrecorded_key: bool,
}

impl End {
    /// Signs the tree of all that is there, and puts it in the anchor.
    fn sign(
        disk: &Disk,
        paths: &Paths,
        log: &LogReader,
        replayed: &Replayed,
        identity: &mut Identity,
        anchor: &mut Anchor,
    ) -> Result<Self, OpenError> {
        let State {
            grower, markers, ..
        } = &replayed.state;
        let unrecorded_key = identity
            .keys
            .reconcile(disk, log, markers.key_entry, paths)?;
        let head = sign(&identity.keys, grower.edge())?;
        swap(anchor, Some(&identity.note), &head)?;
        Ok(Self {
            head,
            ended: freeze::frozen(log, grower.size())?,
            unrecorded_key,
        })
    }

    /// A log that is read-only ends with the tree that was signed.
    fn of_read_only(
        replay: &Replay<'_>,
        replayed: &Replayed,
        read_only: &ReadOnly,
    ) -> Result<Self, OpenError> {
        let edge = replayed.state.grower.edge();
        let size = edge.size();
        if replay.signed.is_none_or(|signed| signed.size != size) {
            let problem = format!("it is read-only, but has {size} entries, more than were signed");
            return Err(replay.forked(problem));
        }
        Ok(Self {
            head: read_only.published(edge),
            ended: Some(format!("the log is read-only: {}", read_only.reason)),
            unrecorded_key: false,
        })
    }
}

/// What was found and done, in a sentence.
fn describe(replay: &Replay<'_>, replayed: &Replayed, erased: u64) -> String {
    let size = replayed.state.grower.size();
    let Some(signed) = replay.signed else {
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
    if erased > 0 {
        sentence = format!("{sentence}, finished erasing {erased} entries");
    }
    sentence
}
