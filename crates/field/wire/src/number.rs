//! Numbers, in any spelling that is exactly a number.
//!
//! `60000`, `60000.0`, `6e4` and `"60000"` are one number. `6,3`, `1_000`, `0x10` and `NaN` are none:
//! what was meant would be a guess.

use serde_json::Value;

use crate::text::trimmed_text;

/// The longest number, in bytes. The longest that a 64-bit float can need is 24.
pub const MAX_NUMBER_BYTES: usize = 64;

/// The largest exponent that a whole number is looked for behind, either way.
const EXPONENTS: i64 = 1_000;

/// Whether the text, as it stands, is a finite decimal number.
pub(crate) fn is_number(text: &str) -> bool {
    let decimal = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let fits = text.len() <= MAX_NUMBER_BYTES && text.bytes().all(decimal);
    fits && text.parse().is_ok_and(f64::is_finite)
}

/// What a text that is no number should have been.
pub(crate) fn instead_of(text: &str) -> &'static str {
    let text = trimmed_text(text);
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.trim_start_matches(['+', '-']);
    if matches!(unsigned, "nan" | "inf" | "infinity") {
        return "a finite number; a device without a value leaves the poll unanswered";
    }
    if is_number(&text.replacen(',', ".", 1)) {
        return "a finite number with a point for the decimals, not a comma";
    }
    if is_number(&text.replace(['_', ',', ' ', '\''], "")) {
        return "a finite number without a separator between its digits";
    }
    if unsigned.starts_with("0x") {
        return "a finite number in decimal, not hexadecimal";
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c));
    if end.is_some_and(|end| is_number(&text[..end])) {
        return "a finite number alone; a unit belongs into the field unit";
    }
    "a finite number, or a string that holds one"
}

/// A decimal number times a power of ten, as a whole number; none where it is negative, too large, or
/// where digits would be lost that `cut` does not allow.
pub(crate) fn scaled(text: &str, places: i64, cut: bool) -> Option<u64> {
    if !is_number(text) {
        return None;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let is_negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['+', '-']);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    if is_negative || exponent.abs() > EXPONENTS {
        return None;
    }
    let shift = exponent + places - i64::try_from(fraction.len()).ok()?;
    if shift >= 0 {
        let zeros = "0".repeat(usize::try_from(shift).ok()?);
        return [digits, &zeros].concat().parse().ok();
    }
    let lost = usize::try_from(-shift).ok()?;
    let (kept, rest) = match digits.len().checked_sub(lost) {
        Some(at) => digits.split_at(at),
        None => ("", digits),
    };
    if !cut && rest.bytes().any(|digit| digit != b'0') {
        return None;
    }
    match kept {
        "" => Some(0),
        kept => kept.parse().ok(),
    }
}

/// A whole number in any spelling.
pub(crate) fn whole(text: &str) -> Option<u64> {
    scaled(trimmed_text(text), 0, false)
}

/// A whole number in JSON.
pub(crate) fn whole_of(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(&number.to_string())),
        Value::String(text) => whole(text),
        _ => None,
    }
}

/// A finite number in JSON.
pub(crate) fn float_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64().filter(|number| number.is_finite()),
        Value::String(text) => {
            let text = trimmed_text(text);
            text.parse().ok().filter(|_| is_number(text))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_whole_number_is_one_in_every_spelling() {
        for text in [
            "60000",
            "60000.0",
            "6e4",
            "6E+4",
            "+60000",
            " 60000 ",
            "600000e-1",
            "0.6e5",
            "060000",
        ] {
            assert_eq!(whole(text), Some(60_000), "{text}");
        }
        for text in [
            "60000.5", "-60000", "1e999", "6,0", "0x10", "", "e4", ".", "1_000", "1e-1001",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
        for text in ["0", "-0", "0.0", "0e9"] {
            assert_eq!(whole(text), Some(0), "{text}");
        }
        assert_eq!(whole("18446744073709551615"), Some(u64::MAX));
        assert_eq!(whole("18446744073709551616"), None);
    }

    #[test]
    fn seconds_become_microseconds_without_a_float_between() {
        assert_eq!(
            scaled("1767323045.123456", 6, true),
            Some(1_767_323_045_123_456)
        );
        assert_eq!(
            scaled("1767323045.1234569", 6, true),
            Some(1_767_323_045_123_456)
        );
        assert_eq!(scaled("1767323045.1234569", 6, false), None);
        assert_eq!(scaled("0.0000001", 6, true), Some(0));
    }

    #[test]
    fn what_is_no_number_hears_what_would_be_right() {
        for (text, hint) in [
            ("6,3", "comma"),
            ("1_000", "separator"),
            ("1 000", "separator"),
            ("NaN", "finite"),
            ("-Infinity", "finite"),
            ("0x10", "decimal"),
            ("21.5 °C", "unit"),
            ("21.5C", "unit"),
            ("ok", "a finite number, or a string"),
            ("1e999", "a finite number, or a string"),
        ] {
            assert!(!is_number(text), "{text}");
            assert!(
                instead_of(text).contains(hint),
                "{text}: {}",
                instead_of(text)
            );
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn every_whole_number_is_found_behind_every_exponent(number in any::<u64>(), places in 0_u32..6) {
            prop_assert_eq!(whole(&number.to_string()), Some(number));
            let scaled_down = format!("{number}e-{places}");
            let divisor = 10_u64.pow(places);
            let expected = number.is_multiple_of(divisor).then(|| number / divisor);
            prop_assert_eq!(whole(&scaled_down), expected);
        }

        #[test]
        fn any_text_is_looked_at_without_panic(text in "\\PC{0,80}") {
            let _ = whole(&text);
            let _ = instead_of(&text);
        }
    }
}
