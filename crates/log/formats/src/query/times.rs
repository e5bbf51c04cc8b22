//! Times in a search: RFC 3339, or a span before now.

use fieldledger_audit::timestamp;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A text that is neither a time nor a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is {0:?}; it must be a time such as 2026-01-02T03:04:05Z, or a span before now such as 90s, \
     120min, 12h, 7d, 2w, 2months or 1y"
)]
pub struct TimeFault(String);

/// Microseconds since the Unix epoch that `text` means at the time `now`: an RFC 3339 time, or a
/// span before now, such as `7d`, `120min`, `2months` or `1h 30m`, as [`Span`] reads it. Spans that
/// reach back before 1970 mean 1970.
///
/// # Errors
///
/// What would be right.
pub fn parse(text: &str, now: u64) -> Result<u64, TimeFault> {
    if let Some(micros) = timestamp::to_micros(text) {
        return Ok(micros);
    }
    before(text.trim(), now).ok_or_else(|| TimeFault(text.chars().take(40).collect()))
}

fn before(text: &str, now: u64) -> Option<u64> {
    let span: Span = text.parse().ok()?;
    if span.is_negative() {
        return None;
    }
    let now = Timestamp::from_microsecond(i64::try_from(now).ok()?).ok()?;
    let then = now.to_zoned(TimeZone::UTC).saturating_sub(span);
    Some(u64::try_from(then.timestamp().as_microsecond()).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    const NOW: &str = "2026-03-31T12:00:00Z";

    fn at(text: &str) -> String {
        let now = timestamp::to_micros(NOW).unwrap();
        timestamp::from_micros(parse(text, now).unwrap()).unwrap()
    }

    #[test]
    fn times_and_spans_are_read() {
        for (text, expected) in [
            (
                "2026-01-02T03:04:05.000006+01:00",
                "2026-01-02T02:04:05.000006Z",
            ),
            ("90s", "2026-03-31T11:58:30.000000Z"),
            ("120min", "2026-03-31T10:00:00.000000Z"),
            ("12h", "2026-03-31T00:00:00.000000Z"),
            ("7d", "2026-03-24T12:00:00.000000Z"),
            ("1h 30m", "2026-03-31T10:30:00.000000Z"),
            ("2w", "2026-03-17T12:00:00.000000Z"),
            ("1month", "2026-02-28T12:00:00.000000Z"),
            ("1y", "2025-03-31T12:00:00.000000Z"),
            ("900years", "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
    }

    #[test]
    fn a_unit_has_several_spellings() {
        for spellings in [
            &["s", "sec", "second", "seconds"][..],
            &["min", "minute", "minutes"],
            &["h", "hour", "hours"],
            &["d", "day", "days"],
            &["w", "week", "weeks"],
            &["month", "months"],
            &["y", "year", "years"],
        ] {
            let first = at(&format!("2{}", spellings[0]));
            for spelling in spellings {
                assert_eq!(at(&format!("2{spelling}")), first);
                assert_eq!(at(&format!(" 2 {spelling} ")), first);
            }
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "d",
            "7",
            "7 parsecs",
            "-7d",
            "7d ago",
            "99999999999999999999d",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(parse(text, 0).is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_text_is_read_or_refused(text: String, number: u64, now: u64) {
            let _ = parse(&text, now);
            let _ = parse(&format!("{number}d"), now);
            let _ = parse(&format!("{number}months"), now);
        }
    }
}
