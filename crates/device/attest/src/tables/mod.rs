//! The strict verification of a signature, cheaper for keys that were seen before.
//!
//! The check is that of [`crate::identity`], to the bit: s below the group's order, R not of small order,
//! and R equal, byte by byte, to the spelling of s * B - k * A. It is exact for each signature alone, with no
//! random coefficients and no cofactor, so a batch of which one is wrong is no case of its own. What is saved
//! are the doublings: of 252 there are 31, because odd multiples of A and of B at every 32nd power of two are
//! in tables, and the square root for R, which is compared and not read.
//!
//! Measured in one run on cores that others used as well, 4,000 keys: 39 µs as ed25519-dalek verifies strictly
//! (its AVX2 code was in use), 28 µs with tables. Its batches of 64 took 15 to 23 µs; they are not strict, and
//! would have to prove for each R besides that it is free of torsion (`docs/performance.md`).
//!
//! | module | holds |
//! |---|---|
//! | `field` | numbers modulo 2^255 - 19 |
//! | `point` | points, their addition, their spelling |
//! | `table` | multiples of one point |

mod field;
mod point;
mod table;

use core::fmt;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::vec::Vec;

use curve25519_dalek::Scalar;
use sha2::{Digest as _, Sha512};

use self::point::Point;
use self::table::{SPACING, Table};
use crate::identity::PublicKey;
use crate::signature::Signature;

/// Bits of a digit of what keys are multiplied with: 64 multiples of each key, 7,680 bytes.
const KEY_BITS: usize = 5;

/// Bits of a digit of what B is multiplied with: 512 multiples, 60 KiB.
const BASE_BITS: usize = 8;

/// Verifications for each table, after which one that none of them used may be given up. A table costs
/// as much as two or three strict verifications, so making one for every signature would cost more than none.
const IDLE_AFTER: u64 = 8;

/// The generator B of RFC 8032, section 5.1.
static BASE: LazyLock<Table<BASE_BITS>> = LazyLock::new(|| {
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    Table::new(&Point::from_bytes(&bytes).expect("the generator of RFC 8032 is a point"))
});

/// Public keys and their tables, as many as there is room for.
///
/// A key gets a table with its first signature that holds, while there is room; after that only in place of
/// one that is not used. The signatures of keys without one are verified by the same rules, without.
pub struct KnownKeys {
    tables: Vec<KeyTable>,
    places: HashMap<PublicKey, usize>,
    room: usize,
    /// Verifications so far.
    now: u64,
    /// The next table that may have to go.
    hand: usize,
}

struct KeyTable {
    key: PublicKey,
    /// Of -A.
    minus: Table<KEY_BITS>,
    /// The last verification that used it.
    used: u64,
}

impl KnownKeys {
    /// None yet, and at most as many as fit in so many bytes.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        Self {
            tables: Vec::new(),
            places: HashMap::new(),
            room: bytes / Table::<KEY_BITS>::BYTES,
            now: 0,
            hand: 0,
        }
    }

    /// True where `key` signed `message`, by the strict rules.
    pub(crate) fn verifies(
        &mut self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> bool {
        self.now += 1;
        if let Some(place) = self.places.get(key) {
            let table = &mut self.tables[*place];
            table.used = self.now;
            return table.verifies(message, signature);
        }
        let holds = key.verifies(message, signature);
        if holds {
            self.learn(*key);
        }
        holds
    }

    fn learn(&mut self, key: PublicKey) {
        if self.tables.len() < self.room {
            self.places.insert(key, self.tables.len());
            self.tables.push(KeyTable::new(key, self.now));
            return;
        }
        let Some(oldest) = self.tables.get_mut(self.hand) else {
            return;
        };
        if self.now - oldest.used > IDLE_AFTER * self.room as u64 {
            self.places.remove(&oldest.key);
            self.places.insert(key, self.hand);
            *oldest = KeyTable::new(key, self.now);
        }
        self.hand = (self.hand + 1) % self.room;
    }
}

impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownKeys")
            .field("tables", &self.tables.len())
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

impl KeyTable {
    fn new(key: PublicKey, now: u64) -> Self {
        let point = Point::from_bytes(key.as_bytes()).expect("a public key is a point");
        Self {
            key,
            minus: Table::new(&point.negated()),
            used: now,
        }
    }

    fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let (halves, _) = signature.as_bytes().as_chunks::<32>();
        let [r, s] = halves else {
            unreachable!("64 bytes are twice 32")
        };
        if Scalar::from_canonical_bytes(*s).is_none().into() {
            return false;
        }
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(self.key.as_bytes())
            .chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let base = &*BASE;
        let s = Table::<BASE_BITS>::digits(s);
        let k = Table::<KEY_BITS>::digits(k.as_bytes());
        let mut sum = Point::NEUTRAL;
        for residue in (0..SPACING).rev() {
            sum = sum.doubled();
            sum = base.add(sum, &s, residue);
            sum = self.minus.add(sum, &k, residue);
        }
        sum.to_bytes() == *r && !sum.is_small()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;
    use crate::identity::DeviceKey;

    /// A signature that holds but for torsion: that of the key's point, of R, or of both.
    fn with_torsion(
        secret: Scalar,
        nonce: Scalar,
        key_torsion: EdwardsPoint,
        r_torsion: EdwardsPoint,
        message: &[u8],
    ) -> ([u8; 32], Signature) {
        let key = (ED25519_BASEPOINT_POINT * secret + key_torsion).compress();
        let r = (ED25519_BASEPOINT_POINT * nonce + r_torsion).compress();
        (key.0, closed(secret, nonce, &key, &r, message))
    }

    /// R as given, and the s that answers it.
    fn closed(
        secret: Scalar,
        nonce: Scalar,
        key: &CompressedEdwardsY,
        r: &CompressedEdwardsY,
        message: &[u8],
    ) -> Signature {
        let hash = Sha512::new()
            .chain_update(r.as_bytes())
            .chain_update(key.as_bytes())
            .chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(r.as_bytes());
        bytes[32..].copy_from_slice((nonce + k * secret).as_bytes());
        Signature::from_bytes(bytes)
    }

    fn by_table(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        KeyTable::new(*key, 0).verifies(message, signature)
    }

    fn scalar(seed: [u8; 32]) -> Scalar {
        Scalar::from_bytes_mod_order(seed)
    }

    #[test]
    fn points_of_small_order_prove_nothing_whatever_their_spelling() {
        let secret = scalar([7; 32]);
        let key = (ED25519_BASEPOINT_POINT * secret).compress();
        let public = PublicKey::from_bytes(&key.0).unwrap();
        let mut spellings: Vec<[u8; 32]> = EIGHT_TORSION.map(|point| point.compress().0).to_vec();
        // y and x = 0 have second spellings: y + p where that is below 2^255, and -0.
        for low in [0_u8, 1] {
            for high in [0x7f_u8, 0xff] {
                let mut bytes = [0xff; 32];
                bytes[0] = 0xed + low;
                bytes[31] = high;
                spellings.push(bytes);
            }
        }
        let mut minus_zero = [0; 32];
        (minus_zero[0], minus_zero[31]) = (1, 0x80);
        spellings.push(minus_zero);
        for r in spellings {
            let signature = closed(secret, Scalar::ZERO, &key, &CompressedEdwardsY(r), b"m");
            assert!(!public.verifies(b"m", &signature), "{}", hex::encode(r));
            assert!(!by_table(&public, b"m", &signature), "{}", hex::encode(r));
        }
    }

    #[test]
    fn tables_are_bounded_and_the_idle_ones_go() {
        let mut known = KnownKeys::with_room(2 * Table::<KEY_BITS>::BYTES);
        let keys: Vec<DeviceKey> = (1..=4)
            .map(|seed| DeviceKey::from_seed(&[seed; 32]))
            .collect();
        let mut verify = |key: &DeviceKey| {
            assert!(known.verifies(&key.public(), b"m", &key.sign(b"m")));
            assert!(!known.verifies(&key.public(), b"n", &key.sign(b"m")));
            assert!(known.tables.len() <= 2 && known.places.len() == known.tables.len());
            let has_table = |key: &DeviceKey| known.places.contains_key(&key.public());
            keys.iter().map(has_table).collect::<Vec<bool>>()
        };
        assert_eq!(verify(&keys[0]), [true, false, false, false]);
        assert_eq!(verify(&keys[1]), [true, true, false, false]);
        assert_eq!(verify(&keys[2]), [true, true, false, false]);
        for _ in 0..20 {
            verify(&keys[1]);
        }
        // One table is looked at for each key that has none.
        assert_eq!(verify(&keys[3]), [true, true, false, false]);
        assert_eq!(verify(&keys[3]), [false, true, false, true]);
        let mut none = KnownKeys::with_room(0);
        assert!(none.verifies(&keys[0].public(), b"m", &keys[0].sign(b"m")));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn it_is_the_strict_verdict_whatever_torsion_there_is(
            secret in any::<[u8; 32]>(),
            nonce in any::<[u8; 32]>(),
            (of_key, of_r) in (0..8_usize, 0..8_usize),
            message in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let (of_key, of_r) = (EIGHT_TORSION[of_key], EIGHT_TORSION[of_r]);
            let (key, signature) =
                with_torsion(scalar(secret), scalar(nonce), of_key, of_r, &message);
            if let Ok(key) = PublicKey::from_bytes(&key) {
                let strict = key.verifies(&message, &signature);
                prop_assert_eq!(by_table(&key, &message, &signature), strict);
            }
        }

        #[test]
        fn one_changed_bit_is_refused_and_a_second_spelling_of_s(
            seed in any::<[u8; 32]>(),
            message in proptest::collection::vec(any::<u8>(), 1..100),
            bit in 0..512_usize,
        ) {
            let device = DeviceKey::from_seed(&seed);
            let (key, good) = (device.public(), device.sign(&message));
            prop_assert!(by_table(&key, &message, &good));
            let mut changed = *good.as_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!by_table(&key, &message, &Signature::from_bytes(changed)));
            let mut other = message.clone();
            other[0] ^= 1;
            prop_assert!(!by_table(&key, &other, &good));
            // s + L, of the same residue.
            let order = (-Scalar::ONE).to_bytes();
            let mut longer = *good.as_bytes();
            let mut carry = 1;
            for (byte, order) in longer[32..].iter_mut().zip(order) {
                let sum = u16::from(*byte) + u16::from(order) + carry;
                *byte = (sum & 0xff) as u8;
                carry = sum >> 8;
            }
            prop_assert!(!by_table(&key, &message, &Signature::from_bytes(longer)));
        }

        #[test]
        fn any_signature_has_the_strict_verdict(
            seed in any::<[u8; 32]>(),
            halves in any::<([u8; 32], [u8; 32])>(),
        ) {
            let key = DeviceKey::from_seed(&seed).public();
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&halves.0);
            bytes[32..].copy_from_slice(&halves.1);
            let signature = Signature::from_bytes(bytes);
            prop_assert_eq!(by_table(&key, b"m", &signature), key.verifies(b"m", &signature));
        }

        #[test]
        fn points_are_read_as_ed25519_dalek_reads_them(bytes in any::<[u8; 32]>()) {
            let theirs = CompressedEdwardsY(bytes).decompress();
            let ours = Point::from_bytes(&bytes);
            prop_assert_eq!(
                ours.map(Point::to_bytes),
                theirs.map(|point| point.compress().0)
            );
        }
    }
}
