//! Packed segments: the frames of a full segment, compressed in blocks.
//!
//! A packed segment stands for the bytes of a plain one, and gives them back to the bit. So an entry
//! keeps its place: offsets are those in the plain segment, and only who reads the file knows that it
//! is packed.
//!
//! ```text
//! header     "FLPACK" 0x00 0x01 || first entry u64 LE
//! blocks     each a zstd frame of: length field u32 LE of each frame || body of each frame
//! directory  for each block: entries || bytes of its frames || bytes of the block || checksum
//! end        number of blocks || checksum of header, directory and that number
//! ```
//!
//! Numbers of directory and end are u32 LE, checksums CRC-32C. A block's checksum covers its first
//! entry (u64 LE), the three numbers before it in the directory, and the block: a block in another
//! place is not a good one. The checksums of frames are left out, because they follow from the rest.
//! They are random to a compressor, and would be a twentieth of what is stored.
//!
//! A plain segment never begins like this: no frame has a length of "FLPA".

use std::ops::Range;

use crate::frame::{FrameFault, HEADER_BYTES, MAX_FRAME_BYTES, length_field, read_frame, write};

/// What a packed segment begins with. The last byte is the version.
const MAGIC: [u8; 8] = *b"FLPACK\0\x01";

/// Bytes before the first block.
pub const HEADER_LENGTH: usize = MAGIC.len() + 8;

/// Bytes of the end.
pub const END_LENGTH: usize = 4 + 4;

/// Bytes of a block in the directory.
const PLACE_LENGTH: usize = 4 * 4;

/// A block is full once its frames have so many bytes. Of readings these are about 180; twice as many
/// make a block 1 % smaller, and reading a single entry twice as long.
pub const BLOCK_BYTES: usize = 128 * 1024;

/// Bytes of the frames of the largest block.
const MAX_BLOCK_BYTES: usize = BLOCK_BYTES + MAX_FRAME_BYTES;

/// zstd's fastest usual level. On readings level 3 takes a third longer and saves nothing.
const LEVEL: i32 = 1;

/// Why something is not a packed segment, or not a block of it.
#[derive(Debug, thiserror::Error)]
pub enum PackFault {
    /// It has another beginning.
    #[error("it does not begin as a packed segment of this version does")]
    Header,
    /// It is the segment of other entries.
    #[error("it begins with entry {found}, not {expected}")]
    OtherEntries {
        /// The first entry that the segment should have.
        expected: u64,
        /// The first entry it says it has.
        found: u64,
    },
    /// The directory is not as it was written, or does not fit the file.
    #[error("the directory of its blocks is damaged")]
    Directory,
    /// The bytes of a block are not those that were written.
    #[error("the block's checksum does not match")]
    Checksum,
    /// A block holds something else than the directory says.
    #[error("the block does not hold what the directory says")]
    Block,
    /// What is to be packed is no sequence of good frames.
    #[error("entry {entry}: {fault}")]
    Frame {
        /// Whose frame it is.
        entry: u64,
        /// What is wrong with it.
        fault: FrameFault,
    },
    /// The compressor failed.
    #[error("zstd failed")]
    Zstd(#[source] std::io::Error),
}

/// Whether a file that begins like this is a packed segment, of any version.
#[must_use]
pub fn is_packed(beginning: &[u8]) -> bool {
    beginning.starts_with(&MAGIC[..MAGIC.len() - 1])
}

/// The beginning of the packed segment whose first entry is `first`.
#[must_use]
pub fn header(first: u64) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[MAGIC.len()..].copy_from_slice(&first.to_le_bytes());
    header
}

/// A block, and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its entries.
    pub entries: Range<u64>,
    /// Which bytes of the plain segment its frames are.
    pub plain: Range<u64>,
    /// Which bytes of the packed segment it is.
    pub stored: Range<u64>,
    checksum: u32,
}

/// Which blocks there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    first: u64,
    blocks: Vec<Block>,
}

impl Directory {
    /// Of a packed segment without blocks.
    #[must_use]
    pub fn new(first: u64) -> Self {
        Self {
            first,
            blocks: Vec::new(),
        }
    }

    /// The blocks, in order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The entries of the segment.
    #[must_use]
    pub fn entries(&self) -> Range<u64> {
        let end = self
            .blocks
            .last()
            .map_or(self.first, |last| last.entries.end);
        self.first..end
    }

    /// Bytes of the plain segment.
    #[must_use]
    pub fn plain_bytes(&self) -> u64 {
        self.blocks.last().map_or(0, |last| last.plain.end)
    }

    /// The number of the block that has the byte `offset` of the plain segment.
    #[must_use]
    pub fn block_with(&self, offset: u64) -> Option<usize> {
        let number = self
            .blocks
            .partition_point(|block| block.plain.end <= offset);
        (number < self.blocks.len()).then_some(number)
    }

    /// The number of the block that has this entry.
    #[must_use]
    pub fn block_of(&self, entry: u64) -> Option<usize> {
        let number = self
            .blocks
            .partition_point(|block| block.entries.end <= entry);
        let block = self.blocks.get(number)?;
        block.entries.contains(&entry).then_some(number)
    }

    /// Packs the next frames into a block. There is at least one, and they are at most as many bytes
    /// as [`BLOCK_BYTES`] and one more frame.
    ///
    /// # Errors
    ///
    /// [`PackFault::Frame`] where these are not the frames of the next entries, [`PackFault::Block`]
    /// where they are too many.
    pub fn pack(&mut self, frames: &[u8]) -> Result<Vec<u8>, PackFault> {
        let first = self.entries().end;
        let (entries, columns) = split(first, frames)?;
        let stored = zstd::bulk::compress(&columns, LEVEL).map_err(PackFault::Zstd)?;
        let plain = self.plain_bytes();
        let begin = self.blocks_end();
        let entries_end = first + u64::from(entries);
        let mut block = Block {
            entries: first..entries_end,
            plain: plain..plain + frames.len() as u64,
            stored: begin..begin + stored.len() as u64,
            checksum: 0,
        };
        block.checksum = block.checksum_of(&stored)?;
        self.blocks.push(block);
        Ok(stored)
    }

    /// Notes a block that is taken over from another packed segment as it is.
    ///
    /// # Errors
    ///
    /// [`PackFault::Block`] where it does not begin with the next entry.
    pub fn take_over(&mut self, block: &Block) -> Result<(), PackFault> {
        if block.entries.start != self.entries().end {
            return Err(PackFault::Block);
        }
        let (plain, stored) = (self.plain_bytes(), self.blocks_end());
        self.blocks.push(Block {
            entries: block.entries.clone(),
            plain: plain..plain + (block.plain.end - block.plain.start),
            stored: stored..stored + (block.stored.end - block.stored.start),
            checksum: block.checksum,
        });
        Ok(())
    }

    /// Where the blocks end in the packed segment.
    fn blocks_end(&self) -> u64 {
        let last = self.blocks.last();
        last.map_or(HEADER_LENGTH as u64, |last| last.stored.end)
    }

    /// What follows the blocks.
    ///
    /// # Errors
    ///
    /// [`PackFault::Block`] where there are more than a directory can name.
    pub fn encode(&self) -> Result<Vec<u8>, PackFault> {
        let mut bytes = Vec::with_capacity(self.blocks.len() * PLACE_LENGTH + END_LENGTH);
        for block in &self.blocks {
            bytes.extend_from_slice(&block.numbers()?);
            bytes.extend_from_slice(&block.checksum.to_le_bytes());
        }
        let count = u32::try_from(self.blocks.len()).map_err(|_| PackFault::Block)?;
        bytes.extend_from_slice(&count.to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&header(self.first)), &bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        Ok(bytes)
    }

    /// Bytes that [`Directory::decode`] needs of the end of a file, whose last [`END_LENGTH`] bytes
    /// are `end`.
    #[must_use]
    pub fn encoded_length(end: [u8; END_LENGTH]) -> u64 {
        let [one, two, three, four, ..] = end;
        let count = u32::from_le_bytes([one, two, three, four]);
        u64::from(count) * PLACE_LENGTH as u64 + END_LENGTH as u64
    }

    /// Reads the directory of the segment that should begin with entry `first`. `beginning` is its
    /// header, `encoded` what follows its blocks, and `length` how long it is.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn decode(
        first: u64,
        beginning: [u8; HEADER_LENGTH],
        encoded: &[u8],
        length: u64,
    ) -> Result<Self, PackFault> {
        let (magic, found) = beginning.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(PackFault::Header);
        }
        let found = found.first_chunk().copied().map_or(0, u64::from_le_bytes);
        let (covered, checksum) = encoded
            .split_last_chunk::<4>()
            .ok_or(PackFault::Directory)?;
        let expected = crc32c::crc32c_append(crc32c::crc32c(&beginning), covered);
        if u32::from_le_bytes(*checksum) != expected {
            return Err(PackFault::Directory);
        }
        if found != first {
            return Err(PackFault::OtherEntries {
                expected: first,
                found,
            });
        }
        let (places, count) = covered
            .split_last_chunk::<4>()
            .ok_or(PackFault::Directory)?;
        let (places, rest) = places.as_chunks::<PLACE_LENGTH>();
        if !rest.is_empty() || places.len() as u64 != u64::from(u32::from_le_bytes(*count)) {
            return Err(PackFault::Directory);
        }
        let mut directory = Self::new(first);
        for place in places {
            let block = directory.next_block(place).ok_or(PackFault::Directory)?;
            directory.blocks.push(block);
        }
        if directory.blocks_end().checked_add(encoded.len() as u64) != Some(length) {
            return Err(PackFault::Directory);
        }
        Ok(directory)
    }

    fn next_block(&self, place: &[u8; PLACE_LENGTH]) -> Option<Block> {
        let (numbers, _) = place.as_chunks::<4>();
        let [entries, plain, stored, checksum] = *numbers else {
            return None;
        };
        let after = |start: u64, length: [u8; 4]| -> Option<Range<u64>> {
            let length = u64::from(u32::from_le_bytes(length));
            (length > 0).then_some(start..start.checked_add(length)?)
        };
        let block = Block {
            entries: after(self.entries().end, entries)?,
            plain: after(self.plain_bytes(), plain)?,
            stored: after(self.blocks_end(), stored)?,
            checksum: u32::from_le_bytes(checksum),
        };
        let frames = block.plain.end - block.plain.start;
        (frames <= MAX_BLOCK_BYTES as u64).then_some(block)
    }
}

impl Block {
    /// Its bytes in the packed segment.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        usize::try_from(self.stored.end - self.stored.start).unwrap_or(usize::MAX)
    }

    /// The frames that it holds, from `stored`, its bytes in the packed segment.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes.
    pub fn unpack(&self, stored: &[u8]) -> Result<Vec<u8>, PackFault> {
        if stored.len() != self.stored_bytes() || self.checksum_of(stored)? != self.checksum {
            return Err(PackFault::Checksum);
        }
        let entries = usize::try_from(self.entries.end - self.entries.start);
        let plain = usize::try_from(self.plain.end - self.plain.start);
        let (Ok(entries), Ok(plain)) = (entries, plain) else {
            return Err(PackFault::Block);
        };
        // Each frame's header has the length that is stored, and a checksum that is not.
        let headers = entries.checked_mul(HEADER_BYTES);
        let columns = headers
            .filter(|headers| plain <= MAX_BLOCK_BYTES && *headers < plain)
            .map(|headers| plain - headers / 2)
            .ok_or(PackFault::Block)?;
        let unpacked = zstd::bulk::decompress(stored, columns).map_err(PackFault::Zstd)?;
        if unpacked.len() != columns {
            return Err(PackFault::Block);
        }
        join(self.entries.clone(), &unpacked, plain)
    }

    fn numbers(&self) -> Result<[u8; 12], PackFault> {
        let mut numbers = [0; 12];
        let ranges = [&self.entries, &self.plain, &self.stored];
        for (target, range) in numbers.chunks_mut(4).zip(ranges) {
            let length = u32::try_from(range.end - range.start).map_err(|_| PackFault::Block)?;
            target.copy_from_slice(&length.to_le_bytes());
        }
        Ok(numbers)
    }

    fn checksum_of(&self, stored: &[u8]) -> Result<u32, PackFault> {
        let checksum = crc32c::crc32c(&self.entries.start.to_le_bytes());
        let checksum = crc32c::crc32c_append(checksum, &self.numbers()?);
        Ok(crc32c::crc32c_append(checksum, stored))
    }
}

/// How many of the bytes are the whole frames with which a block is full; none where they are too few.
/// What claims to be a longer frame than there is counts as one that is not there yet.
#[must_use]
pub fn full_block(frames: &[u8]) -> Option<usize> {
    let mut end = 0;
    while end < BLOCK_BYTES {
        let rest = frames.get(end..)?;
        let (length, _) = length_field(rest)?;
        end += HEADER_BYTES + length;
        if end > frames.len() {
            return None;
        }
    }
    Some(end)
}

/// Where the frame number `number` begins in these frames; none where there are not as many.
#[must_use]
pub fn start_of_frame(frames: &[u8], number: u64) -> Option<usize> {
    let mut start = 0;
    for _ in 0..number {
        let (length, _) = length_field(frames.get(start..)?)?;
        start += HEADER_BYTES + length;
    }
    (start < frames.len()).then_some(start)
}

/// Takes frames apart: how many there are, their length fields, and then their bodies.
fn split(first: u64, frames: &[u8]) -> Result<(u32, Vec<u8>), PackFault> {
    if frames.is_empty() || frames.len() > MAX_BLOCK_BYTES {
        return Err(PackFault::Block);
    }
    let mut lengths = Vec::new();
    let mut bodies = Vec::with_capacity(frames.len());
    let mut rest = frames;
    let mut entries = 0;
    while !rest.is_empty() {
        let entry = first + u64::from(entries);
        let (_, length) =
            read_frame(rest, entry).map_err(|fault| PackFault::Frame { entry, fault })?;
        let (frame, after) = rest.split_at(length);
        let (header, body) = frame.split_at(HEADER_BYTES);
        lengths.extend_from_slice(&header[..4]);
        bodies.extend_from_slice(body);
        entries += 1;
        rest = after;
    }
    lengths.extend_from_slice(&bodies);
    Ok((entries, lengths))
}

/// The reverse of [`split`], for `plain` bytes of frames.
fn join(entries: Range<u64>, columns: &[u8], plain: usize) -> Result<Vec<u8>, PackFault> {
    let count = usize::try_from(entries.end - entries.start).map_err(|_| PackFault::Block)?;
    let lengths = count.checked_mul(4).ok_or(PackFault::Block)?;
    let (lengths, mut bodies) = columns.split_at_checked(lengths).ok_or(PackFault::Block)?;
    let (lengths, _) = lengths.as_chunks::<4>();
    let mut frames = Vec::with_capacity(plain);
    for (entry, field) in entries.zip(lengths) {
        let (length, _) = length_field(field).ok_or(PackFault::Block)?;
        let (body, after) = bodies.split_at_checked(length).ok_or(PackFault::Block)?;
        write(&mut frames, entry, u32::from_le_bytes(*field), body);
        bodies = after;
    }
    if !bodies.is_empty() || frames.len() != plain {
        return Err(PackFault::Block);
    }
    Ok(frames)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::frame::{Erased, erased_frame, write_frame};
    use fieldledger_chance::proptest_config;
    use fieldledger_tlog::Leaf;
    use proptest::prelude::*;

    fn erased(entry: u64) -> Vec<u8> {
        let remains = Erased {
            leaf: Leaf {
                envelope_hash: [7; 32],
                index: entry,
                received_at: 9,
            },
            marker: entry + 1,
            origin: Some(("p", entry)),
        };
        erased_frame(entry, 300, &remains).unwrap()
    }

    /// The frames of these envelopes; an entry without one was erased.
    fn frames(first: u64, envelopes: &[Option<Vec<u8>>]) -> Vec<u8> {
        let mut frames = Vec::new();
        for (entry, envelope) in (first..).zip(envelopes) {
            match envelope {
                Some(envelope) => write_frame(&mut frames, entry, envelope),
                None => frames.extend_from_slice(&erased(entry)),
            }
        }
        frames
    }

    /// A packed segment with a block for each of these.
    fn packed(first: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
        let mut directory = Directory::new(first);
        let mut bytes = header(first).to_vec();
        for block in blocks {
            bytes.extend_from_slice(&directory.pack(block).unwrap());
        }
        bytes.extend_from_slice(&directory.encode().unwrap());
        bytes
    }

    fn unpacked(first: u64, bytes: &[u8]) -> Result<Vec<u8>, PackFault> {
        let beginning = *bytes.first_chunk().ok_or(PackFault::Header)?;
        let end = *bytes.last_chunk().ok_or(PackFault::Directory)?;
        let encoded = usize::try_from(Directory::encoded_length(end)).unwrap();
        let start = bytes
            .len()
            .checked_sub(encoded)
            .ok_or(PackFault::Directory)?;
        let encoded = &bytes[start..];
        let directory = Directory::decode(first, beginning, encoded, bytes.len() as u64)?;
        let mut frames = Vec::new();
        for block in directory.blocks() {
            let stored = block.stored.start as usize..block.stored.end as usize;
            frames.extend_from_slice(&block.unpack(&bytes[stored])?);
        }
        assert_eq!(frames.len() as u64, directory.plain_bytes());
        Ok(frames)
    }

    fn envelopes() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
        let envelope = proptest::collection::vec(any::<u8>(), 1..200);
        let envelope = proptest::option::weighted(0.8, envelope);
        proptest::collection::vec(envelope, 1..40)
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_frames_come_out_as_they_went_in(
            first in 0..u64::MAX / 2,
            blocks in proptest::collection::vec(envelopes(), 0..4),
        ) {
            let mut next = first;
            let mut all = Vec::new();
            for block in &blocks {
                all.push(frames(next, block));
                next += block.len() as u64;
            }
            let bytes = packed(first, &all);
            prop_assert!(is_packed(&bytes));
            prop_assert_eq!(unpacked(first, &bytes).unwrap(), all.concat());
            prop_assert!(unpacked(first + 1, &bytes).is_err());
        }

        #[test]
        fn no_flipped_bit_and_no_cut_passes(
            envelopes in envelopes(),
            position: prop::sample::Index,
            flip in 1_u8..=255,
        ) {
            let good = packed(5, &[frames(5, &envelopes)]);
            let mut bad = good.clone();
            let position = position.index(bad.len());
            bad[position] ^= flip;
            prop_assert!(unpacked(5, &bad).is_err());
            prop_assert!(unpacked(5, &good[..position]).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, length: u64, entries in 1_u64..50, plain in 1_u64..10_000) {
            let _ = Directory::decode(0, header(0), &bytes, length);
            let _ = full_block(&bytes);
            let mut block = Block {
                entries: 0..entries,
                plain: 0..plain,
                stored: 0..bytes.len() as u64,
                checksum: 0,
            };
            block.checksum = block.checksum_of(&bytes).unwrap();
            let _ = block.unpack(&bytes);
            let stored = zstd::bulk::compress(&bytes, 1).unwrap();
            block.stored = 0..stored.len() as u64;
            block.checksum = block.checksum_of(&stored).unwrap();
            let _ = block.unpack(&stored);
        }
    }

    #[test]
    fn a_block_in_the_place_of_another_is_refused() {
        let blocks = [
            frames(0, &[Some(vec![1; 50])]),
            frames(1, &[Some(vec![2; 50])]),
        ];
        let mut directory = Directory::new(0);
        let stored: Vec<_> = blocks
            .iter()
            .map(|block| directory.pack(block).unwrap())
            .collect();
        let [one, two] = directory.blocks() else {
            panic!("there are two");
        };
        assert_eq!(one.unpack(&stored[0]).unwrap(), blocks[0]);
        assert!(matches!(two.unpack(&stored[0]), Err(PackFault::Checksum)));
    }

    #[test]
    fn what_is_damaged_is_not_packed() {
        let mut bytes = frames(3, &[Some(vec![1; 50]), Some(vec![2; 50])]);
        bytes[70] ^= 1;
        let fault = Directory::new(3).pack(&bytes).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "entry 4: the frame's checksum does not match"
        );
        assert!(Directory::new(3).pack(&[]).is_err());
    }

    #[test]
    fn a_block_is_full_with_the_frame_that_exceeds_it() {
        let many = frames(0, &vec![Some(vec![1; 1_000]); 200]);
        let end = full_block(&many).unwrap();
        assert_eq!((end - 1) / BLOCK_BYTES, 1);
        assert_eq!(end % 1_008, 0);
        assert_eq!(full_block(&many[..end - 1]), None);
        assert_eq!(full_block(&many[..end]), Some(end));
    }

    #[test]
    fn a_frame_in_a_block_is_found() {
        let all = frames(0, &[Some(vec![1; 50]), Some(vec![2; 70]), None]);
        assert_eq!(start_of_frame(&all, 0), Some(0));
        assert_eq!(start_of_frame(&all, 2), Some(58 + 78));
        assert_eq!(start_of_frame(&all, 3), None);
        let mut directory = Directory::new(4);
        directory.pack(&frames(4, &[None, None])).unwrap();
        directory.pack(&frames(6, &[None])).unwrap();
        let blocks = [3, 4, 5, 6, 7].map(|entry| directory.block_of(entry));
        assert_eq!(blocks, [None, Some(0), Some(0), Some(1), None]);
    }

    #[test]
    fn a_plain_segment_is_not_a_packed_one() {
        assert!(!is_packed(&frames(0, &[Some(vec![1; 1_000])])));
        assert!(read_frame(&header(0), 0).is_err());
    }

    #[test]
    fn a_block_taken_over_keeps_its_bytes() {
        let mut directory = Directory::new(0);
        let blocks = [
            frames(0, &[Some(vec![1; 50])]),
            frames(1, &[Some(vec![2; 50])]),
        ];
        let stored: Vec<_> = blocks
            .iter()
            .map(|block| directory.pack(block).unwrap())
            .collect();
        let mut other = Directory::new(0);
        other.take_over(&directory.blocks()[0]).unwrap();
        assert!(other.take_over(&directory.blocks()[0]).is_err());
        other.take_over(&directory.blocks()[1]).unwrap();
        assert_eq!(other, directory);
        assert_eq!(other.blocks()[1].unpack(&stored[1]).unwrap(), blocks[1]);
    }
}
