//! Readings in flash whose power fails at any write and any erase, and leaves anything behind.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{AROUND, Board, Flash, SECTOR, open};
use fieldledger_attest::reading::Clock;
use fieldledger_chance::proptest_config;
use fieldledger_device::{Kept, Offer};
use fieldledger_held::{HeldError, Ring, Store};
use proptest::prelude::*;

/// Of three slots each.
const SECTORS: usize = 4;

/// Sensor, boot and number of a reading; its value and unit follow from them.
type Name = (u8, u32, u64);

fn keep(ring: &mut Ring<Board<'_>>, (sensor, boot, sequence): Name) -> Result<(), HeldError> {
    ring.keep(&Kept {
        sensor: [sensor; 16],
        boot: &format!("boot-{boot}"),
        sequence,
        clock: Clock::Uptime(sequence * 10),
        value: &format!("{sequence}.5"),
        unit: "Cel",
    })
}

/// All that waits, oldest first.
fn given(ring: &mut Ring<Board<'_>>) -> Vec<Name> {
    let mut names = Vec::new();
    let all = ring.give(|kept| {
        let boot = kept.boot.strip_prefix("boot-").unwrap().parse().unwrap();
        assert_eq!(kept.value, format!("{}.5", kept.sequence));
        assert_eq!(kept.clock, Clock::Uptime(kept.sequence * 10));
        assert_eq!(kept.unit, "Cel");
        names.push((kept.sensor[0], boot, kept.sequence));
        true
    });
    all.unwrap();
    names
}

#[test]
fn the_oldest_give_way_and_every_sector_is_erased_in_turn() {
    let mut flash = Flash::new(SECTORS);
    let mut ring = open(&mut flash).unwrap();
    assert_eq!(ring.capacity(), 9);
    for sequence in 0..1_000 {
        keep(&mut ring, (1, 0, sequence)).unwrap();
        let names = given(&mut ring);
        let expected = names.len() as u64;
        assert!(expected > 9.min(sequence) && expected <= 12);
        let oldest = sequence + 1 - expected;
        assert!(names.iter().map(|name| name.2).eq(oldest..=sequence));
    }
    // Three slots a sector, four sectors: 334 erases.
    assert_eq!(flash.erases, [84, 84, 83, 83]);
    let around = flash.bytes[..AROUND].iter();
    let around = around.chain(&flash.bytes[AROUND + SECTORS * SECTOR..]);
    assert!(around.copied().all(|byte| byte == 0xff));
}

#[test]
fn a_board_that_restarts_with_nothing_to_keep_erases_nothing() {
    let mut flash = Flash::new(SECTORS);
    for sequence in 0..6 {
        keep(&mut open(&mut flash).unwrap(), (1, 0, sequence)).unwrap();
    }
    let mut ring = open(&mut flash).unwrap();
    ring.forget([1; 16], "boot-0", 5).unwrap();
    for _ in 0..10 {
        assert_eq!(given(&mut open(&mut flash).unwrap()), []);
    }
    // It goes on where it was.
    keep(&mut open(&mut flash).unwrap(), (1, 1, 0)).unwrap();
    assert_eq!(flash.erases, [1, 1, 1, 0]);
}

#[test]
fn what_earlier_boots_left_is_told_from_what_this_one_keeps() {
    let earlier = |ring: &mut Ring<Board<'_>>, most: usize| {
        let mut numbers = Vec::new();
        let given = ring.give_earlier(|kept| {
            if numbers.len() == most {
                return Offer::NoRoom;
            }
            numbers.push(kept.sequence);
            Offer::Taken
        });
        given.unwrap();
        numbers
    };
    let mut flash = Flash::new(SECTORS);
    let mut ring = open(&mut flash).unwrap();
    for sequence in 0..5 {
        keep(&mut ring, (1, 0, sequence)).unwrap();
        assert_eq!(earlier(&mut ring, 9), []);
    }
    let mut ring = open(&mut flash).unwrap();
    keep(&mut ring, (1, 1, 7)).unwrap();
    assert_eq!(earlier(&mut ring, 3), [0, 1, 2]);
    ring.forget([1; 16], "boot-0", 3).unwrap();
    assert_eq!(earlier(&mut ring, 3), [4]);
    ring.forget([1; 16], "boot-0", 4).unwrap();
    assert_eq!(earlier(&mut ring, 3), []);
    // What nobody takes is not looked at again and again.
    let mut ring = open(&mut flash).unwrap();
    let mut looks = 0;
    for _ in 0..3 {
        let given = ring.give_earlier(|_| {
            looks += 1;
            Offer::PassedOver
        });
        given.unwrap();
    }
    assert_eq!(looks, 1);
    // A store whose medium fails says so once.
    ring.flash().0.has_power = false;
    let mut store = Store::new(Some(ring));
    let failure = store.forget([1; 16], "boot-1", 7);
    assert!(matches!(failure, Err(HeldError::Medium { .. })));
    assert_eq!(store.forget([1; 16], "boot-1", 7), Ok(()));
    assert_eq!(store.give_earlier(|_| Offer::Taken), Ok(()));
}

#[test]
fn worn_slots_are_passed_over_until_none_is_left() {
    let mut flash = Flash::new(SECTORS);
    flash.worn_slots = 2;
    let mut ring = open(&mut flash).unwrap();
    for sequence in 0..20 {
        keep(&mut ring, (1, 0, sequence)).unwrap();
    }
    let names = given(&mut ring);
    assert!(names.iter().map(|name| name.2).eq(16..20), "{names:?}");
    flash.worn_slots = 3;
    let mut ring = open(&mut flash).unwrap();
    assert_eq!(keep(&mut ring, (1, 0, 20)), Err(HeldError::Worn));
}

#[test]
fn a_place_that_is_none_is_refused() {
    for place in [0..512, 0..1_023, 100..1_124, 0..1 << 20] {
        let mut flash = Flash::new(SECTORS);
        let opened = Ring::open(Board(&mut flash), place.clone());
        assert_eq!(opened.err(), Some(HeldError::Place), "{place:?}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Keep(u8),
    /// Of this sensor, those up to the one this far from the newest, of the present boot or an earlier one.
    Forget(u8, u32, u64),
    Reboot,
    /// After so many more writes and erases.
    CutPower(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2_u8).prop_map(Step::Keep),
        2 => (0..2_u8, 0..3_u32, 0..12_u64).prop_map(|(s, boot, n)| Step::Forget(s, boot, n)),
        1 => Just(Step::Reboot),
        3 => (0..6_u32).prop_map(Step::CutPower),
    ]
}

/// What must be so, whatever happened.
#[derive(Default)]
struct Model {
    boot: u32,
    next: [u64; 2],
    /// Every reading that was to be kept, in order, and whether the ring said that it is.
    tried: Vec<(Name, bool)>,
    /// Of which the ring was told to forget them, and said that it did.
    forgotten: BTreeSet<Name>,
    /// Of which it was told so when the power failed.
    perhaps_forgotten: BTreeSet<Name>,
}

impl Model {
    fn check(&self, names: &[Name], capacity: usize) {
        let place = |name: &Name| self.tried.iter().position(|(tried, _)| tried == name);
        let places: Vec<_> = names.iter().map(|name| place(name).unwrap()).collect();
        assert!(places.is_sorted_by(|one, next| one < next), "{names:?}");
        for name in names {
            assert!(!self.forgotten.contains(name), "{name:?} is back");
        }
        // Each try takes one slot at most.
        let latest = self.tried.iter().rev().take(capacity + 1);
        for (name, is_kept) in latest {
            let may_lack = self.forgotten.contains(name) || self.perhaps_forgotten.contains(name);
            assert!(
                names.contains(name) || !is_kept || may_lack,
                "{name:?} is lost, of {names:?}"
            );
        }
    }

    fn run(&mut self, steps: &[Step], flash: &mut Flash) {
        let mut steps = steps.iter().peekable();
        while steps.peek().is_some() {
            flash.has_power = true;
            flash.operations_left = None;
            self.boot += 1;
            self.next = [0; 2];
            let mut ring = open(flash).unwrap();
            self.check(&given(&mut ring), ring.capacity() as usize);
            for step in steps.by_ref() {
                let worked = match step {
                    Step::Reboot => break,
                    Step::CutPower(operations) => {
                        ring.flash().0.operations_left = Some(*operations);
                        Ok(())
                    }
                    Step::Keep(sensor) => self.keep(&mut ring, *sensor),
                    Step::Forget(sensor, boots, back) => {
                        self.forget(&mut ring, *sensor, *boots, *back)
                    }
                };
                if worked.is_err() {
                    break;
                }
                self.check(&given(&mut ring), ring.capacity() as usize);
            }
        }
    }

    fn keep(&mut self, ring: &mut Ring<Board<'_>>, sensor: u8) -> Result<(), HeldError> {
        let next = &mut self.next[usize::from(sensor)];
        let name = (sensor, self.boot, *next);
        *next += 1;
        let worked = keep(ring, name);
        self.tried.push((name, worked.is_ok()));
        worked
    }

    fn forget(
        &mut self,
        ring: &mut Ring<Board<'_>>,
        sensor: u8,
        boots: u32,
        back: u64,
    ) -> Result<(), HeldError> {
        let boot = self.boot.saturating_sub(boots);
        let mine = self.tried.iter().map(|(name, _)| *name);
        let mine = mine.filter(|name| (name.0, name.1) == (sensor, boot));
        let newest = mine.clone().map(|name| name.2).max().unwrap_or(0);
        let through = newest.saturating_sub(back);
        let obsolete: Vec<Name> = mine.filter(|name| name.2 <= through).collect();
        let worked = ring.forget([sensor; 16], &format!("boot-{boot}"), through);
        match worked.is_ok() {
            true => self.forgotten.extend(obsolete),
            false => self.perhaps_forgotten.extend(obsolete),
        }
        worked
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..proptest_config() })]

    #[test]
    fn what_was_kept_is_there_whenever_the_power_fails(
        steps in prop::collection::vec(step(), 1..80),
        chance in 1..u64::MAX,
    ) {
        let mut flash = Flash::new(SECTORS);
        flash.chance = chance;
        let mut model = Model::default();
        model.run(&steps, &mut flash);
        // Once more, to look at what is left.
        model.run(&[Step::Keep(0)], &mut flash);
    }

    #[test]
    fn whatever_is_in_the_flash_it_can_be_used(
        bytes in prop::collection::vec(any::<u8>(), SECTORS * SECTOR),
    ) {
        let mut flash = Flash::new(SECTORS);
        flash.bytes[AROUND..AROUND + SECTORS * SECTOR].copy_from_slice(&bytes);
        let mut ring = open(&mut flash).unwrap();
        prop_assert_eq!(given(&mut ring), []);
        for sequence in 0..9 {
            keep(&mut ring, (1, 0, sequence)).unwrap();
        }
        prop_assert_eq!(given(&mut ring).len(), 9);
    }
}
