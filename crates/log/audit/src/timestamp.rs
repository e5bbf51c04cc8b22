//! RFC 3339 time stamps.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// Microseconds since the Unix epoch as RFC 3339 with exactly six fractional digits and `Z`, the
/// form that every canonical text of this system uses. None beyond the year 9999.
#[must_use]
pub fn from_micros(micros: u64) -> Option<String> {
    let timestamp = Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()?;
    Some(PRINTER.timestamp_to_string(&timestamp))
}

/// Microseconds since the Unix epoch of an RFC 3339 time stamp, finer digits cut off; none where
/// the text is none or tells of a time before 1970.
#[must_use]
pub fn to_micros(text: &str) -> Option<u64> {
    if !has_rfc3339_shape(text) {
        return None;
    }
    let timestamp: Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_microsecond()).ok()
}

/// True for a date and time with an offset as RFC 3339, section 5.6, has it.
#[must_use]
pub fn is_rfc3339(text: &str) -> bool {
    has_rfc3339_shape(text) && text.parse::<Timestamp>().is_ok()
}

/// jiff also reads other profiles of ISO 8601 (no colons, no minutes in the offset, zone names), so
/// the shape is checked apart from the calendar.
fn has_rfc3339_shape(text: &str) -> bool {
    let Some((date_and_time, rest)) = text.as_bytes().split_at_checked(19) else {
        return false;
    };
    if !matches_pattern(date_and_time, b"dddd-dd-ddTdd:dd:dd") {
        return false;
    }
    let offset = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
    };
    matches!(offset, b"Z" | b"z")
        || matches_pattern(offset, b"+dd:dd")
        || matches_pattern(offset, b"-dd:dd")
}

/// `d` stands for a digit, `T` for a T of either case, all else for itself.
fn matches_pattern(text: &[u8], pattern: &[u8]) -> bool {
    text.len() == pattern.len()
        && text
            .iter()
            .zip(pattern)
            .all(|(byte, expected)| match expected {
                b'd' => byte.is_ascii_digit(),
                b'T' => byte.eq_ignore_ascii_case(&b'T'),
                _ => byte == expected,
            })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn always_six_digits_and_z() {
        assert_eq!(from_micros(0).unwrap(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            from_micros(1_767_323_045_000_006).unwrap(),
            "2026-01-02T03:04:05.000006Z"
        );
        assert_eq!(from_micros(u64::MAX), None);
        assert_eq!(from_micros(253_402_300_800_000_000), None);
    }

    #[test]
    fn other_profiles_are_refused() {
        for good in [
            "2026-01-02T03:04:05Z",
            "2026-01-02t03:04:05.1234567z",
            "2026-01-02T03:04:05.5+01:00",
            "2026-01-02T03:04:05-11:30",
        ] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in [
            "",
            "now",
            "2026-01-02",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05+01",
            "2026-01-02T03:04:05Z[UTC]",
            "20260102T030405Z",
            "2026-13-02T03:04:05Z",
            "2026-02-30T03:04:05Z",
            "2026-01-02T03:04:05\u{e9}",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
            assert_eq!(to_micros(bad), None);
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn micros_come_back(micros in 0_u64..253_402_300_800_000_000) {
            // jiff's last second keeps room for offsets, so the very end of the year 9999 is none.
            if let Some(text) = from_micros(micros) {
                prop_assert!(is_rfc3339(&text));
                prop_assert_eq!(to_micros(&text), Some(micros));
            } else {
                prop_assert!(micros > 253_402_200_000_000_000);
            }
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = is_rfc3339(&text);
        }
    }
}
