//! Packed segments on the disk: reading them as the plain ones they stand for, and changing them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use fieldledger_formats::packed::{self, Directory, END_LENGTH, HEADER_LENGTH, PackFault};
use parking_lot::Mutex;

use super::disk::{Disk, Durability};
use super::segments::StoredSegment;
use crate::error::{StoreError, with_causes};

/// Unpacked blocks that are kept, 128 KiB each: what is read next is often in the same.
const BLOCKS: usize = 24;

/// A packed segment that is open.
#[derive(Debug)]
pub(crate) struct PackedSegment {
    stored: StoredSegment,
    directory: Directory,
    blocks: Blocks,
}

/// The blocks that were read last, of all segments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blocks(Arc<Mutex<VecDeque<Unpacked>>>);

#[derive(Debug)]
struct Unpacked {
    segment: u64,
    /// Where it is in the packed segment, and its checksum: another version of it is another block.
    block: packed::Block,
    frames: Arc<Vec<u8>>,
}

impl PackedSegment {
    /// Reads the directory of a segment; gives the segment back where it is a plain one.
    pub(crate) fn open(
        stored: StoredSegment,
        first: u64,
        blocks: Blocks,
    ) -> Result<Result<Self, StoredSegment>, StoreError> {
        let length = stored.len()?;
        if length < (HEADER_LENGTH + END_LENGTH) as u64 {
            return Ok(Err(stored));
        }
        let mut beginning = [0; HEADER_LENGTH];
        stored.read_at(&mut beginning, 0)?;
        if !packed::is_packed(&beginning) {
            return Ok(Err(stored));
        }
        let mut end = [0; END_LENGTH];
        stored.read_at(&mut end, length - END_LENGTH as u64)?;
        let start = length
            .checked_sub(Directory::encoded_length(end))
            .filter(|&start| start >= HEADER_LENGTH as u64);
        let directory = match start {
            None => Err(PackFault::Directory),
            Some(start) => {
                let mut encoded = vec![0; usize::try_from(length - start).unwrap_or(usize::MAX)];
                stored.read_at(&mut encoded, start)?;
                Directory::decode(first, beginning, &encoded, length)
            }
        };
        let directory = directory.map_err(|fault| StoreError::Damaged {
            path: stored.place(),
            offset: start.unwrap_or(0),
            problem: with_causes(&fault),
        })?;
        Ok(Ok(Self {
            stored,
            directory,
            blocks,
        }))
    }

    /// Which blocks it has.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The file or object.
    pub(crate) fn stored(&self) -> &StoredSegment {
        &self.stored
    }

    /// Fills `bytes` with those of the plain segment, from `offset` on.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), StoreError> {
        let mut filled = 0;
        while filled < bytes.len() {
            let position = offset + filled as u64;
            let number = self.directory.block_with(position);
            let number = number.ok_or_else(|| StoreError::Damaged {
                path: self.stored.place(),
                offset: 0,
                problem: format!("it has no byte {position} of the segment that was packed"),
            })?;
            let block = &self.directory.blocks()[number];
            let frames = self.frames(number)?;
            let start = usize::try_from(position - block.plain.start).unwrap_or(usize::MAX);
            let available = frames.get(start..).unwrap_or_default();
            let count = available.len().min(bytes.len() - filled);
            bytes[filled..filled + count].copy_from_slice(&available[..count]);
            filled += count;
        }
        Ok(())
    }

    /// The frames of at most `most` entries from `entry` on, as far as its block has them; how many
    /// they are, and where the first begins in the plain segment.
    pub(crate) fn frames_from(
        &self,
        entry: u64,
        most: u64,
    ) -> Result<(Vec<u8>, u64, u64), StoreError> {
        let found = self.directory.block_of(entry);
        let number = found.ok_or_else(|| StoreError::Damaged {
            path: self.stored.place(),
            offset: 0,
            problem: format!("it lacks entry {entry}"),
        })?;
        let block = &self.directory.blocks()[number];
        let frames = self.frames(number)?;
        let start = packed::start_of_frame(&frames, entry - block.entries.start);
        let start = start.ok_or_else(|| self.damaged(number, &PackFault::Block))?;
        let entries = most.min(block.entries.end - entry);
        let wanted = &frames[start..];
        let end = packed::start_of_frame(wanted, entries).unwrap_or(wanted.len());
        let offset = block.plain.start + start as u64;
        Ok((wanted[..end].to_vec(), entries, offset))
    }

    /// The frames of a block.
    fn frames(&self, number: usize) -> Result<Arc<Vec<u8>>, StoreError> {
        let (block, segment) = (
            &self.directory.blocks()[number],
            self.directory.entries().start,
        );
        if let Some(frames) = self.blocks.find(segment, block) {
            return Ok(frames);
        }
        let stored = self.stored_block(number)?;
        let frames = block.unpack(&stored);
        let frames = Arc::new(frames.map_err(|fault| self.damaged(number, &fault))?);
        self.blocks.keep(Unpacked {
            segment,
            block: block.clone(),
            frames: Arc::clone(&frames),
        });
        Ok(frames)
    }

    fn stored_block(&self, number: usize) -> Result<Vec<u8>, StoreError> {
        let block = &self.directory.blocks()[number];
        let mut stored = vec![0; block.stored_bytes()];
        self.stored.read_at(&mut stored, block.stored.start)?;
        Ok(stored)
    }

    fn damaged(&self, number: usize, fault: &PackFault) -> StoreError {
        let block = &self.directory.blocks()[number];
        StoreError::Damaged {
            path: self.stored.place(),
            offset: block.stored.start,
            problem: format!(
                "the block of the entries {} to {}: {}",
                block.entries.start,
                block.entries.end - 1,
                with_causes(fault)
            ),
        }
    }

    /// The same segment with another frame at `offset` of the plain one, as long as the one there. Only
    /// the block that holds it is packed anew.
    fn with_frame(&self, offset: u64, frame: &[u8]) -> Result<Vec<u8>, StoreError> {
        let first = self.directory.entries().start;
        let changed = self.directory.block_with(offset);
        let mut directory = Directory::new(first);
        let mut bytes = packed::header(first).to_vec();
        for (number, block) in self.directory.blocks().iter().enumerate() {
            let failed = |fault: PackFault| self.damaged(number, &fault);
            if changed == Some(number) {
                let mut frames = self.frames(number)?.to_vec();
                let start = usize::try_from(offset - block.plain.start).unwrap_or(usize::MAX);
                let end = start.saturating_add(frame.len());
                let target = frames.get_mut(start..end);
                target
                    .ok_or_else(|| failed(PackFault::Block))?
                    .copy_from_slice(frame);
                bytes.extend_from_slice(&directory.pack(&frames).map_err(failed)?);
            } else {
                directory.take_over(block).map_err(failed)?;
                bytes.extend_from_slice(&self.stored_block(number)?);
            }
        }
        let encoded = directory.encode();
        bytes.extend_from_slice(&encoded.map_err(|fault| self.damaged(0, &fault))?);
        Ok(bytes)
    }

    /// Puts another frame at `offset` of the plain segment, durably: after a crash the segment is the
    /// old or the new one. Of the old frame nothing is left.
    pub(crate) fn replace_frame(
        &self,
        disk: &Disk,
        path: &Path,
        offset: u64,
        frame: &[u8],
    ) -> Result<(), StoreError> {
        let bytes = self.with_frame(offset, frame)?;
        disk.replace(path, &bytes, 0o644, Durability::Power)?;
        self.blocks.forget(self.directory.entries().start);
        Ok(())
    }
}

impl Blocks {
    fn find(&self, segment: u64, wanted: &packed::Block) -> Option<Arc<Vec<u8>>> {
        let mut blocks = self.0.lock();
        let position = blocks
            .iter()
            .position(|kept| kept.segment == segment && kept.block == *wanted)?;
        let found = blocks.remove(position)?;
        let frames = Arc::clone(&found.frames);
        blocks.push_back(found);
        Some(frames)
    }

    fn keep(&self, unpacked: Unpacked) {
        let mut blocks = self.0.lock();
        blocks.push_back(unpacked);
        if blocks.len() > BLOCKS {
            blocks.pop_front();
        }
    }

    /// Keeps nothing of a segment that is another one now.
    pub(crate) fn forget(&self, segment: u64) {
        let mut blocks = self.0.lock();
        blocks.retain(|kept| kept.segment != segment);
    }
}

/// The packed form of a whole plain segment.
pub(crate) fn pack_whole(first: u64, frames: &[u8]) -> Result<Vec<u8>, PackFault> {
    let mut directory = Directory::new(first);
    let mut bytes = packed::header(first).to_vec();
    let mut rest = frames;
    while !rest.is_empty() {
        let end = packed::full_block(rest).unwrap_or(rest.len());
        let (block, after) = rest.split_at(end);
        bytes.extend_from_slice(&directory.pack(block)?);
        rest = after;
    }
    bytes.extend_from_slice(&directory.encode()?);
    Ok(bytes)
}
