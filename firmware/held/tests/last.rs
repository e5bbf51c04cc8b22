//! One text in flash whose power fails at any write and any erase, and leaves anything behind.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Flash, SECTOR};
use fieldledger_chance::proptest_config;
use fieldledger_device::brokers::MAX_KEPT_BYTES;
use fieldledger_held::{HeldError, Last};
use proptest::prelude::*;

/// Two of them hold a text.
const SECTORS: usize = 4;

fn open(flash: &mut Flash) -> Result<Last<'_, Flash>, HeldError> {
    let place = flash.place();
    Last::open(flash, place)
}

fn text(flash: &mut Flash) -> Option<Vec<u8>> {
    open(flash).unwrap().get().unwrap().map(<[u8]>::to_vec)
}

#[test]
fn the_last_text_is_there_and_each_half_is_erased_in_turn() {
    let mut flash = Flash::new(SECTORS);
    assert_eq!(text(&mut flash), None);
    for number in 0..10_u8 {
        let written = vec![number; usize::from(number) * 80];
        open(&mut flash).unwrap().set(&written).unwrap();
        assert_eq!(text(&mut flash), Some(written));
    }
    assert_eq!(flash.erases, [5; SECTORS]);
    let mut last = open(&mut flash).unwrap();
    for number in 0..3 {
        last.set(&[number]).unwrap();
        assert_eq!(last.get().unwrap(), Some(&[number][..]));
    }
}

#[test]
fn a_text_that_does_not_fit_is_refused_and_so_is_a_place_for_none() {
    let mut flash = Flash::new(SECTORS);
    let longest = [b'a'; MAX_KEPT_BYTES];
    let mut last = open(&mut flash).unwrap();
    last.set(&longest).unwrap();
    let too_long = last.set(&[b'a'; MAX_KEPT_BYTES + 1]);
    assert_eq!(too_long, Err(HeldError::TooLong));
    assert_eq!(last.get().unwrap(), Some(&longest[..]));
    let place = flash.place();
    let sector = SECTOR as u32;
    for wrong in [
        place.start..place.start + 2 * sector,
        place.start + 1..place.end + 1,
        place.start..place.end + 2 * sector,
        place.end..place.start,
    ] {
        let opened = Last::open(&mut flash, wrong).map(|_| ());
        assert_eq!(opened, Err(HeldError::Place));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..proptest_config() })]

    #[test]
    fn the_old_text_or_the_new_one_is_there_whenever_the_power_fails(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=MAX_KEPT_BYTES), 1..6),
        operations in 0..20_u32, chance in 1..u64::MAX,
    ) {
        let mut flash = Flash::new(SECTORS);
        flash.operations_left = Some(operations);
        flash.chance = chance;
        let mut acknowledged: Option<&[u8]> = None;
        let mut tried = None;
        for text in &texts {
            tried = Some(&text[..]);
            let done = open(&mut flash).and_then(|mut last| last.set(text));
            if done.is_err() {
                break;
            }
            acknowledged = tried;
        }
        flash.has_power = true;
        flash.operations_left = None;
        let found = text(&mut flash);
        prop_assert!(found.as_deref() == acknowledged || found.as_deref() == tried);
        // And it can be written to.
        open(&mut flash).unwrap().set(b"after").unwrap();
        prop_assert_eq!(text(&mut flash), Some(b"after".to_vec()));
    }

    #[test]
    fn no_bit_may_change(
        text_before in prop::collection::vec(any::<u8>(), 0..=MAX_KEPT_BYTES),
        byte in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let mut flash = Flash::new(SECTORS);
        open(&mut flash).unwrap().set(&text_before).unwrap();
        let start = flash.place().start as usize;
        // Number, length and text.
        flash.bytes[start + byte.index(12 + text_before.len())] ^= 1 << bit;
        prop_assert_eq!(text(&mut flash), None);
    }

    #[test]
    fn whatever_is_in_the_flash_it_can_be_used(
        bytes in prop::collection::vec(any::<u8>(), SECTORS * SECTOR),
    ) {
        let mut flash = Flash::new(SECTORS);
        let place = flash.place();
        flash.bytes[place.start as usize..place.end as usize].copy_from_slice(&bytes);
        prop_assert_eq!(text(&mut flash), None);
        open(&mut flash).unwrap().set(b"text").unwrap();
        prop_assert_eq!(text(&mut flash), Some(b"text".to_vec()));
    }
}
