//! A measured value with two decimals, exact.

use std::fmt;

/// A number of hundredths.
///
/// Sensors give at most two decimals. As an integer the value is the same on every machine, and a
/// test may compare it for equality. It is written the way the original wrote it: without trailing
/// zeros (`21.37`, `21.4`, `21`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hundredths(i64);

impl Hundredths {
    /// Cuts off what is beyond the second decimal.
    #[must_use]
    pub fn truncated(value: f64) -> Self {
        Self((value * 100.0).trunc() as i64)
    }

    /// The value as a float.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 100.0
    }
}

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs() / 100;
        match self.0.unsigned_abs() % 100 {
            0 => write!(f, "{sign}{whole}"),
            tens if tens % 10 == 0 => write!(f, "{sign}{whole}.{}", tens / 10),
            both => write!(f, "{sign}{whole}.{both:02}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_written_without_trailing_zeros() {
        for (value, text) in [
            (21.379, "21.37"),
            (21.4, "21.4"),
            (21.0, "21"),
            (0.05, "0.05"),
            (-0.5, "-0.5"),
            (-0.004, "0"),
            (0.0, "0"),
        ] {
            assert_eq!(Hundredths::truncated(value).to_string(), text);
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn text_and_float_agree(hundredths in -10_000_000_i64..10_000_000) {
            let value = Hundredths(hundredths);
            prop_assert_eq!(value.to_string().parse::<f64>().unwrap(), value.as_f64());
        }
    }
}
