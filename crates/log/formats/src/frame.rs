//! Frames: how an entry lies in a segment.
//!
//! `length u32 LE || CRC-32C u32 LE || body`. The body is the entry's envelope. The checksum covers
//! the entry's index (u64 LE), the length and the body, so that neither zeros, nor half a frame, nor
//! the frame of another entry pass for a good one.
//!
//! The frame of an erased entry has the highest bit of its length set. Its body is `leaf (49 bytes) ||
//! entry that says so u64 LE || sequence u64 LE || length of the producer u16 LE || producer || zeros`:
//! the tree still has its leaf, and the event is still known when it is delivered again. Written in
//! the place of another frame it is as long as that one; in a segment that is written anew, without
//! zeros.

use fieldledger_tlog::{LEAF_BYTES, Leaf};
use sha2::{Digest, Sha256};

use crate::envelope::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, leaf_of};

/// Bytes before the body.
pub const HEADER_BYTES: usize = 8;

/// Bytes of the longest frame.
pub const MAX_FRAME_BYTES: usize = HEADER_BYTES + MAX_ENVELOPE_BYTES;

/// In the length of an erased frame.
const ERASED: u32 = 1 << 31;

/// Bytes of an erased body before the producer.
const ERASED_HEAD_BYTES: usize = LEAF_BYTES + 8 + 8 + 2;

/// Why there is no good frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The bytes end within the frame.
    #[error("the frame ends too early")]
    Cut,
    /// No envelope is that long.
    #[error("the frame claims a length of {0} bytes")]
    Length(u32),
    /// Other bytes than were written, or those of another entry.
    #[error("the frame's checksum does not match")]
    Checksum,
    /// What is left of an erased entry cannot be read.
    #[error("the frame says that its entry was erased, but does not hold what is left of it")]
    Remains,
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The entry's envelope.
    Envelope(&'a [u8]),
    /// The entry was erased.
    Erased(Erased<'a>),
}

/// What is left of an erased entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased<'a> {
    /// The tree's leaf for the entry.
    pub leaf: Leaf,
    /// The entry that says that this one was erased.
    pub marker: u64,
    /// Producer and sequence, where it had them.
    pub origin: Option<(&'a str, u64)>,
}

impl<'a> Frame<'a> {
    /// The tree's leaf for entry `index`, whose frame this is.
    ///
    /// # Errors
    ///
    /// What is wrong with the envelope.
    pub fn leaf(&self, index: u64) -> Result<Leaf, EnvelopeError> {
        match self {
            Self::Erased(erased) => Ok(erased.leaf),
            Self::Envelope(bytes) => {
                let received_at = Envelope::parse(bytes)?.received_at()?;
                Ok(leaf_of(bytes, index, received_at))
            }
        }
    }

    /// SHA-256 of the envelope, also where it was erased.
    #[must_use]
    pub fn envelope_hash(&self) -> [u8; 32] {
        match self {
            Self::Envelope(bytes) => Sha256::digest(bytes).into(),
            Self::Erased(erased) => erased.leaf.envelope_hash,
        }
    }

    /// The envelope; none where it was erased.
    #[must_use]
    pub fn envelope(&self) -> Option<&'a [u8]> {
        match self {
            Self::Envelope(bytes) => Some(bytes),
            Self::Erased(_) => None,
        }
    }
}

/// Appends the frame of entry `index` to `target`.
pub fn write_frame(target: &mut Vec<u8>, index: u64, envelope: &[u8]) {
    let length = u32::try_from(envelope.len());
    let length = length.expect("an envelope has at most a mebibyte, which validation ensures");
    write(target, index, length, envelope);
}

/// Bytes that the body of such a frame has at least.
#[must_use]
pub fn remains_bytes(erased: &Erased<'_>) -> usize {
    let (producer, _) = erased.origin.unwrap_or_default();
    ERASED_HEAD_BYTES + producer.len()
}

/// The frame that replaces one with a body of `body_bytes`; none where it has too little room, which
/// no envelope has.
#[must_use]
pub fn erased_frame(index: u64, body_bytes: usize, erased: &Erased<'_>) -> Option<Vec<u8>> {
    let (producer, sequence) = erased.origin.unwrap_or_default();
    let mut body = Vec::with_capacity(body_bytes);
    body.extend_from_slice(&erased.leaf.encode());
    body.extend_from_slice(&erased.marker.to_le_bytes());
    body.extend_from_slice(&sequence.to_le_bytes());
    body.extend_from_slice(&u16::try_from(producer.len()).ok()?.to_le_bytes());
    body.extend_from_slice(producer.as_bytes());
    if body.len() > body_bytes {
        return None;
    }
    body.resize(body_bytes, 0);
    let mut frame = Vec::with_capacity(HEADER_BYTES + body_bytes);
    let length = u32::try_from(body_bytes).ok()? | ERASED;
    write(&mut frame, index, length, &body);
    Some(frame)
}

/// The length of the body, and the whole field in which it is written; none where the bytes do not
/// begin a frame.
pub(crate) fn length_field(bytes: &[u8]) -> Option<(usize, u32)> {
    let field = u32::from_le_bytes(*bytes.first_chunk()?);
    let length = (field & !ERASED) as usize;
    (length > 0 && length <= MAX_ENVELOPE_BYTES).then_some((length, field))
}

/// Appends a frame whose length field is `length`.
pub(crate) fn write(target: &mut Vec<u8>, index: u64, length: u32, body: &[u8]) {
    let length = length.to_le_bytes();
    target.extend_from_slice(&length);
    target.extend_from_slice(&checksum(index, length, body).to_le_bytes());
    target.extend_from_slice(body);
}

/// What the frame of entry `index`, with which `bytes` begin, holds, and how long it is.
///
/// # Errors
///
/// [`FrameFault`] says why there is no good frame of that entry.
pub fn read_frame(bytes: &[u8], index: u64) -> Result<(Frame<'_>, usize), FrameFault> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(FrameFault::Cut)?;
    let claimed = u32::from_le_bytes(*length);
    let body_bytes = (claimed & !ERASED) as usize;
    if body_bytes == 0 || body_bytes > MAX_ENVELOPE_BYTES {
        return Err(FrameFault::Length(claimed));
    }
    let (expected, rest) = rest.split_first_chunk::<4>().ok_or(FrameFault::Cut)?;
    let body = rest.get(..body_bytes).ok_or(FrameFault::Cut)?;
    if checksum(index, *length, body) != u32::from_le_bytes(*expected) {
        return Err(FrameFault::Checksum);
    }
    let frame = if claimed & ERASED == 0 {
        Frame::Envelope(body)
    } else {
        Frame::Erased(read_remains(body, index).ok_or(FrameFault::Remains)?)
    };
    Ok((frame, HEADER_BYTES + body_bytes))
}

fn read_remains(body: &[u8], index: u64) -> Option<Erased<'_>> {
    let (head, rest) = body.split_first_chunk::<ERASED_HEAD_BYTES>()?;
    let (leaf, head) = head.split_at(LEAF_BYTES);
    let leaf = Leaf::decode(leaf).ok().filter(|leaf| leaf.index == index)?;
    let (marker, head) = head.split_first_chunk::<8>()?;
    let (sequence, head) = head.split_first_chunk::<8>()?;
    let (producer_bytes, _) = head.split_first_chunk::<2>()?;
    let producer_bytes = usize::from(u16::from_le_bytes(*producer_bytes));
    let (producer, padding) = rest.split_at_checked(producer_bytes)?;
    // Anything else here could be what should be gone.
    if padding.iter().any(|&byte| byte != 0) {
        return None;
    }
    let producer = std::str::from_utf8(producer).ok()?;
    let sequence = u64::from_le_bytes(*sequence);
    Some(Erased {
        leaf,
        marker: u64::from_le_bytes(*marker),
        origin: (!producer.is_empty()).then_some((producer, sequence)),
    })
}

fn checksum(index: u64, length: [u8; 4], body: &[u8]) -> u32 {
    let mut header = [0; 12];
    header[..8].copy_from_slice(&index.to_le_bytes());
    header[8..].copy_from_slice(&length);
    crc32c::crc32c_append(crc32c::crc32c(&header), body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    fn frame(index: u64, envelope: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, index, envelope);
        bytes
    }

    #[test]
    fn zeros_are_not_a_frame() {
        assert_eq!(read_frame(&[0; 64], 0), Err(FrameFault::Length(0)));
    }

    #[test]
    fn the_frame_of_another_entry_is_refused() {
        assert_eq!(read_frame(&frame(4, b"x"), 5), Err(FrameFault::Checksum));
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        let mut bytes = frame(4, b"x");
        bytes[3] = 0x7f;
        assert_eq!(read_frame(&bytes, 4), Err(FrameFault::Length(0x7f00_0001)));
    }

    fn remains(origin: Option<(&str, u64)>) -> Erased<'_> {
        let leaf = Leaf {
            envelope_hash: [7; 32],
            index: 4,
            received_at: 9,
        };
        Erased {
            leaf,
            marker: 12,
            origin,
        }
    }

    #[test]
    fn what_is_left_of_an_entry_is_read_again() {
        for origin in [None, Some(("p", 5))] {
            let frame = erased_frame(4, 120, &remains(origin)).unwrap();
            assert_eq!(frame.len(), HEADER_BYTES + 120);
            let expected = Frame::Erased(remains(origin));
            assert_eq!(read_frame(&frame, 4), Ok((expected, frame.len())));
            assert_eq!(read_frame(&frame, 5), Err(FrameFault::Checksum));
        }
        let too_long = "p".repeat(60);
        assert_eq!(erased_frame(4, 120, &remains(Some((&too_long, 5)))), None);
    }

    #[test]
    fn nothing_else_is_left_of_an_entry() {
        let mut body = erased_frame(4, 120, &remains(None)).unwrap()[HEADER_BYTES..].to_vec();
        body[119] = b'x';
        let mut frame = Vec::new();
        write(&mut frame, 4, 120 | ERASED, &body);
        assert_eq!(read_frame(&frame, 4), Err(FrameFault::Remains));
        let mut short = Vec::new();
        write(&mut short, 4, 10 | ERASED, &body[..10]);
        assert_eq!(read_frame(&short, 4), Err(FrameFault::Remains));
        let mut other = Vec::new();
        write(&mut other, 5, 120 | ERASED, &body);
        assert_eq!(read_frame(&other, 5), Err(FrameFault::Remains));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn a_frame_is_read_whole_or_not_at_all(
            index: u64,
            envelope in proptest::collection::vec(any::<u8>(), 1..200),
            cut in 0_usize..200,
            position in 0_usize..1_000,
            flip in 1_u8..=255,
        ) {
            let good = frame(index, &envelope);
            let expected = (Frame::Envelope(envelope.as_slice()), good.len());
            prop_assert_eq!(read_frame(&good, index), Ok(expected));
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
