//! Frames: how an envelope lies in a segment.
//!
//! `length u32 LE || CRC-32C u32 LE || envelope`. The checksum covers the entry's index (u64 LE),
//! the length and the envelope, so that neither zeros, nor half a frame, nor the frame of another
//! entry pass for a good one.

use crate::envelope::MAX_ENVELOPE_BYTES;

/// Bytes before the envelope.
pub(crate) const HEADER_BYTES: usize = 8;

/// Bytes of the longest frame.
pub(crate) const MAX_FRAME_BYTES: usize = HEADER_BYTES + MAX_ENVELOPE_BYTES;

/// Why there is no good frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    /// The bytes end within the frame.
    #[error("the frame ends too early")]
    Cut,
    /// No envelope is that long.
    #[error("the frame claims a length of {0} bytes")]
    Length(u32),
    /// Other bytes than were written, or those of another entry.
    #[error("the frame's checksum does not match")]
    Checksum,
}

/// Appends the frame of entry `index` to `target`.
pub(crate) fn write_frame(target: &mut Vec<u8>, index: u64, envelope: &[u8]) {
    // Envelopes are at most a mebibyte, which validation sees to.
    let length = u32::try_from(envelope.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    target.extend_from_slice(&length);
    target.extend_from_slice(&checksum(index, length, envelope).to_le_bytes());
    target.extend_from_slice(envelope);
}

/// The envelope in the frame of entry `index` with which `bytes` begin.
pub(crate) fn read_frame(bytes: &[u8], index: u64) -> Result<&[u8], FrameFault> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(FrameFault::Cut)?;
    let claimed = u32::from_le_bytes(*length);
    let envelope_bytes = claimed as usize;
    if envelope_bytes == 0 || envelope_bytes > MAX_ENVELOPE_BYTES {
        return Err(FrameFault::Length(claimed));
    }
    let (expected, rest) = rest.split_first_chunk::<4>().ok_or(FrameFault::Cut)?;
    let envelope = rest.get(..envelope_bytes).ok_or(FrameFault::Cut)?;
    if checksum(index, *length, envelope) != u32::from_le_bytes(*expected) {
        return Err(FrameFault::Checksum);
    }
    Ok(envelope)
}

fn checksum(index: u64, length: [u8; 4], envelope: &[u8]) -> u32 {
    let mut header = [0; 12];
    header[..8].copy_from_slice(&index.to_le_bytes());
    header[8..].copy_from_slice(&length);
    crc32c::crc32c_append(crc32c::crc32c(&header), envelope)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(index: u64, envelope: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, index, envelope);
        bytes
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(read_frame(&[0; 64], 0), Err(FrameFault::Length(0)));
    }

    #[test]
    fn the_frame_of_another_entry_is_refused() {
        assert_eq!(read_frame(&frame(4, b"x"), 5), Err(FrameFault::Checksum));
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        let mut bytes = frame(4, b"x");
        bytes[3] = 0xff;
        assert_eq!(read_frame(&bytes, 4), Err(FrameFault::Length(0xff00_0001)));
    }

    proptest! {
        #[test]
        fn a_frame_is_read_whole_or_not_at_all(
            index: u64,
            envelope in proptest::collection::vec(any::<u8>(), 1..200),
            cut in 0_usize..200,
            position in 0_usize..1_000,
            flip in 1_u8..=255,
        ) {
            let good = frame(index, &envelope);
            prop_assert_eq!(read_frame(&good, index).unwrap(), &envelope);
            prop_assert_eq!(read_frame(&good[..cut % good.len()], index), Err(FrameFault::Cut));
            let mut bad = good.clone();
            let position = position % bad.len();
            bad[position] ^= flip;
            prop_assert!(read_frame(&bad, index).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, index: u64) {
            let _ = read_frame(&bytes, index);
        }
    }
}
