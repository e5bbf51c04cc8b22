//! One reading as bytes.

use fieldledger_attest::reading::Clock;
use fieldledger_device::Kept;
use fieldledger_device::device::MAX_BOOT_BYTES;
use fieldledger_device::sensor::{MAX_TEXT_BYTES, MAX_UNIT_BYTES};
use sha2::{Digest as _, Sha256};

/// The bytes of a slot.
pub const SLOT_BYTES: usize = TEXTS_END + CHECKSUM_BYTES;

/// The bytes of its mark, which can be written alone: no flash for which this is meant writes more at once.
pub(crate) const MARK_BYTES: usize = 4;

/// The mark of a reading that is held. Half of its bits are ones, so that neither a torn write nor a torn
/// erase leaves it by itself.
pub(crate) const WAITS: [u8; MARK_BYTES] = [0x5a; MARK_BYTES];

/// The mark of one that is forgotten: flash can turn ones into zeros without an erase.
pub(crate) const FORGOTTEN: [u8; MARK_BYTES] = [0; MARK_BYTES];

const TEXTS: usize = 48;
const TEXTS_END: usize = TEXTS + MAX_BOOT_BYTES + MAX_TEXT_BYTES + MAX_UNIT_BYTES;
const CHECKSUM_BYTES: usize = 8;

/// The line that tells this layout from others.
const LAYOUT: &str = "fieldledger-kept-v1\n";

pub(crate) type Bytes = [u8; SLOT_BYTES];

/// What is in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    /// Nothing was ever written to it.
    Blank,
    /// Neither blank nor what was written.
    Damaged,
    /// A reading and the slot's number.
    Good {
        number: u64,
        kept: Kept<'a>,
        waits: bool,
    },
}

/// A reading whose texts are longer than a device makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

fn checksum(bytes: &Bytes) -> [u8; CHECKSUM_BYTES] {
    let hash = Sha256::new()
        .chain_update(LAYOUT)
        .chain_update(&bytes[MARK_BYTES..TEXTS_END])
        .finalize();
    let mut first = [0; CHECKSUM_BYTES];
    first.copy_from_slice(&hash[..CHECKSUM_BYTES]);
    first
}

fn number(bytes: &Bytes, offset: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(number)
}

/// A held reading, in slot number `slot`.
pub(crate) fn write(slot: u64, kept: &Kept<'_>) -> Result<Bytes, TooLong> {
    let mut bytes = [0; SLOT_BYTES];
    let (kind, time) = match kept.clock {
        Clock::Uptime(time) => (0, time),
        Clock::Utc(time) => (1, time),
    };
    bytes[..4].copy_from_slice(&WAITS);
    bytes[4..12].copy_from_slice(&slot.to_le_bytes());
    bytes[12..28].copy_from_slice(&kept.sensor);
    bytes[28..36].copy_from_slice(&kept.sequence.to_le_bytes());
    bytes[36..44].copy_from_slice(&time.to_le_bytes());
    bytes[44] = kind;
    let texts = [
        (kept.boot, MAX_BOOT_BYTES),
        (kept.value, MAX_TEXT_BYTES),
        (kept.unit, MAX_UNIT_BYTES),
    ];
    let mut start = TEXTS;
    for (place, (text, longest)) in (45..TEXTS).zip(texts) {
        if text.len() > longest {
            return Err(TooLong);
        }
        let end = start + text.len();
        bytes[start..end].copy_from_slice(text.as_bytes());
        bytes[place] = text.len() as u8;
        start = end;
    }
    let checksum = checksum(&bytes);
    bytes[TEXTS_END..].copy_from_slice(&checksum);
    Ok(bytes)
}

/// What is in these bytes, whatever they are.
pub(crate) fn read(bytes: &Bytes) -> Slot<'_> {
    if bytes.iter().all(|byte| *byte == 0xff) {
        return Slot::Blank;
    }
    if bytes[TEXTS_END..] != checksum(bytes) {
        return Slot::Damaged;
    }
    match parse(bytes) {
        Some(kept) => Slot::Good {
            number: number(bytes, 4),
            kept,
            waits: bytes[..MARK_BYTES] == WAITS,
        },
        None => Slot::Damaged,
    }
}

fn parse(bytes: &Bytes) -> Option<Kept<'_>> {
    let mut sensor = [0; 16];
    sensor.copy_from_slice(&bytes[12..28]);
    let time = number(bytes, 36);
    let clock = match bytes[44] {
        0 => Clock::Uptime(time),
        1 => Clock::Utc(time),
        _ => return None,
    };
    let mut rest = &bytes[TEXTS..TEXTS_END];
    let mut text = |length: u8| {
        let (text, others) = rest.split_at_checked(usize::from(length))?;
        rest = others;
        core::str::from_utf8(text).ok()
    };
    Some(Kept {
        sensor,
        boot: text(bytes[45])?,
        sequence: number(bytes, 28),
        clock,
        value: text(bytes[46])?,
        unit: text(bytes[47])?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn longest<'a>(boot: &'a str, value: &'a str, unit: &'a str) -> Kept<'a> {
        Kept {
            sensor: [7; 16],
            boot,
            sequence: (1 << 53) - 1,
            clock: Clock::Utc(1_767_323_045_000_006),
            value,
            unit,
        }
    }

    #[test]
    fn the_longest_reading_fits_and_one_byte_more_does_not() {
        let (boot, value, unit) = ("b".repeat(32), "1".repeat(24), "u".repeat(32));
        let kept = longest(&boot, &value, &unit);
        let bytes = write(u64::MAX, &kept).unwrap();
        let (number, waits) = (u64::MAX, true);
        assert_eq!(
            read(&bytes),
            Slot::Good {
                number,
                kept,
                waits
            }
        );
        let long = "x".repeat(33);
        for kept in [
            longest(&long, &value, &unit),
            longest(&boot, &long, &unit),
            longest(&boot, &value, &long),
        ] {
            assert_eq!(write(0, &kept), Err(TooLong));
        }
    }

    #[test]
    fn a_slot_has_144_bytes_28_of_which_fit_into_a_sector() {
        assert_eq!((SLOT_BYTES, 4_096 / SLOT_BYTES), (144, 28));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn no_bit_may_change_but_those_of_the_mark(
            byte in 0..SLOT_BYTES, bit in 0..8_u32, sequence in 0..(1_u64 << 53),
        ) {
            let kept = Kept { sequence, clock: Clock::Uptime(9), ..longest("b", "1", "") };
            let mut bytes = write(5, &kept).unwrap();
            bytes[byte] ^= 1 << bit;
            let expected = match byte < MARK_BYTES {
                true => Slot::Good { number: 5, kept, waits: false },
                false => Slot::Damaged,
            };
            prop_assert_eq!(read(&bytes), expected);
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            start in prop::collection::vec(any::<u8>(), TEXTS_END),
        ) {
            let mut bytes = [0; SLOT_BYTES];
            bytes[..TEXTS_END].copy_from_slice(&start);
            prop_assert_eq!(read(&bytes), Slot::Damaged);
            // Even where the checksum holds.
            let checksum = checksum(&bytes);
            bytes[TEXTS_END..].copy_from_slice(&checksum);
            let _ = read(&bytes);
        }
    }
}
