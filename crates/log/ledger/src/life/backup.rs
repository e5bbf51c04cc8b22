//! Copies of a log that are kept elsewhere.
//!
//! A backup is a folder with the log's segments, the signed tree head that they lead to
//! (`checkpoint`), and `backup.json`, which says what it is. The tree head is read first, so the
//! copy is that of one moment although the ledger goes on; nothing of the ledger is locked. What is
//! in the backup is then read again and hashed, up to the signed root, and entries whose erasure it
//! tells of are erased in it too. A later backup into the same folder copies only what is new, and
//! the segments that were written anew: it does not keep what the log gave up. Whoever wants to keep
//! that leaves a backup as it is and makes the next one elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_formats::envelope::{Envelope, EnvelopeError};
use fieldledger_formats::frame::{Erased, Frame, erased_frame};
use fieldledger_formats::own::OwnKind;
use fieldledger_tlog::{Edge, Hash, TreeHead, open_checkpoint};
use rangemap::RangeSet;
use serde::{Deserialize, Serialize};

use crate::anchor;
use crate::config::Config;
use crate::error::{StoreError, with_causes};
use crate::keys::Keys;
use crate::paths::Paths;
use crate::store::archive::Archive;
use crate::store::disk::{Disk, Durability, Mode};
use crate::store::key_file;
use crate::store::scan::{Next, SegmentScan};
use crate::store::segments::{SegmentFile, Segments};

/// Version of `backup.json`.
const VERSION: u32 = 1;

/// Bytes copied in one go.
const COPY_BYTES: usize = 1024 * 1024;

/// How often an anchor is read that is being replaced.
const ATTEMPTS: u32 = 20;

/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(5);

/// Entries after which progress is reported.
const STEP: u64 = 4_096;

/// Why there is no backup, or no restored log.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file could not be read or written, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is there is not what it should be.
    #[error("{}: {problem}", .path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The log went on after the backup: to go on from the backup would fork it.
    #[error(
        "the backup has {backup} entries, but {anchor} entries were signed, says the anchor {place}: \
         a log that went on from the backup would be a fork of the one that others have seen. \
         Restore a newer backup; or restore this one read-only; or let a successor log go on from it"
    )]
    Behind {
        /// Entries in the backup.
        backup: u64,
        /// Entries that were signed.
        anchor: u64,
        /// Where the anchor is.
        place: String,
    },
    /// Nothing says how far the log went.
    #[error(
        "the anchor {place} holds nothing, so nothing says whether the log went on after the backup \
         of {backup} entries. Name the anchor that the log had; or restore read-only; or let a \
         successor log go on from it"
    )]
    NoAnchor {
        /// Entries in the backup.
        backup: u64,
        /// Where the anchor should be.
        place: String,
    },
}

/// What a backup says of itself, in `backup.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    version: u32,
    /// Name of the log.
    pub origin: String,
    /// Entries in it.
    pub tree_size: u64,
    /// Root of its tree, base64.
    pub root_hash: String,
    /// Keys that signed its tree head, oldest first.
    pub verifier_keys: Vec<String>,
    /// When it was made, microseconds since the Unix epoch.
    pub created_at: u64,
    /// Whether the secret keys are in it. Without them the log can only be read.
    pub with_keys: bool,
}

/// What a backup did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// The backup as it is now.
    pub backup: Backup,
    /// Entries that were in it before.
    pub entries_before: u64,
    /// Bytes that were copied.
    pub bytes_copied: u64,
    /// Entries that were erased in it, because the log tells that they are.
    pub erased: u64,
}

/// Called during long work with what is done, how much of it, and of how much.
pub type Progress<'a> = &'a mut dyn FnMut(&'static str, u64, u64);

/// Where things lie in a backup.
pub(super) struct Places {
    pub(super) folder: PathBuf,
    pub(super) segments: PathBuf,
    pub(super) checkpoint: PathBuf,
    pub(super) manifest: PathBuf,
    pub(super) key: PathBuf,
}

impl Places {
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            segments: folder.join("segments"),
            checkpoint: folder.join("checkpoint"),
            manifest: folder.join("backup.json"),
            key: folder.join("key"),
        }
    }
}

/// Copies the log of a ledger, which may be open in this or another process, to the folder `target`.
/// `config` says where the ledger, its anchor and its archive are. The secret keys are only copied
/// `with_keys`.
///
/// # Errors
///
/// When the log cannot be read or does not lead to its signed root, the target holds something else
/// than an earlier backup of the same log, or cannot be written.
pub fn backup(
    config: &Config,
    target: &Path,
    with_keys: bool,
    progress: Progress<'_>,
) -> Result<BackupReport, BackupError> {
    let disk = Disk::new(config.faults.clone());
    let paths = Paths::of(&config.folder);
    let places = Places::of(target);
    let (note, head, keys) = newest_head(&disk, &paths, config)?;
    let before = earlier(&disk, &places, &head)?;
    let old_size = before.as_ref().map(|backup| backup.tree_size);
    let mut read_log = || -> Result<(Segments, Walked), BackupError> {
        let source = source_of(&disk, &paths, config)?;
        let read = walk(&source, head.size, old_size, &mut |done, of| {
            progress("reading the log", done, of);
        })?;
        Ok((source, read))
    };
    let (source, read) = match read_log() {
        Ok(read) => read,
        Err(error) => {
            // An entry may have been erased, or a segment archived, at this very moment.
            tracing::warn!(error = with_causes(&error), "the log is read once more");
            read_log()?
        }
    };
    check_root(&paths.segments, &head, read.root)?;
    if let (Some(before), Some(old_root)) = (&before, read.old_root) {
        // Not merely an older copy, but one of the same log.
        if BASE64_STANDARD.encode(old_root.0) != before.root_hash {
            return Err(unusable(
                &places.folder,
                "it holds a backup of another log of the same name; give an empty folder",
            ));
        }
    }

    disk.create_folder(&places.segments)?;
    let copied = copy_segments(&disk, &source, &places, &read.ends, progress)?;
    let copy = Segments::new(disk.clone(), places.segments.clone(), None);
    let (written, bytes_copied) = match checked(&copy, &head, progress) {
        Ok(written) => (written, copied),
        Err(error) => {
            // An earlier backup may have been torn, or damaged since.
            tracing::warn!(error = with_causes(&error), "the backup is copied anew");
            let again = copy_whole(&disk, &source, &places, &read.ends)?;
            (checked(&copy, &head, progress)?, copied + again)
        }
    };
    let erased = erase_in(&copy, &written)?;
    if erased > 0 {
        checked(&copy, &head, progress)?;
    }
    remove_others(&disk, &copy, &read.ends)?;

    if with_keys {
        key_file::write(&disk, &places.key, &keys.seeds())?;
    }
    let with_keys = key_file::read(&disk, &places.key)?.is_some();
    let backup = Backup {
        version: VERSION,
        origin: head.origin.clone(),
        tree_size: head.size,
        root_hash: BASE64_STANDARD.encode(head.root.0),
        verifier_keys: keys.verifier_keys(),
        created_at: config.clock.now(),
        with_keys,
    };
    let manifest = serde_json::to_vec_pretty(&backup)
        .map_err(|error| unusable(&places.manifest, &error.to_string()))?;
    disk.replace(&places.checkpoint, &note, 0o644, Durability::Power)?;
    disk.replace(&places.manifest, &manifest, 0o644, Durability::Power)?;
    Ok(BackupReport {
        backup,
        entries_before: old_size.unwrap_or(0),
        bytes_copied,
        erased,
    })
}

/// The log's segments, on the disk and in the archive.
fn source_of(disk: &Disk, paths: &Paths, config: &Config) -> Result<Segments, BackupError> {
    let archive = Archive::open_configured(disk, &paths.folder, config.archive.as_ref())?;
    Ok(Segments::new(disk.clone(), paths.segments.clone(), archive))
}

/// The signed tree head in the anchor, and the keys that signed it.
fn newest_head(
    disk: &Disk,
    paths: &Paths,
    config: &Config,
) -> Result<(Vec<u8>, TreeHead, Keys), BackupError> {
    let place = anchor::name_of(&config.anchor, &paths.folder);
    let seeds = key_file::read(disk, &paths.key)?.ok_or_else(|| {
        unusable(
            &paths.key,
            "it is missing; without it nothing can be verified",
        )
    })?;
    let mut problem =
        "the anchor holds no signed tree head; is there a ledger, and is this its anchor?"
            .to_owned();
    // A ledger that commits all the while may replace it while it is read.
    for _ in 0..ATTEMPTS {
        let notes = anchor::peek(&config.anchor, &paths.folder, disk)?;
        for note in notes.into_iter().flatten() {
            let line = note.split(|&byte| byte == b'\n').next().unwrap_or_default();
            let opened = Keys::of(&String::from_utf8_lossy(line), &seeds).and_then(|keys| {
                let head = keys.open(&note)?;
                Ok((head, keys))
            });
            match opened {
                Ok((head, keys)) => return Ok((note, head, keys)),
                Err(error) => problem = with_causes(&error),
            }
        }
        std::thread::sleep(PAUSE);
    }
    Err(unusable(Path::new(&place), &problem))
}

/// The backup that is in the target already, if any.
fn earlier(disk: &Disk, places: &Places, head: &TreeHead) -> Result<Option<Backup>, BackupError> {
    if !places.folder.exists() {
        return Ok(None);
    }
    let Some(backup) = read_manifest(disk, places)? else {
        let is_empty = disk.list(&places.folder)?.is_empty();
        // The segments of one that was never finished.
        let unfinished = disk.list(&places.folder)? == [places.segments.clone()];
        return match is_empty || unfinished {
            true => Ok(None),
            false => Err(unusable(
                &places.folder,
                "it is neither empty nor a backup; give an empty folder",
            )),
        };
    };
    if backup.origin != head.origin {
        let problem = format!(
            "it holds a backup of {}, not of {}; give an empty folder",
            backup.origin, head.origin
        );
        return Err(unusable(&places.folder, &problem));
    }
    if backup.tree_size > head.size {
        let problem = format!(
            "it holds {} entries, but the log has {} only: the log is an older copy of itself, and \
             the backup is newer",
            backup.tree_size, head.size
        );
        return Err(unusable(&places.folder, &problem));
    }
    Ok(Some(backup))
}

/// Reads `backup.json`; none where it is not there.
pub(super) fn read_manifest(disk: &Disk, places: &Places) -> Result<Option<Backup>, BackupError> {
    let Some(bytes) = disk.read_if_there(&places.manifest)? else {
        return Ok(None);
    };
    let backup: Backup = serde_json::from_slice(&bytes)
        .map_err(|error| unusable(&places.manifest, &error.to_string()))?;
    if backup.version != VERSION {
        let problem = format!("its version is {}, not {VERSION}", backup.version);
        return Err(unusable(&places.manifest, &problem));
    }
    Ok(Some(backup))
}

/// A backup's signed tree head, after its segments were found to lead to it.
pub(super) fn verified(
    disk: &Disk,
    places: &Places,
    backup: &Backup,
    progress: Progress<'_>,
) -> Result<(Vec<u8>, TreeHead, Walked), BackupError> {
    let note = disk
        .read_if_there(&places.checkpoint)?
        .ok_or_else(|| unusable(&places.checkpoint, "it is missing from the backup"))?;
    let key = backup.verifier_keys.last().map_or("", |key| key);
    let head = open_checkpoint(&note, key)
        .map_err(|error| unusable(&places.checkpoint, &with_causes(&error)))?;
    let copy = Segments::new(disk.clone(), places.segments.clone(), None);
    let walked = checked(&copy, &head, progress)?;
    Ok((note, head, walked))
}

/// What reading a log from front to back tells.
pub(super) struct Walked {
    root: Hash,
    /// Root of the tree of the size that was asked for.
    old_root: Option<Hash>,
    /// First entry of each segment, and the bytes of the plain one that belong to the log.
    pub(super) ends: Vec<(u64, u64)>,
    /// Entries that are to be erased, each with the entry that says so.
    told: BTreeMap<u64, u64>,
    /// Entries whose payload is gone, because of that or of something else.
    gone: RangeSet<u64>,
}

/// Reads the first `size` entries. The root of the tree of `old_size` is noted on the way.
fn walk(
    segments: &Segments,
    size: u64,
    old_size: Option<u64>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Walked, BackupError> {
    let mut edge = Edge::default();
    let mut walked = Walked {
        root: edge.root(),
        old_root: None,
        ends: Vec::new(),
        told: BTreeMap::new(),
        gone: RangeSet::new(),
    };
    for first in segments.list()? {
        if edge.size() >= size {
            break;
        }
        let path = segments.path_of(first);
        if first != edge.size() {
            let problem = format!(
                "the segment with entry {} is missing before it",
                edge.size()
            );
            return Err(unusable(&path, &problem));
        }
        let mut scan = SegmentScan::new(segments.open_in_use(first)?, 0)?;
        while edge.size() < size {
            let index = edge.size();
            if old_size == Some(index) {
                walked.old_root = Some(edge.root());
            }
            let offset = scan.stored_offset();
            let damaged = |problem: String| StoreError::Damaged {
                path: path.clone(),
                offset,
                problem: format!("entry {index}: {problem}"),
            };
            let frame = match scan.next(index)? {
                Next::End => break,
                Next::Bad(fault) => return Err(damaged(fault.to_string()).into()),
                Next::Frame(frame) => frame,
            };
            let noted = walked.note(index, &frame);
            noted.map_err(|fault| damaged(fault.to_string()))?;
            let leaf = frame.leaf(index);
            edge.push(leaf.map_err(|fault| damaged(fault.to_string()))?.hash());
            if index % STEP == 0 {
                progress(index, size);
            }
        }
        walked.ends.push((first, scan.offset()));
    }
    if edge.size() < size {
        let problem = format!("it has {} entries, but {size} were signed", edge.size());
        return Err(unusable(&segments.path_of(0), &problem));
    }
    if old_size == Some(size) {
        walked.old_root = Some(edge.root());
    }
    walked.root = edge.root();
    Ok(walked)
}

impl Walked {
    fn note(&mut self, index: u64, frame: &Frame<'_>) -> Result<(), EnvelopeError> {
        match frame {
            Frame::Erased(_) => {
                self.gone.insert(index..index + 1);
            }
            Frame::Envelope(bytes) => {
                if let Some((producer, entry)) = Envelope::parse(bytes)?.origin()
                    && producer == OwnKind::Erasure.producer()
                {
                    self.told.insert(entry, index);
                }
            }
        }
        Ok(())
    }
}

fn checked(
    copy: &Segments,
    head: &TreeHead,
    progress: Progress<'_>,
) -> Result<Walked, BackupError> {
    let walked = walk(copy, head.size, None, &mut |done, of| {
        progress("checking the copy", done, of);
    })?;
    check_root(&copy.path_of(0), head, walked.root)?;
    Ok(walked)
}

fn check_root(path: &Path, head: &TreeHead, found: Hash) -> Result<(), BackupError> {
    if found == head.root {
        return Ok(());
    }
    let problem = format!(
        "the tree of the first {} entries has the root {found}, but {} was signed",
        head.size, head.root
    );
    Err(unusable(path, &problem))
}

/// Copies what the target lacks; the bytes that were copied.
fn copy_segments(
    disk: &Disk,
    source: &Segments,
    places: &Places,
    ends: &[(u64, u64)],
    progress: Progress<'_>,
) -> Result<u64, BackupError> {
    let target = Segments::new(disk.clone(), places.segments.clone(), None);
    let mut copied = 0;
    let of = ends.iter().map(|(_, end)| end).sum();
    let mut passed = 0;
    for &(first, end) in ends {
        let from = source.open_in_use(first)?;
        // One that cannot be opened is damaged, and copied anew.
        let there = match target.is_local(first) {
            true => target.open_local(first).ok(),
            false => None,
        };
        let length = there.as_ref().map_or(Ok(0), SegmentFile::len)?;
        let is_packed = there.is_some_and(|there| there.is_packed());
        let is_there = length == end && (is_packed || !from.is_packed());
        // One that is too long is not what it should be, and a packed one does not grow.
        let start = if is_packed || length > end { 0 } else { length };
        if !is_there {
            copied += copy_segment(disk, &from, &target.path_of(first), start..end)?;
        }
        passed += end;
        progress("copying", passed, of);
    }
    disk.sync_folder(&places.segments)?;
    Ok(copied)
}

fn copy_whole(
    disk: &Disk,
    source: &Segments,
    places: &Places,
    ends: &[(u64, u64)],
) -> Result<u64, BackupError> {
    let target = Segments::new(disk.clone(), places.segments.clone(), None);
    let mut copied = 0;
    for &(first, end) in ends {
        let from = source.open_in_use(first)?;
        copied += copy_segment(disk, &from, &target.path_of(first), 0..end)?;
    }
    disk.sync_folder(&places.segments)?;
    Ok(copied)
}

/// Copies a segment up to the end of `range` and makes that durable, but for its name; what is behind
/// it goes. A packed one is copied as it is, where all of it is to be; otherwise these bytes of the
/// plain one are, behind those that are there. How many bytes were copied.
pub(super) fn copy_segment(
    disk: &Disk,
    from: &SegmentFile,
    to: &Path,
    range: Range<u64>,
) -> Result<u64, BackupError> {
    if let SegmentFile::Packed(packed) = from
        && from.len()? == range.end
    {
        let stored = packed.stored();
        let mut bytes = vec![0; usize::try_from(stored.len()?).unwrap_or(usize::MAX)];
        stored.read_at(&mut bytes, 0)?;
        disk.replace(to, &bytes, 0o644, Durability::Power)?;
        return Ok(bytes.len() as u64);
    }
    let file = disk.open(to, Mode::Create)?;
    let mut offset = range.start;
    let mut buffer = vec![0; COPY_BYTES];
    while offset < range.end {
        let rest = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
        let chunk = &mut buffer[..rest.min(COPY_BYTES)];
        from.read_at(chunk, offset)?;
        file.write_at(chunk, offset)?;
        offset += chunk.len() as u64;
    }
    file.set_len(range.end)?;
    file.sync()?;
    Ok(range.end - range.start)
}

/// Erases in the backup what the log tells is erased; how many entries that were.
fn erase_in(copy: &Segments, walked: &Walked) -> Result<u64, BackupError> {
    let mut erased = 0;
    for (&entry, &marker) in &walked.told {
        if walked.gone.contains(&entry) {
            continue;
        }
        let after = walked.ends.partition_point(|&(first, _)| first <= entry);
        let Some(&(first, _)) = after.checked_sub(1).and_then(|at| walked.ends.get(at)) else {
            continue;
        };
        let path = copy.path_of(first);
        let mut scan = SegmentScan::new(copy.open(first)?, 0)?;
        for index in first..entry {
            scan.next(index)?;
        }
        let offset = scan.offset();
        let damaged = |problem: String| StoreError::Damaged {
            path: path.clone(),
            offset,
            problem: format!("entry {entry}: {problem}"),
        };
        let frame = match scan.next(entry)? {
            Next::Frame(frame) => frame,
            Next::End | Next::Bad(_) => return Err(damaged("it is gone".to_owned()).into()),
        };
        let Frame::Envelope(bytes) = frame else {
            continue;
        };
        let unreadable = |fault: EnvelopeError| damaged(fault.to_string());
        let envelope = Envelope::parse(bytes).map_err(unreadable)?;
        let remains = Erased {
            leaf: frame.leaf(entry).map_err(unreadable)?,
            marker,
            origin: envelope.origin(),
        };
        let replaced = erased_frame(entry, bytes.len(), &remains)
            .ok_or_else(|| damaged("it has no room for what must be left of it".to_owned()))?;
        copy.overwrite(first, offset, &replaced)?;
        erased += 1;
    }
    Ok(erased)
}

/// Removes segments that are none of the log's.
fn remove_others(disk: &Disk, copy: &Segments, ends: &[(u64, u64)]) -> Result<(), BackupError> {
    for first in copy.list()? {
        if !ends.iter().any(|&(known, _)| known == first) {
            disk.remove(&copy.path_of(first))?;
        }
    }
    Ok(())
}

pub(super) fn unusable(path: &Path, problem: &str) -> BackupError {
    BackupError::Unusable {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}
