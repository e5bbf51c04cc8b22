//! What all records have in common.

use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// What stands before the content.
const HEAD_BYTES: usize = 12;

/// What stands behind it.
const DIGEST_BYTES: usize = 32;

/// What a record takes beside its content.
pub const MIN_RECORD_BYTES: usize = HEAD_BYTES + DIGEST_BYTES;

/// Why there is no record to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Something else is there, or nothing.
    #[error("there is no record")]
    Absent,
    /// It was written for another program.
    #[error("record has layout {found}, expected {expected} or an earlier one")]
    Version {
        /// The version that it names.
        found: u32,
        /// The newest that this program knows.
        expected: u32,
    },
    /// It claims to be longer than the place it is in.
    #[error("record is longer than its place")]
    Length,
    /// It is not what was written.
    #[error("record is damaged")]
    Digest,
    /// It was written so.
    #[error("content of the record has another layout")]
    Content,
    /// A field that no board can use.
    #[error("field {field} of the record is not acceptable")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// The place to write it to is too small.
    #[error("record has no room")]
    NoRoom,
}

/// What a record is, and in which layout it is written. All layouts from the first on are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: [u8; 4],
    pub(crate) version: u32,
}

impl Kind {
    /// The layout and the content of the record at the beginning of `place`.
    pub(crate) fn open(self, place: &[u8]) -> Result<(u32, &[u8]), RecordError> {
        let (name, rest) = place.split_first_chunk().ok_or(RecordError::Absent)?;
        let (version, rest) = rest.split_first_chunk().ok_or(RecordError::Absent)?;
        let (length, rest) = rest.split_first_chunk().ok_or(RecordError::Absent)?;
        if *name != self.name {
            return Err(RecordError::Absent);
        }
        let found = u32::from_le_bytes(*version);
        if !(1..=self.version).contains(&found) {
            let expected = self.version;
            return Err(RecordError::Version { found, expected });
        }
        let length = usize::try_from(u32::from_le_bytes(*length));
        let length = length.map_err(|_address_space| RecordError::Length)?;
        let (content, rest) = rest.split_at_checked(length).ok_or(RecordError::Length)?;
        let digest: &[u8; DIGEST_BYTES] = rest.first_chunk().ok_or(RecordError::Length)?;
        let written = place
            .get(..HEAD_BYTES + length)
            .ok_or(RecordError::Length)?;
        match Sha256::digest(written)[..] == digest[..] {
            true => Ok((found, content)),
            false => Err(RecordError::Digest),
        }
    }

    /// Where the content of a record in `place` is to be written.
    pub(crate) fn content(place: &mut [u8]) -> Result<&mut [u8], RecordError> {
        let end = place.len().checked_sub(DIGEST_BYTES);
        let content = end.and_then(|end| place.get_mut(HEAD_BYTES..end));
        content.ok_or(RecordError::NoRoom)
    }

    /// Writes what belongs around a content of `length` bytes, and returns the record's length.
    pub(crate) fn seal(self, place: &mut [u8], length: usize) -> Result<usize, RecordError> {
        let number = u32::try_from(length).map_err(|_long| RecordError::NoRoom)?;
        let whole = length + MIN_RECORD_BYTES;
        let place = place.get_mut(..whole).ok_or(RecordError::NoRoom)?;
        let (written, digest) = place.split_at_mut(HEAD_BYTES + length);
        written[..4].copy_from_slice(&self.name);
        written[4..8].copy_from_slice(&self.version.to_le_bytes());
        written[8..HEAD_BYTES].copy_from_slice(&number.to_le_bytes());
        digest.copy_from_slice(&Sha256::digest(&*written));
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    const KIND: Kind = Kind {
        name: *b"TEST",
        version: 3,
    };

    fn sealed(content: &[u8], room: usize) -> Vec<u8> {
        let mut place = vec![0xff; content.len() + MIN_RECORD_BYTES + room];
        Kind::content(&mut place).unwrap()[..content.len()].copy_from_slice(content);
        assert_eq!(
            KIND.seal(&mut place, content.len()),
            Ok(content.len() + MIN_RECORD_BYTES)
        );
        place
    }

    #[test]
    fn erased_flash_and_other_layouts_are_told_apart() {
        assert_eq!(KIND.open(&[0xff; 4_096]), Err(RecordError::Absent));
        assert_eq!(KIND.open(&[]), Err(RecordError::Absent));
        let place = sealed(b"content", 9);
        let newer = Kind { version: 4, ..KIND };
        assert_eq!(newer.open(&place), Ok((3, &b"content"[..])));
        let older = Kind { version: 2, ..KIND };
        let version = RecordError::Version {
            found: 3,
            expected: 2,
        };
        assert_eq!(older.open(&place), Err(version));
        let other = Kind {
            name: *b"TESS",
            ..KIND
        };
        assert_eq!(other.open(&place), Err(RecordError::Absent));
        assert_eq!(KIND.open(&place[..50]), Err(RecordError::Length));
    }

    #[test]
    fn a_place_that_is_too_small_is_said_to_be() {
        let mut place = [0; MIN_RECORD_BYTES + 2];
        assert_eq!(KIND.seal(&mut place, 3), Err(RecordError::NoRoom));
        assert_eq!(KIND.seal(&mut place, 2), Ok(MIN_RECORD_BYTES + 2));
        assert_eq!(Kind::content(&mut place[..43]), Err(RecordError::NoRoom));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_sealed_opens_and_no_bit_of_it_may_change(
            content in prop::collection::vec(any::<u8>(), 0..200),
            room in 0..50_usize,
            (byte, bit) in (any::<prop::sample::Index>(), 0..8_u32),
        ) {
            let mut place = sealed(&content, room);
            prop_assert_eq!(KIND.open(&place), Ok((KIND.version, &content[..])));
            let byte = byte.index(content.len() + MIN_RECORD_BYTES);
            place[byte] ^= 1 << bit;
            prop_assert!(KIND.open(&place).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = KIND.open(&bytes);
            for version in 0..5 {
                let named = [&b"TEST"[..], &[version, 0, 0, 0], &bytes].concat();
                prop_assert!(KIND.open(&named).is_err());
            }
        }
    }
}
