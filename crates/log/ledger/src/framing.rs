//! From the requests of a commit to the frames of its new events.

use std::ops::Range;

use fieldledger_audit::{Signature, timestamp};
use fieldledger_formats::envelope::{ClockMark, SALT_BYTES, write_envelope};
use fieldledger_formats::frame::write_frame;
use rand::RngCore;

use crate::request::Request;

/// Bytes that an envelope and its frame have around an event, besides what a request counts for it.
const AROUND_EVENT: usize = 64;

/// The new events of a commit, framed.
pub(crate) struct Frames {
    pub(crate) bytes: Vec<u8>,
    /// Where each frame ends in `bytes`.
    pub(crate) ends: Vec<usize>,
}

impl Frames {
    fn with_room_for(requests: &[Request]) -> Self {
        let events = requests.iter().map(|request| request.events.len()).sum();
        let bytes: usize = requests.iter().map(|request| request.bytes).sum();
        Self {
            bytes: Vec::with_capacity(bytes + events * AROUND_EVENT),
            ends: Vec::with_capacity(events),
        }
    }
}

/// Frames the new events.
pub(crate) fn frame(
    requests: &[Request],
    new: &[Vec<bool>],
    first: u64,
    (received_at, mark): (u64, Option<ClockMark>),
) -> Result<Frames, String> {
    let mut time = Time::default();
    let mut frames = Frames::with_room_for(requests);
    let mut random = rand::rng();
    let mut salt = [0; SALT_BYTES];
    let mut envelope = Vec::new();
    for (request, new) in requests.iter().zip(new) {
        for (event, _) in request.events.iter().zip(new).filter(|(_, new)| **new) {
            let origin =
                (!event.producer.is_empty()).then_some((event.producer.as_str(), event.sequence));
            let index = first + frames.ends.len() as u64;
            let received_at = time.text(received_at + (index - first))?;
            random.fill_bytes(&mut salt);
            envelope.clear();
            let signed = Signature {
                signature: &event.signature,
                public_key: &event.public_key,
            };
            write_envelope(
                &mut envelope,
                &event.canonical,
                origin,
                signed,
                (received_at, mark),
                salt,
            );
            write_frame(&mut frames.bytes, index, &envelope);
            frames.ends.push(frames.bytes.len());
        }
    }
    Ok(frames)
}

/// Writes times that lie close to each other.
#[derive(Default)]
struct Time {
    /// Seconds since the Unix epoch of `text`.
    second: u64,
    /// RFC 3339 with six fractional digits and `Z`.
    text: String,
}

impl Time {
    /// The time in words.
    fn text(&mut self, micros: u64) -> Result<&str, String> {
        /// Where in the text the fractional digits are.
        const FRACTION: Range<usize> = 20..26;
        let (second, fraction) = (micros / 1_000_000, micros % 1_000_000);
        if self.text.is_empty() || second != self.second {
            self.text = timestamp::from_micros(micros)
                .ok_or_else(|| format!("the clock says {micros} us, beyond the year 9999"))?;
            self.second = second;
        } else {
            self.text.replace_range(FRACTION, &format!("{fraction:06}"));
        }
        Ok(&self.text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_each_would_be_alone() {
        let mut time = Time::default();
        let start = 1_767_323_044_999_990;
        for micros in start..start + 20 {
            let alone = timestamp::from_micros(micros).unwrap();
            assert_eq!(time.text(micros).unwrap(), alone);
        }
        assert!(time.text(u64::MAX).is_err());
    }
}
