//! Times in a search: RFC 3339, or a span before now.

use fieldledger_audit::timestamp;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Microseconds since the Unix epoch that `text` means at the time `now`: an RFC 3339 time, or a
/// number and a unit before now, such as `7d`, `120min` or `2months`. Spans that reach back before
/// 1970 mean 1970.
///
/// # Errors
///
/// What would be right.
pub(crate) fn parse(text: &str, now: u64) -> Result<u64, String> {
    if let Some(micros) = timestamp::to_micros(text) {
        return Ok(micros);
    }
    before(text.trim(), now).ok_or_else(|| {
        let begin: String = text.chars().take(40).collect();
        format!(
            "is {begin:?}; it must be a time such as 2026-01-02T03:04:05Z, or a span before now such \
             as 90s, 120min, 12h, 7d, 2w, 2months or 1y"
        )
    })
}

fn before(text: &str, now: u64) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let span = Span::new();
    let span = match unit.trim() {
        "s" | "sec" | "second" | "seconds" => span.try_seconds(number),
        "min" | "minute" | "minutes" => span.try_minutes(number),
        "h" | "hour" | "hours" => span.try_hours(number),
        "d" | "day" | "days" => span.try_days(number),
        "w" | "week" | "weeks" => span.try_weeks(number),
        "month" | "months" => span.try_months(number),
        "y" | "year" | "years" => span.try_years(number),
        _ => return None,
    };
    let now = Timestamp::from_microsecond(i64::try_from(now).ok()?).ok()?;
    let then = now.to_zoned(TimeZone::UTC).saturating_sub(span.ok()?);
    Some(u64::try_from(then.timestamp().as_microsecond()).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
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
            ("2w", "2026-03-17T12:00:00.000000Z"),
            ("1month", "2026-02-28T12:00:00.000000Z"),
            ("1y", "2025-03-31T12:00:00.000000Z"),
            ("900years", "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "d",
            "7",
            "7 parsecs",
            "-7d",
            "99999999999999999999d",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(parse(text, 0).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, number: u64, now: u64) {
            let _ = parse(&text, now);
            let _ = parse(&format!("{number}d"), now);
            let _ = parse(&format!("{number}months"), now);
        }
    }
}
