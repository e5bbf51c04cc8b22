//! Packs full segments, behind the commits.
//!
//! The packed segment is written beside the plain one, synced, read back and compared with it, and
//! only then takes its name: after a crash there is the one or the other, whole. Which of the two it
//! is, a segment says itself, so there is nothing to recover. Whatever is changed in the segment
//! meanwhile makes the work void, and it begins anew.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fieldledger_formats::packed::{Directory, HEADER_LENGTH, PackFault, full_block, header};
use parking_lot::Mutex;

use crate::error::{StoreError, with_causes};
use crate::follower::follow;
use crate::head::Published;
use crate::store::disk::{Disk, Mode};
use crate::store::reader::LogReader;
use crate::store::segments::{PackingState, SegmentFile};

/// Bytes that are read in one go: some blocks.
const CHUNK_BYTES: usize = 1024 * 1024;

/// It rests as many times as long as it works, so that it takes a fifth of a core at most. That packs
/// 100,000 readings a second, since one takes 2 us.
const REST: u32 = 4;

/// Packs full segments.
pub(crate) struct Packer {
    pub(crate) disk: Disk,
    pub(crate) log: Arc<LogReader>,
    pub(crate) published: Arc<Published>,
    /// Held while the log is changed otherwise than by an append.
    pub(crate) control: Arc<Mutex<()>>,
    /// Segments that are packed, and need not be looked at again.
    pub(crate) done: HashSet<u64>,
}

/// What became of a segment.
enum Packed {
    /// It is packed, and takes so many bytes instead of those before.
    Done { before: u64, after: u64 },
    /// The ledger closes, or the segment was changed meanwhile.
    Void,
}

impl Packer {
    /// Follows the log until the ledger is closed.
    pub(crate) fn run(mut self) {
        let published = Arc::clone(&self.published);
        follow(&published, || {
            self.catch_up().inspect_err(|error| {
                let problem = with_causes(error);
                tracing::warn!(problem, "segments cannot be packed; trying again");
            })
        });
    }

    /// False if there is more to do, though nothing new is written.
    fn catch_up(&mut self) -> Result<bool, StoreError> {
        let mut done = true;
        for (first, end) in self.log.sealed_segments() {
            if self.done.contains(&first) {
                continue;
            }
            if self.published.is_closed() {
                return Ok(true);
            }
            match self.log.segments().packing_of(first)? {
                PackingState::IsDue => {}
                PackingState::Packed => {
                    self.done.insert(first);
                    continue;
                }
                PackingState::StaysPlain => continue,
            }
            match self.pack(first, end) {
                Ok(Packed::Done { before, after }) => {
                    tracing::info!(first, end, before, after, "a segment was packed");
                    self.done.insert(first);
                }
                Ok(Packed::Void) => done = false,
                Err(error @ StoreError::Damaged { .. }) => {
                    // Reading says so as well, to whoever wants the entry; it stays as it is.
                    let problem = with_causes(&error);
                    tracing::error!(first, problem, "a damaged segment is not packed");
                    self.log.segments().leave_plain(first);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn pack(&self, first: u64, end: u64) -> Result<Packed, StoreError> {
        self.log.watch_changes(first);
        let plain = self.log.segments().open_local(first)?;
        let beside = self.log.segments().path_of(first);
        let beside = beside.with_added_extension("tmp");
        let written = self.write(&plain, (first, end), &beside);
        let packed = written.and_then(|written| match written {
            Some(after) => self.put_in_place((first..end, after), &plain, &beside),
            None => Ok(Packed::Void),
        });
        if !matches!(packed, Ok(Packed::Done { .. })) {
            // What is to be erased must be nowhere.
            self.disk.remove(&beside)?;
        }
        packed
    }

    /// Writes the packed segment beside the plain one; how long it is, or none where the ledger closes.
    fn write(
        &self,
        plain: &SegmentFile,
        (first, end): (u64, u64),
        beside: &Path,
    ) -> Result<Option<u64>, StoreError> {
        let length = plain.len()?;
        let file = self.disk.open(beside, Mode::Create)?;
        file.set_len(0)?;
        let mut directory = Directory::new(first);
        file.write_at(&header(first), 0)?;
        let mut stored_end = HEADER_LENGTH as u64;
        let mut rest = Vec::new();
        let mut offset = 0;
        while offset < length {
            let began = Instant::now();
            let wanted = usize::try_from(length - offset).unwrap_or(usize::MAX);
            let read = rest.len();
            rest.resize(read + wanted.min(CHUNK_BYTES), 0);
            plain.read_at(&mut rest[read..], offset)?;
            offset += (rest.len() - read) as u64;
            let mut stored = Vec::new();
            let mut packed = 0;
            while packed < rest.len() {
                let block = match full_block(&rest[packed..]) {
                    Some(length) => &rest[packed..packed + length],
                    None if offset == length => &rest[packed..],
                    None => break,
                };
                let at = directory.plain_bytes();
                let bytes = directory.pack(block);
                stored.extend_from_slice(&bytes.map_err(|fault| damaged(plain, at, &fault))?);
                packed += block.len();
            }
            rest.drain(..packed);
            if offset == length {
                let encoded = directory.encode();
                stored.extend_from_slice(&encoded.map_err(|fault| damaged(plain, 0, &fault))?);
            }
            file.write_at(&stored, stored_end)?;
            stored_end += stored.len() as u64;
            self.published.pause(began.elapsed() * REST);
            if self.published.is_closed() {
                return Ok(None);
            }
        }
        if directory.entries() != (first..end) {
            return Err(damaged(plain, length, &PackFault::Block));
        }
        file.sync()?;
        Ok(Some(stored_end))
    }

    /// Compares the packed segment with the plain one, and gives it its name.
    fn put_in_place(
        &self,
        (entries, after): (Range<u64>, u64),
        plain: &SegmentFile,
        beside: &Path,
    ) -> Result<Packed, StoreError> {
        let (first, before) = (entries.start, plain.len()?);
        if !self.is_same(first, plain, beside)? {
            return Ok(Packed::Void);
        }
        let _alone = self.control.lock();
        if self.log.is_changed(first) {
            return Ok(Packed::Void);
        }
        self.log.put_packed_in_place(entries, beside)?;
        Ok(Packed::Done { before, after })
    }

    /// Whether the packed segment stands for all bytes of the plain one; false as well where the ledger
    /// closes.
    fn is_same(&self, first: u64, plain: &SegmentFile, beside: &Path) -> Result<bool, StoreError> {
        let packed = self.log.segments().open_at(beside, first)?;
        let length = plain.len()?;
        let mut same = packed.is_packed() && packed.len()? == length;
        let mut offset = 0;
        while same && offset < length {
            let began = Instant::now();
            let wanted = usize::try_from(length - offset).unwrap_or(usize::MAX);
            let mut one = vec![0; wanted.min(CHUNK_BYTES)];
            let mut other = one.clone();
            plain.read_at(&mut one, offset)?;
            packed.read_at(&mut other, offset)?;
            same = one == other;
            offset += one.len() as u64;
            self.published.pause(began.elapsed() * REST);
            if self.published.is_closed() {
                return Ok(false);
            }
        }
        Ok(same)
    }
}

fn damaged(plain: &SegmentFile, offset: u64, fault: &PackFault) -> StoreError {
    StoreError::Damaged {
        path: plain.place(),
        offset,
        problem: with_causes(fault),
    }
}
