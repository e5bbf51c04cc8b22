//! Reading entries that are in the log.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use fieldledger_formats::frame::{Frame, read_frame};
use fieldledger_tlog::Leaf;
use parking_lot::{Mutex, RwLock};

use super::archive::Reclaimed;
use super::offsets::Offsets;
use super::packed::pack_whole;
use super::segments::{SegmentFile, Segments};
use crate::error::{StoreError, with_causes};

/// Bytes that are read in one go, unless a single frame is longer.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// Entries whose offsets are read in one go.
const CHUNK_ENTRIES: u64 = 4_096;

/// Reads entries below the size that was published; any number of threads may.
#[derive(Debug)]
pub(crate) struct LogReader {
    segments: Segments,
    offsets: Offsets,
    /// First indices of the segments, ascending.
    firsts: RwLock<Vec<u64>>,
    /// Offsets and segments fit each other as long as it is held.
    layout: RwLock<()>,
    /// Segments that were changed otherwise than by an append, since who packs them looked.
    changed: Mutex<HashSet<u64>>,
}

/// A full segment that is to be written anew. It stays on the disk, and on no copy that is kept, as
/// long as this lives.
#[derive(Debug)]
pub(crate) struct OldSegment<'a> {
    pub(crate) path: PathBuf,
    /// Those of the plain segment.
    pub(crate) bytes: Vec<u8>,
    /// Bytes that it takes on the disk.
    pub(crate) stored_bytes: u64,
    first: u64,
    is_packed: bool,
    _on_disk: Option<Reclaimed<'a>>,
}

impl LogReader {
    pub(crate) fn new(segments: Segments, offsets: Offsets, firsts: Vec<u64>) -> Self {
        Self {
            segments,
            offsets,
            firsts: RwLock::new(firsts),
            layout: RwLock::default(),
            changed: Mutex::default(),
        }
    }

    /// The segments, wherever they are.
    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Where entries end, for the writer.
    pub(crate) fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// The segments that are no longer written: first entry, and first entry after it.
    pub(crate) fn sealed_segments(&self) -> Vec<(u64, u64)> {
        let firsts = self.firsts.read();
        firsts.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }

    /// Where the frame of entry `index` lies, as [`LogReader::place`], on the disk, because it will be
    /// changed; it stays there as long as the guard lives.
    pub(crate) fn place_to_change(
        &self,
        index: u64,
    ) -> Result<(u64, Range<u64>, Option<Reclaimed<'_>>), StoreError> {
        let (first, bytes) = self.place(index)?;
        let reclaimed = self.segments.reclaim(first)?;
        self.changed.lock().insert(first);
        Ok((first, bytes, reclaimed))
    }

    /// The full segment that begins with entry `first`, because it will be written anew.
    pub(crate) fn read_to_replace(&self, first: u64) -> Result<OldSegment<'_>, StoreError> {
        let on_disk = self.segments.reclaim(first)?;
        self.changed.lock().insert(first);
        let segment = self.segments.open_local(first)?;
        Ok(OldSegment {
            path: segment.place(),
            bytes: segment.read_whole()?,
            stored_bytes: segment.stored_bytes()?,
            first,
            is_packed: segment.is_packed(),
            _on_disk: on_disk,
        })
    }

    /// Puts other frames in its place, durably, packed if it was; they end at `ends`. The bytes that it
    /// takes now. Where this fails, offsets and segment may not fit each other.
    pub(crate) fn replace(
        &self,
        segment: &OldSegment<'_>,
        frames: &[u8],
        ends: &[u64],
    ) -> Result<u64, StoreError> {
        let packed = segment.is_packed.then(|| pack_whole(segment.first, frames));
        let packed = packed.transpose().map_err(|fault| StoreError::Damaged {
            path: segment.path.clone(),
            offset: 0,
            problem: with_causes(&fault),
        })?;
        let bytes = packed.as_deref().unwrap_or(frames);
        let layout = self.layout.write();
        self.segments.replace(segment.first, bytes)?;
        if packed.is_none() {
            self.offsets.write(segment.first, ends)?;
        }
        drop(layout);
        self.offsets.sync()?;
        Ok(bytes.len() as u64)
    }

    /// Gives the packed segment of these entries, which lies beside the plain one, its name. It has no
    /// need of offsets.
    pub(crate) fn put_packed_in_place(
        &self,
        entries: Range<u64>,
        beside: &Path,
    ) -> Result<(), StoreError> {
        let _layout = self.layout.write();
        self.segments.rename_to(beside, entries.start)?;
        self.offsets.free(entries);
        Ok(())
    }

    /// From here on it is noted whether the segment is changed.
    pub(crate) fn watch_changes(&self, first: u64) {
        self.changed.lock().remove(&first);
    }

    /// Whether the segment was changed since [`LogReader::watch_changes`]. Says nothing of changes that
    /// are under way: who asks prevents them.
    pub(crate) fn is_changed(&self, first: u64) -> bool {
        self.changed.lock().contains(&first)
    }

    /// A segment was begun.
    pub(crate) fn add_segment(&self, first: u64) {
        let mut firsts = self.firsts.write();
        firsts.push(first);
    }

    /// Entry `index`.
    pub(crate) fn entry(&self, index: u64) -> Result<LogEntry, StoreError> {
        let mut stored = None;
        self.read(index..index + 1, |_, frame| {
            let leaf = frame.leaf(index);
            let leaf = leaf.map_err(|problem| self.damaged(index, &problem))?;
            stored = Some(match frame {
                Frame::Envelope(bytes) => LogEntry::Envelope(bytes.to_vec(), leaf),
                Frame::Erased(erased) => LogEntry::Erased(leaf, erased.marker),
            });
            Ok(())
        })?;
        stored.ok_or_else(|| self.damaged(index, "it could not be read"))
    }

    /// When entry `index` was received.
    pub(crate) fn received_at(&self, index: u64) -> Result<u64, StoreError> {
        Ok(self.entry(index)?.leaf().received_at)
    }

    /// Hands every frame of the range to `each`, in order.
    pub(crate) fn read(
        &self,
        range: Range<u64>,
        mut each: impl FnMut(u64, Frame<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut next = range.start;
        // An entry that is being erased can be read half old, half new: then it is read once more.
        let mut read_again = None;
        while next < range.end {
            let chunk = self.chunk(next, range.end)?;
            let mut rest = chunk.bytes.as_slice();
            let first = next;
            for index in first..first + chunk.entries {
                match read_frame(rest, index) {
                    Ok((frame, length)) => {
                        each(index, frame)?;
                        rest = &rest[length..];
                        next = index + 1;
                    }
                    Err(_) if read_again != Some(index) => {
                        read_again = Some(index);
                        break;
                    }
                    Err(fault) => {
                        return Err(StoreError::Damaged {
                            path: chunk.path.clone(),
                            offset: chunk.offset + (chunk.bytes.len() - rest.len()) as u64,
                            problem: format!("entry {index}: {fault}"),
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Where the frame of entry `index` lies: the segment's first entry, and the frame's bytes in the
    /// plain segment.
    pub(crate) fn place(&self, index: u64) -> Result<(u64, Range<u64>), StoreError> {
        let _layout = self.layout.read();
        let (first, _) = self.segment_of(index);
        if let SegmentFile::Packed(packed) = self.segments.open(first)? {
            let (frame, _, start) = packed.frames_from(index, 1)?;
            return Ok((first, start..start + frame.len() as u64));
        }
        let start = match index.checked_sub(1) {
            Some(before) if index > first => self.offsets.read(before, 1)?[0],
            _ => 0,
        };
        let end = self.offsets.read(index, 1)?[0];
        Ok((first, start..end))
    }

    /// The frames of as many entries from `next` on as are read in one go: at least one, all of one
    /// segment.
    fn chunk(&self, next: u64, end: u64) -> Result<Chunk, StoreError> {
        let _layout = self.layout.read();
        let (first, segment_end) = self.segment_of(next);
        let segment = self.segments.open(first)?;
        let path = segment.place();
        if let SegmentFile::Packed(packed) = &segment {
            let (bytes, entries, offset) = packed.frames_from(next, end - next)?;
            return Ok(Chunk {
                path,
                offset: segment.stored_offset(offset),
                bytes,
                entries,
            });
        }
        let wanted = segment_end.min(end).min(next + CHUNK_ENTRIES) - next;
        let count = usize::try_from(wanted).unwrap_or(1);
        let (offset, ends) = if next == first {
            (0, self.offsets.read(next, count)?)
        } else {
            let mut ends = self.offsets.read(next - 1, count + 1)?;
            (ends.remove(0), ends)
        };
        let fitting = ends.partition_point(|&end| end <= offset + CHUNK_BYTES);
        let entries = fitting.clamp(1, ends.len());
        let length = ends[entries - 1].checked_sub(offset);
        let length = length.and_then(|length| usize::try_from(length).ok());
        let Some(length) = length.filter(|&length| length as u64 <= 2 * CHUNK_BYTES) else {
            return Err(StoreError::Damaged {
                path,
                offset,
                problem: format!("entry {next}: its offsets are not in order"),
            });
        };
        let mut bytes = vec![0; length];
        segment.read_at(&mut bytes, offset)?;
        Ok(Chunk {
            path,
            offset,
            bytes,
            entries: entries as u64,
        })
    }

    /// First entry of the segment that holds `index`, and of the segment after it.
    fn segment_of(&self, index: u64) -> (u64, u64) {
        let firsts = self.firsts.read();
        let after = firsts.partition_point(|&first| first <= index);
        let first = after.checked_sub(1).map_or(0, |position| firsts[position]);
        (first, firsts.get(after).copied().unwrap_or(u64::MAX))
    }

    /// Entry `index` is not what it should be.
    pub(crate) fn damaged(&self, index: u64, problem: impl fmt::Display) -> StoreError {
        let (first, _) = self.segment_of(index);
        let offset = self.place(index).map_or(0, |(_, bytes)| bytes.start);
        let segment = self.segments.open(first);
        StoreError::Damaged {
            path: self.segments.path_of(first),
            offset: segment.map_or(offset, |segment| segment.stored_offset(offset)),
            problem: format!("entry {index}: {problem}"),
        }
    }
}

/// What the log has of an entry.
#[derive(Debug)]
pub(crate) enum LogEntry {
    /// Its envelope.
    Envelope(Vec<u8>, Leaf),
    /// The entry was erased; which entry says so.
    Erased(Leaf, u64),
}

impl LogEntry {
    /// The tree's leaf for the entry.
    pub(crate) fn leaf(&self) -> Leaf {
        match self {
            Self::Envelope(_, leaf) | Self::Erased(leaf, _) => *leaf,
        }
    }

    /// The envelope; none where it was removed.
    pub(crate) fn envelope(&self) -> Option<&[u8]> {
        match self {
            Self::Envelope(bytes, _) => Some(bytes),
            Self::Erased(..) => None,
        }
    }
}

struct Chunk {
    path: PathBuf,
    /// Of the first frame in the segment.
    offset: u64,
    bytes: Vec<u8>,
    entries: u64,
}
