//! Points of edwards25519, and their addition (RFC 8032, section 5.1.4): formulas without exceptions, so
//! that no choice of points makes them wrong.

use std::boxed::Box;
use std::vec::Vec;

use super::field::{Number, ONE, ZERO, invert_all};

/// A point as x = X/Z, y = Y/Z and x * y = T/Z.
#[derive(Clone, Copy)]
pub(super) struct Point {
    x: Number,
    y: Number,
    z: Number,
    t: Number,
}

/// A point as an addition wants it: y + x, y - x and 2 * d * x * y.
#[derive(Clone, Copy)]
pub(super) struct Addend {
    sum: Number,
    difference: Number,
    product: Number,
}

/// The curve's d, -121665/121666, little-endian.
const D: [u8; 32] = [
    0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
    0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52,
];

/// A square root of -1, little-endian.
const ROOT_OF_MINUS_ONE: [u8; 32] = [
    0xb0, 0xa0, 0x0e, 0x4a, 0x27, 0x1b, 0xee, 0xc4, 0x78, 0xe4, 0x2f, 0xad, 0x06, 0x18, 0x43, 0x2f,
    0xa7, 0xd7, 0xfb, 0x3d, 0x99, 0x00, 0x4d, 0x2b, 0x0b, 0xdf, 0xc1, 0x4f, 0x80, 0x24, 0x83, 0x2b,
];

impl Point {
    pub(super) const NEUTRAL: Self = Self {
        x: ZERO,
        y: ONE,
        z: ONE,
        t: ZERO,
    };

    /// Reads a point (RFC 8032, section 5.1.3). None where there is no such point.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let y = Number::from_bytes(bytes);
        let y2 = y.squared();
        let u = y2.minus(&ONE).carried();
        let v = y2.times(&Number::from_bytes(&D)).plus(&ONE).carried();
        let v3 = v.squared().times(&v);
        let v7 = v3.squared().times(&v);
        let root = u.times(&v3).times(&u.times(&v7).root_power());
        let square = root.squared().times(&v);
        let mut x = if square.equals(&u) {
            root
        } else if square.equals(&u.negated()) {
            root.times(&Number::from_bytes(&ROOT_OF_MINUS_ONE))
        } else {
            return None;
        };
        let wants_odd = bytes[31] >> 7 == 1;
        if x.is_odd() != wants_odd {
            x = x.negated();
        }
        Some(Self {
            x,
            y,
            z: ONE,
            t: x.times(&y),
        })
    }

    /// The only spelling of the point.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let inverse = self.z.inverted();
        let mut bytes = self.y.times(&inverse).to_bytes();
        if self.x.times(&inverse).is_odd() {
            bytes[31] |= 0x80;
        }
        bytes
    }

    pub(super) fn negated(&self) -> Self {
        Self {
            x: self.x.negated(),
            t: self.t.negated(),
            ..*self
        }
    }

    #[inline]
    pub(super) fn doubled(&self) -> Self {
        let x2 = self.x.squared();
        let y2 = self.y.squared();
        let z2 = self.z.squared();
        let h = x2.plus(&y2).carried();
        let e = h.minus(&self.x.plus(&self.y).squared());
        let g = x2.minus(&y2).carried();
        let f = z2.plus(&z2).carried().plus(&g);
        let (g, h) = (g.relaxed(), h.relaxed());
        // The sum of two reduced numbers is within the bounds of a product.
        Self {
            x: e.times(&f),
            y: g.times(&h),
            z: f.times(&g),
            t: e.times(&h),
        }
    }

    #[inline]
    pub(super) fn plus(&self, other: &Addend) -> Self {
        let a = self.y.minus(&self.x).times(&other.difference.relaxed());
        let b = self.y.plus(&self.x).times(&other.sum.relaxed());
        self.added(&a, &b, &other.product)
    }

    #[inline]
    pub(super) fn minus(&self, other: &Addend) -> Self {
        let a = self.y.minus(&self.x).times(&other.sum.relaxed());
        let b = self.y.plus(&self.x).times(&other.difference.relaxed());
        self.added(&a, &b, &other.product.negated())
    }

    #[inline]
    fn added(&self, a: &Number, b: &Number, product: &Number) -> Self {
        let c = self.t.times(product);
        let d = self.z.plus(&self.z).carried();
        let (e, f) = (b.minus(a), d.minus(&c));
        let (g, h) = (d.plus(&c), b.plus(a));
        Self {
            x: e.times(&f),
            y: g.times(&h),
            z: f.times(&g),
            t: e.times(&h),
        }
    }

    /// True for the eight points of small order.
    pub(super) fn is_small(&self) -> bool {
        let eightfold = self.doubled().doubled().doubled();
        eightfold.x.equals(&ZERO) && eightfold.y.equals(&eightfold.z)
    }
}

/// All of them as an addition wants them.
pub(super) fn addends(points: &[Point]) -> Box<[Addend]> {
    let mut inverses: Vec<Number> = points.iter().map(|point| point.z).collect();
    invert_all(&mut inverses);
    let d = Number::from_bytes(&D);
    let two_d = d.plus(&d).carried();
    let addend = |(point, inverse): (&Point, &Number)| {
        let (x, y) = (point.x.times(inverse), point.y.times(inverse));
        Addend {
            sum: y.plus(&x).carried(),
            difference: y.minus(&x).carried(),
            product: x.times(&y).times(&two_d),
        }
    };
    points.iter().zip(&inverses).map(addend).collect()
}
