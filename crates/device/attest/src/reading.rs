//! A reading as canonical bytes: what a leaf of the tree is.
//!
//! | offset | bytes | holds |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 8 | sequence number within the boot, big-endian |
//! | 9 | 1 | clock: 0 is time since boot, 1 is UTC |
//! | 10 | 8 | time in microseconds, big-endian |
//! | 18 | 2 | length `v` of the value in bytes, 1 to 64, big-endian |
//! | 20 | `v` | the value, as the device wrote it |
//! | 20 + `v` | 1 | length `u` of the unit in bytes, 0 to 32 |
//! | 21 + `v` | `u` | the unit |
//!
//! The value is text, so that no two programs can differ about how a number is printed: `21.50` and
//! `21.5` are two readings. Value and unit are printable ASCII without spaces. Two readings never
//! have the same bytes: every length is written before what it measures.
//!
//! Test vector: sequence 7, UTC 1767323045000006, value `21.50`, unit `Cel`:
//!
//! ```text
//! 01 0000000000000007 01 0006475ef64cf346 0005 32312e3530 03 43656c
//! ```

use heapless::Vec;
use thiserror::Error;

use crate::{NUMBERS_END, is_graphic};

/// The version that the first byte names.
const VERSION: u8 = 1;

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 64;

/// The longest unit, in bytes.
pub const MAX_UNIT_BYTES: usize = 32;

/// The longest canonical reading, in bytes.
pub const MAX_READING_BYTES: usize = 1 + 8 + 1 + 8 + 2 + MAX_VALUE_BYTES + 1 + MAX_UNIT_BYTES;

/// When a device measured, by the clock it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Clock {
    /// Microseconds since this boot: the device does not know what time it is.
    Uptime(u64),
    /// Microseconds since the Unix epoch.
    Utc(u64),
}

impl Clock {
    /// The microseconds, of whichever clock.
    #[must_use]
    pub fn microseconds(self) -> u64 {
        match self {
            Self::Uptime(microseconds) | Self::Utc(microseconds) => microseconds,
        }
    }

    fn kind(self) -> u8 {
        match self {
            Self::Uptime(_) => 0,
            Self::Utc(_) => 1,
        }
    }
}

/// Why something cannot be a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadingError {
    /// 2^53 or more.
    #[error("sequence number {sequence} is too large; it must be below 2^53")]
    Sequence {
        /// The number.
        sequence: u64,
    },
    /// 2^53 or more.
    #[error("time of {microseconds} microseconds is too large; it must be below 2^53")]
    Time {
        /// The time.
        microseconds: u64,
    },
    /// Empty, too long, or with a space or a character outside ASCII.
    #[error(
        "value of {length} bytes is not 1 to {MAX_VALUE_BYTES} printable ASCII characters without spaces"
    )]
    Value {
        /// Bytes of the value.
        length: usize,
    },
    /// Too long, or with a space or a character outside ASCII.
    #[error(
        "unit of {length} bytes is not 0 to {MAX_UNIT_BYTES} printable ASCII characters without spaces"
    )]
    Unit {
        /// Bytes of the unit.
        length: usize,
    },
    /// A version that is not known here.
    #[error("version {version} of a canonical reading is not known; expected {VERSION}")]
    Version {
        /// The first byte.
        version: u8,
    },
    /// Neither 0 nor 1.
    #[error("clock kind {kind} is not known; expected 0 for uptime or 1 for UTC")]
    ClockKind {
        /// The byte.
        kind: u8,
    },
    /// The bytes end too early, or go on after the end.
    #[error("canonical reading of {length} bytes is cut off or too long")]
    Length {
        /// Bytes given.
        length: usize,
    },
}

/// A reading that passed every rule of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reading<'a> {
    sequence: u64,
    clock: Clock,
    value: &'a str,
    unit: &'a str,
}

impl<'a> Reading<'a> {
    /// A reading: its number within the boot, when it was taken, the number as text, and its UCUM
    /// unit or an empty text.
    ///
    /// # Errors
    ///
    /// Names the field that breaks a rule.
    pub fn new(
        sequence: u64,
        clock: Clock,
        value: &'a str,
        unit: &'a str,
    ) -> Result<Self, ReadingError> {
        if sequence >= NUMBERS_END {
            return Err(ReadingError::Sequence { sequence });
        }
        let microseconds = clock.microseconds();
        if microseconds >= NUMBERS_END {
            return Err(ReadingError::Time { microseconds });
        }
        let length = value.len();
        if !(1..=MAX_VALUE_BYTES).contains(&length) || !is_graphic(value) {
            return Err(ReadingError::Value { length });
        }
        let length = unit.len();
        if length > MAX_UNIT_BYTES || !is_graphic(unit) {
            return Err(ReadingError::Unit { length });
        }
        Ok(Self {
            sequence,
            clock,
            value,
            unit,
        })
    }

    /// Its number within the boot.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it was taken.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The number as the device wrote it.
    #[must_use]
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// Its unit, or an empty text.
    #[must_use]
    pub fn unit(&self) -> &'a str {
        self.unit
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8, MAX_READING_BYTES> {
        // Both lengths were checked, so neither is cut.
        let value_length = (self.value.len() as u16).to_be_bytes();
        let unit_length = [self.unit.len() as u8];
        let mut bytes = Vec::new();
        for part in [
            &[VERSION][..],
            &self.sequence.to_be_bytes(),
            &[self.clock.kind()],
            &self.clock.microseconds().to_be_bytes(),
            &value_length,
            self.value.as_bytes(),
            &unit_length,
            self.unit.as_bytes(),
        ] {
            let fits = bytes.extend_from_slice(part);
            debug_assert!(
                fits.is_ok(),
                "MAX_READING_BYTES is the sum of the longest parts"
            );
        }
        bytes
    }

    /// Reads canonical bytes. What is accepted encodes to the same bytes again.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the bytes, or with the reading that they hold.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ReadingError> {
        let length = bytes.len();
        let cut_off = ReadingError::Length { length };
        let (&[version], rest) = bytes.split_first_chunk().ok_or(cut_off)?;
        if version != VERSION {
            return Err(ReadingError::Version { version });
        }
        let (sequence, rest) = rest.split_first_chunk().ok_or(cut_off)?;
        let (&[kind], rest) = rest.split_first_chunk().ok_or(cut_off)?;
        let (time, rest) = rest.split_first_chunk().ok_or(cut_off)?;
        let (value_length, rest) = rest.split_first_chunk().ok_or(cut_off)?;
        let value_length = usize::from(u16::from_be_bytes(*value_length));
        let (value, rest) = rest.split_at_checked(value_length).ok_or(cut_off)?;
        let (&[unit_length], unit) = rest.split_first_chunk().ok_or(cut_off)?;
        if unit.len() != usize::from(unit_length) {
            return Err(cut_off);
        }
        let microseconds = u64::from_be_bytes(*time);
        let clock = match kind {
            0 => Clock::Uptime(microseconds),
            1 => Clock::Utc(microseconds),
            _ => return Err(ReadingError::ClockKind { kind }),
        };
        let value = core::str::from_utf8(value).map_err(|_not_utf8| ReadingError::Value {
            length: value.len(),
        })?;
        let unit = core::str::from_utf8(unit)
            .map_err(|_not_utf8| ReadingError::Unit { length: unit.len() })?;
        Self::new(u64::from_be_bytes(*sequence), clock, value, unit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    const VECTOR: &str = "010000000000000007010006475ef64cf346000532312e35300343656c";

    #[test]
    fn the_test_vector_of_the_docs() {
        let clock = Clock::Utc(1_767_323_045_000_006);
        let reading = Reading::new(7, clock, "21.50", "Cel").unwrap();
        assert_eq!(hex::encode(reading.encode()), VECTOR);
    }

    #[test]
    fn the_longest_reading_fits() {
        let value = "1".repeat(MAX_VALUE_BYTES);
        let unit = "m".repeat(MAX_UNIT_BYTES);
        let last = NUMBERS_END - 1;
        let reading = Reading::new(last, Clock::Uptime(last), &value, &unit).unwrap();
        let bytes = reading.encode();
        assert_eq!(bytes.len(), MAX_READING_BYTES);
        assert_eq!(Reading::decode(&bytes), Ok(reading));
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let utc = Clock::Utc(1);
        let long = "1".repeat(MAX_VALUE_BYTES + 1);
        for (sequence, clock, value, unit, expected) in [
            (NUMBERS_END, utc, "1", "", "sequence"),
            (0, Clock::Uptime(NUMBERS_END), "1", "", "time"),
            (0, utc, "", "", "value"),
            (0, utc, &long, "", "value"),
            (0, utc, "1 2", "", "value"),
            (0, utc, "1\u{b5}", "", "value"),
            (0, utc, "1", "\n", "unit"),
            (0, utc, "1", &long[..MAX_UNIT_BYTES + 1], "unit"),
        ] {
            let error = Reading::new(sequence, clock, value, unit).unwrap_err();
            let text = std::string::ToString::to_string(&error);
            assert!(text.starts_with(expected), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_not_canonical_are_refused() {
        let good = hex::decode(VECTOR).unwrap();
        for length in 0..good.len() {
            assert!(Reading::decode(&good[..length]).is_err(), "{length}");
        }
        let longer = [good.as_slice(), b"x"].concat();
        assert!(matches!(
            Reading::decode(&longer),
            Err(ReadingError::Length { .. })
        ));
        for (offset, byte) in [
            (0, 0),
            (0, 2),
            (9, 2),
            (1, 0xff),
            (10, 0xff),
            (20, 0xff),
            (26, b' '),
        ] {
            let mut bad = good.clone();
            bad[offset] = byte;
            assert!(Reading::decode(&bad).is_err(), "{offset}");
        }
    }

    fn readings()
    -> impl Strategy<Value = (u64, bool, u64, std::string::String, std::string::String)> {
        (
            0..NUMBERS_END,
            any::<bool>(),
            0..NUMBERS_END,
            "[!-~]{1,64}",
            "[!-~]{0,32}",
        )
    }

    fn clock(is_utc: bool, microseconds: u64) -> Clock {
        match is_utc {
            true => Clock::Utc(microseconds),
            false => Clock::Uptime(microseconds),
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        // A function that has an inverse maps no two readings to the same bytes.
        #[test]
        fn the_encoding_is_injective((sequence, is_utc, time, value, unit) in readings()) {
            let reading = Reading::new(sequence, clock(is_utc, time), &value, &unit).unwrap();
            let bytes = reading.encode();
            prop_assert_eq!(Reading::decode(&bytes), Ok(reading));
        }

        #[test]
        fn what_is_decoded_encodes_to_the_same_bytes(
            start in 0..2_u8,
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            (sequence, is_utc, time, value, unit) in readings(),
            at in any::<proptest::sample::Index>(),
        ) {
            let mut candidate = match start {
                0 => bytes.clone(),
                _ => {
                    let reading = Reading::new(sequence, clock(is_utc, time), &value, &unit);
                    reading.unwrap().encode().to_vec()
                }
            };
            if start == 1 && !bytes.is_empty() {
                let at = at.index(candidate.len());
                candidate[at] = bytes[0];
            }
            if let Ok(reading) = Reading::decode(&candidate) {
                prop_assert_eq!(&reading.encode()[..], &candidate[..]);
            }
        }
    }
}
