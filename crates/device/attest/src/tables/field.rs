//! Numbers modulo 2^255 - 19, in the formally verified arithmetic of `fiat-crypto`.
//!
//! The types carry its bounds: what a sum or difference is, only a product takes. Nothing here takes a
//! secret, so its time may depend on what it is given.

use std::vec::Vec;

use fiat_crypto::curve25519_64::{
    fiat_25519_add, fiat_25519_carry, fiat_25519_carry_mul, fiat_25519_carry_square,
    fiat_25519_from_bytes, fiat_25519_loose_field_element, fiat_25519_opp, fiat_25519_relax,
    fiat_25519_sub, fiat_25519_tight_field_element, fiat_25519_to_bytes,
};

/// The result of a sum or difference: to be multiplied, or reduced by [`Sum::carried`].
#[derive(Clone, Copy)]
pub(super) struct Sum(fiat_25519_loose_field_element);

/// A number.
#[derive(Clone, Copy)]
pub(super) struct Number(fiat_25519_tight_field_element);

impl Sum {
    #[inline]
    pub(super) fn carried(&self) -> Number {
        let mut out = ZERO;
        fiat_25519_carry(&mut out.0, &self.0);
        out
    }

    // Not inlined: a formula of seven products in one function has LLVM shuffle limbs between vector and
    // other registers, which took a third longer.
    #[inline(never)]
    pub(super) fn times(&self, other: &Self) -> Number {
        let mut out = ZERO;
        fiat_25519_carry_mul(&mut out.0, &self.0, &other.0);
        out
    }

    #[inline(never)]
    pub(super) fn squared(&self) -> Number {
        let mut out = ZERO;
        fiat_25519_carry_square(&mut out.0, &self.0);
        out
    }
}

pub(super) const ZERO: Number = Number(fiat_25519_tight_field_element([0; 5]));
pub(super) const ONE: Number = Number(fiat_25519_tight_field_element([1, 0, 0, 0, 0]));

impl Number {
    /// The lower 255 bits, little-endian. What is not below 2^255 - 19 counts modulo that.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut bytes = *bytes;
        bytes[31] &= 0x7f;
        let mut out = ZERO;
        fiat_25519_from_bytes(&mut out.0, &bytes);
        out
    }

    /// The only spelling, below 2^255 - 19.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        fiat_25519_to_bytes(&mut bytes, &self.0);
        bytes
    }

    #[inline]
    pub(super) fn relaxed(&self) -> Sum {
        let mut out = fiat_25519_loose_field_element([0; 5]);
        fiat_25519_relax(&mut out, &self.0);
        Sum(out)
    }

    #[inline]
    pub(super) fn plus(&self, other: &Self) -> Sum {
        let mut out = fiat_25519_loose_field_element([0; 5]);
        fiat_25519_add(&mut out, &self.0, &other.0);
        Sum(out)
    }

    #[inline]
    pub(super) fn minus(&self, other: &Self) -> Sum {
        let mut out = fiat_25519_loose_field_element([0; 5]);
        fiat_25519_sub(&mut out, &self.0, &other.0);
        Sum(out)
    }

    pub(super) fn negated(&self) -> Self {
        let mut out = fiat_25519_loose_field_element([0; 5]);
        fiat_25519_opp(&mut out, &self.0);
        Sum(out).carried()
    }

    #[inline]
    pub(super) fn times(&self, other: &Self) -> Self {
        self.relaxed().times(&other.relaxed())
    }

    #[inline]
    pub(super) fn squared(&self) -> Self {
        self.relaxed().squared()
    }

    fn squared_times(&self, count: usize) -> Self {
        (0..count).fold(*self, |number, _| number.squared())
    }

    /// Of its spelling: which of a number and its negative it is.
    pub(super) fn is_odd(&self) -> bool {
        self.to_bytes()[0] & 1 == 1
    }

    pub(super) fn equals(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }

    /// To the power of 2^250 - 1, and of 11.
    fn powers(&self) -> (Self, Self) {
        let two = self.squared();
        let nine = two.squared_times(2).times(self);
        let eleven = nine.times(&two);
        let ones_5 = eleven.squared().times(&nine);
        let ones_10 = ones_5.squared_times(5).times(&ones_5);
        let ones_20 = ones_10.squared_times(10).times(&ones_10);
        let ones_40 = ones_20.squared_times(20).times(&ones_20);
        let ones_50 = ones_40.squared_times(10).times(&ones_10);
        let ones_100 = ones_50.squared_times(50).times(&ones_50);
        let ones_200 = ones_100.squared_times(100).times(&ones_100);
        let ones_250 = ones_200.squared_times(50).times(&ones_50);
        (ones_250, eleven)
    }

    /// One divided by it (Fermat: to the power of 2^255 - 21), and zero for zero.
    pub(super) fn inverted(&self) -> Self {
        let (ones_250, eleven) = self.powers();
        ones_250.squared_times(5).times(&eleven)
    }

    /// To the power of 2^252 - 3, from which a square root is made (RFC 8032, section 5.1.3).
    pub(super) fn root_power(&self) -> Self {
        let (ones_250, _) = self.powers();
        ones_250.squared_times(2).times(self)
    }
}

/// Inverts all of them at the price of one inversion and three products each. None is zero.
pub(super) fn invert_all(numbers: &mut [Number]) {
    let mut before = Vec::with_capacity(numbers.len());
    let mut product = ONE;
    for number in numbers.iter() {
        before.push(product);
        product = product.times(number);
    }
    let mut inverse = product.inverted();
    for (number, before) in numbers.iter_mut().zip(before).rev() {
        let own = inverse.times(&before);
        inverse = inverse.times(number);
        *number = own;
    }
}
