//! Writing a segment anew without the payloads that are given up.

use fieldledger_formats::envelope::{Envelope, EnvelopeError};
use fieldledger_formats::frame::{Erased, Frame, erased_frame, read_frame, remains_bytes};

use crate::markers::{GivenUp, keeps};

/// A segment without what is given up.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Compacted {
    pub(crate) bytes: Vec<u8>,
    /// Where each frame ends.
    pub(crate) ends: Vec<u64>,
    /// Entries whose payload is no longer there.
    pub(crate) given_up: u64,
}

/// The segment of the entries `first..end` as it is to be. The error says what is wrong with it, and
/// where: an offset in the segment.
pub(crate) fn compact(
    segment: &[u8],
    (first, end): (u64, u64),
    pending: GivenUp,
) -> Result<Compacted, (u64, String)> {
    let mut compacted = Compacted::default();
    let mut rest = segment;
    for index in first..end {
        let offset = (segment.len() - rest.len()) as u64;
        let wrong = |problem: String| (offset, format!("entry {index}: {problem}"));
        let unreadable = |fault: EnvelopeError| wrong(fault.to_string());
        let (frame, length) = read_frame(rest, index).map_err(|fault| wrong(fault.to_string()))?;
        let before = compacted.bytes.len();
        match frame {
            // It was as long as what it replaced, and need not be.
            Frame::Erased(remains) => compacted.push(index, &remains).map_err(wrong)?,
            Frame::Envelope(bytes) => {
                let envelope = Envelope::parse(bytes).map_err(unreadable)?;
                if keeps(pending.scope, &envelope) {
                    compacted.bytes.extend_from_slice(&rest[..length]);
                } else {
                    let remains = Erased {
                        leaf: frame.leaf(index).map_err(unreadable)?,
                        marker: pending.marker,
                        origin: envelope.origin(),
                    };
                    compacted.push(index, &remains).map_err(wrong)?;
                    compacted.given_up += 1;
                }
            }
        }
        // The old bytes are gone once this is in their place.
        let written = read_frame(&compacted.bytes[before..], index)
            .map_err(|fault| fault.to_string())
            .map_err(wrong)
            .and_then(|(written, _)| written.leaf(index).map_err(unreadable))?;
        if written != frame.leaf(index).map_err(unreadable)? {
            return Err(wrong("its leaf would not be the same".to_owned()));
        }
        compacted.ends.push(compacted.bytes.len() as u64);
        rest = &rest[length..];
    }
    if !rest.is_empty() {
        let offset = (segment.len() - rest.len()) as u64;
        return Err((offset, "bytes follow the last entry".to_owned()));
    }
    Ok(compacted)
}

impl Compacted {
    fn push(&mut self, index: u64, remains: &Erased<'_>) -> Result<(), String> {
        let frame = erased_frame(index, remains_bytes(remains), remains);
        let frame = frame.ok_or("its producer is too long")?;
        self.bytes.extend_from_slice(&frame);
        Ok(())
    }
}
