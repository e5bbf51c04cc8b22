//! Reading a segment from front to back without knowing what is in it, as a start does.

use fieldledger_formats::frame::{Frame, FrameFault, MAX_FRAME_BYTES, read_frame};
use fieldledger_formats::packed::Block;

use super::segments::SegmentFile;
use crate::error::StoreError;

/// Bytes that are read in one go; several of the longest frames.
const CHUNK_BYTES: usize = 4 * MAX_FRAME_BYTES;

/// Goes through the frames of a segment.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    file: SegmentFile,
    length: u64,
    /// Where the next frame begins.
    offset: u64,
    /// Bytes of the file from `chunk_offset` on.
    chunk: Vec<u8>,
    chunk_offset: u64,
}

/// What follows in a segment.
pub(crate) enum Next<'a> {
    /// A good frame.
    Frame(Frame<'a>),
    /// Nothing.
    End,
    /// Something that is not a good frame.
    Bad(FrameFault),
}

impl SegmentScan {
    /// Begins at byte `offset`.
    pub(crate) fn new(file: SegmentFile, offset: u64) -> Result<Self, StoreError> {
        let length = file.len()?;
        Ok(Self {
            file,
            length,
            offset,
            chunk: Vec::new(),
            chunk_offset: offset,
        })
    }

    /// Where the next frame begins, or would.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the plain segment.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Where the next frame begins in the file, for messages: in a packed segment, its block.
    pub(crate) fn stored_offset(&self) -> u64 {
        self.file.stored_offset(self.offset)
    }

    /// Which block the next frame is in; none in a plain segment.
    pub(crate) fn block(&self) -> Option<&Block> {
        self.file.block_with(self.offset)
    }

    /// Whether the segment is packed.
    pub(crate) fn is_packed(&self) -> bool {
        self.file.is_packed()
    }

    /// Goes on at byte `offset`.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.chunk.clear();
        self.chunk_offset = offset;
        self.offset = offset;
    }

    /// The next frame, if it is that of entry `index`.
    pub(crate) fn next(&mut self, index: u64) -> Result<Next<'_>, StoreError> {
        if self.offset >= self.length {
            return Ok(Next::End);
        }
        let enough = match self.file.is_packed() {
            // What is read ends with a block, and no frame is in two.
            true => 1,
            false => MAX_FRAME_BYTES,
        };
        if self.remaining() < enough {
            self.fill()?;
        }
        let start = self.chunk.len() - self.remaining();
        match read_frame(&self.chunk[start..], index) {
            Ok((frame, length)) => {
                self.offset += length as u64;
                Ok(Next::Frame(frame))
            }
            Err(fault) => Ok(Next::Bad(fault)),
        }
    }

    fn remaining(&self) -> usize {
        let used = usize::try_from(self.offset - self.chunk_offset).unwrap_or(usize::MAX);
        self.chunk.len().saturating_sub(used)
    }

    fn fill(&mut self) -> Result<(), StoreError> {
        if self.chunk_offset + self.chunk.len() as u64 >= self.length {
            return Ok(());
        }
        // Block by block, so that only the entries of a damaged one cannot be read.
        let block = self.file.block_with(self.offset);
        let end = block.map_or(self.length, |block| block.plain.end);
        let rest = usize::try_from(end - self.offset).unwrap_or(usize::MAX);
        self.chunk.resize(rest.min(CHUNK_BYTES), 0);
        self.chunk_offset = self.offset;
        let read = self.file.read_at(&mut self.chunk, self.offset);
        if read.is_err() {
            self.chunk.clear();
        }
        read
    }
}
