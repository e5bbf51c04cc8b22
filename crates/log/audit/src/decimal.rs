//! Decimal numbers of any length, compared exactly: values in the log are texts, and a double holds
//! fifteen of their digits only.

use std::cmp::Ordering;
use std::fmt;

/// Largest exponent that is read, either way; no double reaches it.
const MAX_EXPONENT: i64 = 1_000_000;

/// A number as its digits: those of 21.50 are those of 21.5.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// The number is 0.`digits` times ten to the `exponent`. The first and the last are not zero;
    /// none for the number 0.
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number such as `21.50`, `-4.7`, `+5` or `1e-3`; none for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, read_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0');
        let zeros = digits.len() - significant.len();
        let places = i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()?;
        let significant = significant.trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self {
                negative: false,
                digits: String::new(),
                exponent: 0,
            });
        }
        Some(Self {
            negative: text.starts_with('-'),
            digits: significant.to_owned(),
            exponent: exponent + places,
        })
    }
}

fn read_exponent(text: &str) -> Option<i64> {
    let exponent: i64 = text.parse().ok()?;
    (-MAX_EXPONENT..=MAX_EXPONENT)
        .contains(&exponent)
        .then_some(exponent)
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let size = || {
            let by_exponent = self.exponent.cmp(&other.exponent);
            by_exponent.then_with(|| self.digits.cmp(&other.digits))
        };
        sign(self)
            .cmp(&sign(other))
            .then_with(|| match self.negative {
                true => size().reverse(),
                false => size(),
            })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One form for each number: `0.` is left out, so 21.5 is `215e2`.
impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(formatter, "{sign}{}e{}", self.digits, self.exponent)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn one_number_has_many_spellings() {
        for (one, other) in [
            ("4.7", "4.70"),
            ("4.7", "+04.700"),
            ("4.7", "47e-1"),
            ("4.7", "0.047E+2"),
            ("0", "-0.00"),
            ("1000", "1e3"),
            (".5", "0.5"),
            ("5.", "5"),
        ] {
            assert_eq!(number(one), number(other), "{one} {other}");
            assert_eq!(number(one).to_string(), number(other).to_string());
        }
        for text in [
            "",
            "-",
            ".",
            "e3",
            "1e",
            "1e1.5",
            "0x1",
            "1,5",
            " 1",
            "1 ",
            "NaN",
            "inf",
            "--1",
            "1e9999999",
            "\u{661}",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn order_is_exact() {
        let ascending = [
            "-1e300",
            "-10",
            "-9.5",
            "-9.4999",
            "-0.001",
            "0",
            "1e-300",
            "0.009",
            "0.01",
            "1",
            "9",
            "10",
            "9007199254740992",
            "9007199254740993",
            "9007199254740993.1",
            "1e17",
        ];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn doubles_keep_their_order(one in -1e20..1e20_f64, other in -1e20..1e20_f64) {
            let (a, b) = (number(&one.to_string()), number(&other.to_string()));
            prop_assert_eq!(a.cmp(&b), one.partial_cmp(&other).unwrap());
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = Decimal::parse(&text);
        }
    }
}
