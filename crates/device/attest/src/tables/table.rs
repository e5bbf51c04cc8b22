//! Multiples of a point, so that a product with a number of 256 bits costs few doublings.
//!
//! The number is written in signed odd digits, few of which are not zero: with digits below 2^5 every
//! sixth. A table has the odd multiples of the point at every [`SPACING`]th power of two, so that all
//! digits of one residue are added between two doublings.

use std::boxed::Box;
use std::vec::Vec;

use super::point::{Addend, Point, addends};

/// Bits between two powers of two in a table, and so one more than there are doublings.
pub(super) const SPACING: usize = 32;

/// Powers of two in a table.
const POWERS: usize = 256 / SPACING;

/// The digits of a number, lowest first, at each of its 256 bits.
pub(super) type Digits = [i16; 256];

/// Odd multiples of one point. `BITS` is that of a digit: a table has 2^(BITS - 2) multiples for each
/// power of two.
pub(super) struct Table<const BITS: usize>(Box<[Addend]>);

impl<const BITS: usize> Table<BITS> {
    const MULTIPLES: usize = 1 << (BITS - 2);

    pub(super) const BYTES: usize = POWERS * Self::MULTIPLES * size_of::<Addend>();

    pub(super) fn new(point: &Point) -> Self {
        let mut powers = [*point; POWERS];
        for place in 1..POWERS {
            let before = powers[place - 1];
            powers[place] = (0..SPACING).fold(before, |power, _| power.doubled());
        }
        let twice = addends(&powers.map(|power| power.doubled()));
        let mut points = Vec::with_capacity(POWERS * Self::MULTIPLES);
        for (power, twice) in powers.iter().zip(&twice) {
            let mut multiple = *power;
            for _ in 0..Self::MULTIPLES {
                points.push(multiple);
                multiple = multiple.plus(twice);
            }
        }
        Self(addends(&points))
    }

    /// The digits of a number below 2^255, little-endian: the number is the sum of digit * 2^place.
    pub(super) fn digits(number: &[u8; 32]) -> Digits {
        let mut digits = [0; 256];
        let mut words = [0_u64; 5];
        let (chunks, _) = number.as_chunks();
        for (word, chunk) in words.iter_mut().zip(chunks) {
            *word = u64::from_le_bytes(*chunk);
        }
        let bits = |place: usize| {
            let (word, shift) = (place / 64, place % 64);
            let low = words[word] >> shift;
            // Twice, because a shift by 64 is none.
            let high = words[word + 1] << 1 << (63 - shift);
            (low | high) as u32
        };
        let (mut place, mut carry) = (0, 0);
        while place < 256 {
            let window = (bits(place) & ((1 << BITS) - 1)) + carry;
            if window & 1 == 0 {
                place += 1;
                continue;
            }
            carry = window >> (BITS - 1);
            // Of BITS bits and a sign, and BITS is at most 8.
            digits[place] = window as i16 - ((carry as i16) << BITS);
            place += BITS;
        }
        digits
    }

    /// Adds to `sum` what the digits have at this residue of [`SPACING`].
    #[inline]
    pub(super) fn add(&self, mut sum: Point, digits: &Digits, residue: usize) -> Point {
        for power in 0..POWERS {
            let digit = digits[power * SPACING + residue];
            if digit == 0 {
                continue;
            }
            let multiple = &self.0[power * Self::MULTIPLES + usize::from(digit.unsigned_abs() / 2)];
            sum = match digit > 0 {
                true => sum.plus(multiple),
                false => sum.minus(multiple),
            };
        }
        sum
    }
}
