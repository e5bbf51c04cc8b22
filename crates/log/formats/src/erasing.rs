//! The plan of an erasure: the frame that is to be written over another. A crash may tear the
//! overwriting, so the plan is durable before it begins, and a start carries it out again.

use crate::frame::{Frame, read_frame};

/// Bytes before the frame: checksum, entry, segment, offset.
const HEAD_BYTES: usize = 4 + 3 * 8;

/// Which frame is written over which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasurePlan<'a> {
    /// The entry that is erased.
    pub entry: u64,
    /// First entry of the segment.
    pub segment: u64,
    /// Where in it the frame begins.
    pub offset: u64,
    /// The frame of an erased entry.
    pub frame: &'a [u8],
}

impl<'a> ErasurePlan<'a> {
    /// `CRC-32C of the rest u32 LE || entry || segment || offset, each u64 LE || frame`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        for number in [self.entry, self.segment, self.offset] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(self.frame);
        let checksum = crc32c::crc32c(&bytes[4..]).to_le_bytes();
        bytes[..4].copy_from_slice(&checksum);
        bytes
    }

    /// Reads a plan; none where the bytes are not a whole one.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (head, frame) = bytes.split_at_checked(HEAD_BYTES)?;
        let (checksum, numbers) = head.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*checksum) != crc32c::crc32c(&bytes[4..]) {
            return None;
        }
        let (numbers, _) = numbers.as_chunks::<8>();
        let [entry, segment, offset] = *numbers else {
            return None;
        };
        let plan = Self {
            entry: u64::from_le_bytes(entry),
            segment: u64::from_le_bytes(segment),
            offset: u64::from_le_bytes(offset),
            frame,
        };
        let (read, length) = read_frame(frame, plan.entry).ok()?;
        (matches!(read, Frame::Erased(_)) && length == frame.len()).then_some(plan)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::frame::{Erased, erased_frame};
    use fieldledger_tlog::Leaf;

    #[test]
    fn a_plan_is_read_whole_or_not_at_all() {
        let remains = Erased {
            leaf: Leaf {
                envelope_hash: [1; 32],
                index: 3,
                received_at: 4,
            },
            marker: 5,
            origin: Some(("p", 6)),
        };
        let frame = erased_frame(3, 100, &remains).unwrap();
        let plan = ErasurePlan {
            entry: 3,
            segment: 0,
            offset: 77,
            frame: &frame,
        };
        let bytes = plan.encode();
        assert_eq!(ErasurePlan::decode(&bytes), Some(plan));
        for position in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[position] ^= 1;
            assert_eq!(ErasurePlan::decode(&bad), None, "byte {position}");
            let cut = &bytes[..position];
            assert_eq!(ErasurePlan::decode(cut), None, "cut at {position}");
        }
    }
}
