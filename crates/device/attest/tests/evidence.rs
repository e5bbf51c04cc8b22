//! A device signs batches, somebody else checks single readings of them.
#![allow(clippy::unwrap_used)]

use fieldledger_attest::NUMBERS_END;
use fieldledger_attest::evidence::{Evidence, EvidenceError};
use fieldledger_attest::identity::{DeviceKey, PublicKey};
use fieldledger_attest::reading::{Clock, Reading};
use fieldledger_attest::signature::Signature;
use fieldledger_attest::statement::{BootId, Statement};
use fieldledger_attest::tree::{MAX_LEAVES, PathBuilder, RootBuilder, Tree};
use fieldledger_chance::proptest_config;
use proptest::prelude::*;
use proptest::sample::Index;

const SENSOR: [u8; 16] = [0x5a; 16];
const BOOT: &str = "9f3c0a";

fn boot() -> BootId<'static> {
    BootId::new(BOOT).unwrap()
}

fn key() -> DeviceKey {
    DeviceKey::from_seed(&[42; 32])
}

fn values(size: usize) -> Vec<String> {
    (0..size)
        .map(|number| format!("{}.50", number % 7))
        .collect()
}

fn readings(values: &[String]) -> Vec<Reading<'_>> {
    (0..)
        .zip(values)
        .map(|(number, value)| Reading::new(number, Clock::Utc(number), value, "Cel").unwrap())
        .collect()
}

fn sign(readings: &[Reading<'_>]) -> Signature {
    let mut tree = RootBuilder::new();
    for reading in readings {
        tree.push(reading).unwrap();
    }
    Statement::of_tree(SENSOR, boot(), tree)
        .unwrap()
        .sign(&key())
}

fn evidence(readings: &[Reading<'_>]) -> Vec<Evidence> {
    let signature = sign(readings);
    Evidence::of_all(key().public(), signature, SENSOR, boot(), readings).unwrap()
}

#[test]
fn every_reading_of_the_largest_batch_proves_itself() {
    let texts = values(MAX_LEAVES as usize);
    let batch = readings(&texts);
    let tree = Tree::new(&batch).unwrap();
    for (reading, evidence) in batch.iter().zip(evidence(&batch)) {
        assert_eq!(evidence.verify(SENSOR, boot(), reading), Ok(()));
        assert_eq!(
            evidence.path.hashes(),
            &tree.path(evidence.index).unwrap()[..]
        );
    }
}

#[test]
fn a_batch_that_was_changed_gives_no_evidence() {
    let texts = values(5);
    let batch = readings(&texts);
    let signature = sign(&batch);
    let of_all = |key: PublicKey, batch: &[Reading<'_>]| {
        Evidence::of_all(key, signature, SENSOR, boot(), batch)
    };
    let public = key().public();
    let key = public.fingerprint();
    assert!(of_all(public, &batch).is_ok());
    assert_eq!(
        of_all(public, &batch[..4]),
        Err(EvidenceError::Signature { key })
    );
    assert!(matches!(of_all(public, &[]), Err(EvidenceError::Place(_))));
}

#[test]
fn a_signature_that_strict_rules_refuse_is_refused() {
    let texts = values(1);
    let batch = readings(&texts);
    let good = sign(&batch);
    // s + L is the same number modulo the group's order, so lax verifiers take it (RFC 8032, section 8.4).
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = *good.as_bytes();
    let mut carry = 0_u16;
    for (byte, addend) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let evidence = Evidence::of_one(key().public(), Signature::from_bytes(bytes));
    assert!(evidence.verify(SENSOR, boot(), &batch[0]).is_err());
    let evidence = Evidence::of_one(key().public(), good);
    assert_eq!(evidence.verify(SENSOR, boot(), &batch[0]), Ok(()));
}

/// A change to one part of what was signed.
#[derive(Debug, Clone)]
enum Change {
    Sequence(u64),
    Time(u64),
    Clock,
    Value(String),
    Unit(String),
    Sensor([u8; 16]),
    Boot(String),
    Index(u32),
    Size(u32),
    PathBit(Index, u8),
    PathLength,
    SignatureBit(u16),
    Key([u8; 32]),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..NUMBERS_END).prop_map(Change::Sequence),
        (0..NUMBERS_END).prop_map(Change::Time),
        Just(Change::Clock),
        "[!-~]{1,64}".prop_map(Change::Value),
        "[!-~]{0,32}".prop_map(Change::Unit),
        any::<[u8; 16]>().prop_map(Change::Sensor),
        "[!-~]{1,64}".prop_map(Change::Boot),
        any::<u32>().prop_map(Change::Index),
        (0..40_u32).prop_map(Change::Index),
        any::<u32>().prop_map(Change::Size),
        (0..40_u32).prop_map(Change::Size),
        (any::<Index>(), any::<u8>()).prop_map(|(hash, bit)| Change::PathBit(hash, bit)),
        Just(Change::PathLength),
        (0..512_u16).prop_map(Change::SignatureBit),
        any::<[u8; 32]>().prop_map(Change::Key),
    ]
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn every_reading_of_any_batch_proves_itself(size in 1..200_usize, wanted in any::<Index>()) {
        let texts = values(size);
        let batch = readings(&texts);
        let wanted = wanted.index(size);
        let evidence = evidence(&batch).swap_remove(wanted);
        prop_assert_eq!(evidence.verify(SENSOR, boot(), &batch[wanted]), Ok(()));
        let mut streamed = PathBuilder::new(wanted as u32);
        for reading in &batch {
            streamed.push(reading).unwrap();
        }
        prop_assert_eq!(&streamed.path().unwrap()[..], evidence.path.hashes());
        let next = &batch[(wanted + 1) % size];
        prop_assert_eq!(evidence.verify(SENSOR, boot(), next).is_ok(), size == 1);
    }

    #[test]
    fn no_change_goes_unnoticed(size in 1..40_usize, at in any::<Index>(), change in change()) {
        let texts = values(size);
        let batch = readings(&texts);
        let at = at.index(size);
        let original = batch[at];
        let mut evidence = evidence(&batch).swap_remove(at);
        let before = evidence.clone();
        let mut sensor = SENSOR;
        let mut boot_text = BOOT.to_owned();
        let (mut sequence, mut clock) = (original.sequence(), original.clock());
        let (mut value, mut unit) = (original.value().to_owned(), original.unit().to_owned());
        match change {
            Change::Sequence(other) => sequence = other,
            Change::Time(other) => clock = Clock::Utc(other),
            Change::Clock => clock = Clock::Uptime(clock.microseconds()),
            Change::Value(other) => value = other,
            Change::Unit(other) => unit = other,
            Change::Sensor(other) => sensor = other,
            Change::Boot(other) => boot_text = other,
            Change::Index(other) => evidence.index = other,
            Change::Size(other) => evidence.size = other,
            Change::PathBit(hash, bit) if !evidence.path.hashes().is_empty() => {
                let mut path = Vec::from(evidence.path.hashes());
                let hash = hash.index(path.len());
                path[hash][usize::from(bit / 8)] ^= 1 << (bit % 8);
                let mut changed = fieldledger_attest::tree::Path::new();
                changed.extend_from_slice(&path).unwrap();
                evidence.path = changed.into();
            }
            Change::PathLength => {
                let mut changed = fieldledger_attest::tree::Path::new();
                let hashes = evidence.path.hashes();
                changed.extend_from_slice(&hashes[..hashes.len().saturating_sub(1)]).unwrap();
                evidence.path = changed.into();
            }
            Change::SignatureBit(bit) => {
                let mut bytes = *evidence.sig.as_bytes();
                bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
                evidence.sig = Signature::from_bytes(bytes);
            }
            Change::Key(seed) => evidence.key = DeviceKey::from_seed(&seed).public(),
            Change::PathBit(..) => {}
        }
        let changed = Reading::new(sequence, clock, &value, &unit).unwrap();
        let other_boot = BootId::new(&boot_text).unwrap();
        let is_same = changed == original && evidence == before && sensor == SENSOR
            && boot_text == BOOT;
        let verdict = evidence.verify(sensor, other_boot, &changed);
        prop_assert_eq!(verdict.is_ok(), is_same, "{:?}", verdict);
    }

    #[test]
    fn a_path_reads_back_from_its_text(size in 1..=1_024_usize, at in any::<Index>()) {
        let texts = values(size);
        let batch = readings(&texts);
        let tree = Tree::new(&batch).unwrap();
        let path = tree.path(at.index(size) as u32).unwrap();
        let path = fieldledger_attest::evidence::Path::from(path);
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }
}
