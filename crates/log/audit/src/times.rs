//! Times as people and programs write them: the one grammar of searches, series, gaps and retention,
//! over HTTP, in Pangea's API and on the command line. `docs/searching.md` describes it.

use fieldledger_contract::WallTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// What is understood, for error messages.
pub const ACCEPTED: &str = "2026-01-02T03:04:05Z, 2026-01-02, a span before now such as 90s, 15m, \
     2h, 7d, 2w, 1month or 1y, now, or milliseconds since 1970";

/// The numbers that are milliseconds since 1970: those of the years 1973 to 5138. What is smaller or
/// larger was meant in another unit.
const MILLISECONDS: std::ops::Range<u128> = 100_000_000_000..100_000_000_000_000;

/// Characters of a text that a message repeats.
const EXCERPT: usize = 40;

/// A text that is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    /// A number that makes sense in another unit.
    #[error(
        "{given} looks like {unit} since 1970, and a number is milliseconds: write {milliseconds} \
         or {rfc3339}"
    )]
    Unit {
        /// What was given.
        given: String,
        /// The unit that it seems to have.
        unit: &'static str,
        /// The same time in milliseconds.
        milliseconds: u128,
        /// The same time in RFC 3339.
        rfc3339: String,
    },
    /// A span with a sign.
    #[error("{0:?} has a sign; a span before now is written without, such as 15m")]
    Sign(String),
    /// Anything else.
    #[error("{0:?} is not a time; give {ACCEPTED}")]
    NoTime(String),
}

/// A span that ends before it begins, or at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} is not before the end, {}; the end is not included", .start.to_rfc3339(), .end.to_rfc3339())]
pub struct EmptySpan {
    start: WallTime,
    end: WallTime,
}

/// Checks that a span of time has something in it: the start is included, the end is not.
///
/// # Errors
///
/// Where it has nothing.
pub fn check_span(start: Option<WallTime>, end: Option<WallTime>) -> Result<(), EmptySpan> {
    match (start, end) {
        (Some(start), Some(end)) if start >= end => Err(EmptySpan { start, end }),
        _ => Ok(()),
    }
}

/// The time that `text` means at the time `now`. Times before 1970 mean 1970.
///
/// # Errors
///
/// What would be right.
pub fn parse(text: &str, now: WallTime) -> Result<WallTime, TimeFault> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Ok(now);
    }
    if text.starts_with(|first: char| first.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return number(text);
    }
    if let Some(time) = point(text) {
        return Ok(time);
    }
    if let Some(time) = before(text, now) {
        return Ok(time);
    }
    let given = excerpt(text);
    let unsigned = text.strip_prefix(['-', '+']);
    Err(match unsigned.and_then(|span| before(span, now)) {
        Some(_) => TimeFault::Sign(given),
        None => TimeFault::NoTime(given),
    })
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT).collect()
}

fn number(text: &str) -> Result<WallTime, TimeFault> {
    let no_time = || TimeFault::NoTime(excerpt(text));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u128 = whole.parse().map_err(|_| no_time())?;
    if fraction.is_empty() && !text.contains('.') && MILLISECONDS.contains(&whole) {
        // It is below 2^47, see the bounds.
        let micros = u64::try_from(whole * 1_000).map_err(|_| no_time())?;
        return Ok(WallTime::from_micros(micros));
    }
    let per_millisecond = [
        ("seconds", 1, 1_000),
        ("microseconds", 1_000, 1),
        ("nanoseconds", 1_000_000, 1),
    ];
    for (unit, divisor, factor) in per_millisecond {
        // One that is too large for this is no time in any unit.
        let milliseconds = (whole / divisor).saturating_mul(factor);
        if MILLISECONDS.contains(&milliseconds) {
            let micros = u64::try_from(milliseconds * 1_000).map_err(|_| no_time())?;
            return Err(TimeFault::Unit {
                given: excerpt(text),
                unit,
                milliseconds,
                rfc3339: WallTime::from_micros(micros).to_rfc3339(),
            });
        }
    }
    Err(no_time())
}

/// A date, or a date and a time of day; UTC where no offset says otherwise.
fn point(text: &str) -> Option<WallTime> {
    if !text.is_ascii() || text.len() < 10 {
        return None;
    }
    let (date, rest) = text.split_at(10);
    if !matches_pattern(date, "dddd-dd-dd") {
        return None;
    }
    let clock = match rest.as_bytes() {
        [] => "00:00:00Z".to_owned(),
        [b'T' | b't' | b' ', ..] => clock(&rest[1..])?,
        _ => return None,
    };
    let timestamp: Timestamp = format!("{date}T{clock}").parse().ok()?;
    Some(wall_time(timestamp))
}

/// Seconds, their fraction and the offset may be left out. A plus sign that became a space on its
/// way through a URL is one.
fn clock(text: &str) -> Option<String> {
    let (minutes, rest) = text.split_at_checked(5)?;
    if !matches_pattern(minutes, "dd:dd") {
        return None;
    }
    let (seconds, rest) = match rest.as_bytes() {
        [b':', _, _, ..] => rest.split_at(3),
        _ => (":00", rest),
    };
    let digits = rest.strip_prefix('.').map_or(0, |fraction| {
        1 + fraction.bytes().take_while(u8::is_ascii_digit).count()
    });
    let (fraction, offset) = rest.split_at(digits);
    let offset = match offset.as_bytes() {
        [] | [b'Z' | b'z'] => "Z".to_owned(),
        [b' ', ..] => format!("+{}", &offset[1..]),
        _ => offset.to_owned(),
    };
    let is_offset =
        offset == "Z" || matches_pattern(&offset, "+dd:dd") || matches_pattern(&offset, "-dd:dd");
    let is_clock = matches_pattern(seconds, ":dd") && fraction != "." && is_offset;
    is_clock.then(|| format!("{minutes}{seconds}{fraction}{offset}"))
}

/// A span before now, such as `90s`, `120min`, `1h 30m`, `2months`, `15m ago` or `now-15m`.
fn before(text: &str, now: WallTime) -> Option<WallTime> {
    let text = text.strip_prefix("now-").unwrap_or(text);
    let text = text.strip_suffix("ago").unwrap_or(text).trim_end();
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let span: Span = text.parse().ok()?;
    let now = i64::try_from(now.micros).unwrap_or(i64::MAX);
    let now = Timestamp::from_microsecond(now).unwrap_or(Timestamp::MAX);
    let then = now.to_zoned(TimeZone::UTC).saturating_sub(span);
    Some(wall_time(then.timestamp()))
}

fn wall_time(timestamp: Timestamp) -> WallTime {
    WallTime::from_micros(u64::try_from(timestamp.as_microsecond()).unwrap_or(0))
}

/// `d` stands for a digit, all else for itself.
fn matches_pattern(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text
            .bytes()
            .zip(pattern.bytes())
            .all(|(byte, expected)| match expected {
                b'd' => byte.is_ascii_digit(),
                _ => byte == expected,
            })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> WallTime {
        WallTime::from_micros(crate::timestamp::to_micros(text).unwrap())
    }

    fn at(text: &str) -> String {
        parse(text, time("2026-03-31T12:00:00Z"))
            .unwrap()
            .to_rfc3339()
    }

    #[test]
    fn points_in_time_are_read() {
        for (text, expected) in [
            (
                "2026-01-02T03:04:05.000006+01:00",
                "2026-01-02T02:04:05.000006Z",
            ),
            ("2026-01-02T03:04:05 01:00", "2026-01-02T02:04:05.000000Z"),
            ("2026-01-02t03:04:05z", "2026-01-02T03:04:05.000000Z"),
            // Without a zone UTC is meant.
            ("2026-01-02T03:04:05", "2026-01-02T03:04:05.000000Z"),
            ("2026-01-02T03:04:05.123456", "2026-01-02T03:04:05.123456Z"),
            ("2026-01-02 03:04:05", "2026-01-02T03:04:05.000000Z"),
            ("2026-01-02T03:04", "2026-01-02T03:04:00.000000Z"),
            ("2026-01-02T03:04-02:00", "2026-01-02T05:04:00.000000Z"),
            (" 2026-01-02 ", "2026-01-02T00:00:00.000000Z"),
            ("1967-01-02", "1970-01-01T00:00:00.000000Z"),
            ("1767323045006", "2026-01-02T03:04:05.006000Z"),
            ("now", "2026-03-31T12:00:00.000000Z"),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
    }

    #[test]
    fn spans_before_now_are_read() {
        for (text, expected) in [
            ("0s", "2026-03-31T12:00:00.000000Z"),
            ("90s", "2026-03-31T11:58:30.000000Z"),
            ("15m", "2026-03-31T11:45:00.000000Z"),
            ("now-15m", "2026-03-31T11:45:00.000000Z"),
            ("15 minutes ago", "2026-03-31T11:45:00.000000Z"),
            ("120min", "2026-03-31T10:00:00.000000Z"),
            ("12h", "2026-03-31T00:00:00.000000Z"),
            ("1.5h", "2026-03-31T10:30:00.000000Z"),
            ("1h 30m", "2026-03-31T10:30:00.000000Z"),
            ("1h30m", "2026-03-31T10:30:00.000000Z"),
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
    fn a_unit_has_several_spellings() {
        for spellings in [
            &["s", "sec", "second", "seconds"][..],
            &["m", "min", "minute", "minutes"],
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
    fn numbers_in_another_unit_are_refused_with_what_is_right() {
        for (text, unit) in [
            ("1767323045", "seconds"),
            ("1767323045.25", "seconds"),
            ("1767323045000000", "microseconds"),
            ("1767323045000000000", "nanoseconds"),
        ] {
            let fault = parse(text, time("2026-03-31T12:00:00Z"))
                .unwrap_err()
                .to_string();
            for part in [unit, "write 1767323045000 or 2026-01-02T03:04:05.000000Z"] {
                assert!(fault.contains(part), "{text}: {fault}");
            }
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "d",
            "7",
            "0",
            "1.5",
            ".",
            "7 parsecs",
            "15x",
            "yesterday",
            "tomorrow",
            "PT15M",
            "99999999999999999999d",
            "2026-13-01T00:00:00Z",
            "2026-02-30",
            "2026-01-02T",
            "2026-01-02T03",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05Z[UTC]",
            "2026-01-02T03:04:05+0100",
            "20260102",
            "340282366920938463463374607431768211455",
            "99999999999999999999999999999999999999999999",
            "\u{661}\u{662}",
            "2026-01-0\u{e9}",
        ] {
            let fault = parse(text, WallTime::default()).unwrap_err();
            assert!(matches!(fault, TimeFault::NoTime(_)), "{text}: {fault}");
            assert!(fault.to_string().contains(ACCEPTED), "{text}: {fault}");
        }
        for text in ["-15m", "+7d"] {
            let fault = parse(text, WallTime::default()).unwrap_err();
            assert_eq!(fault, TimeFault::Sign(text.to_owned()));
        }
    }

    #[test]
    fn a_span_has_something_in_it() {
        let (early, late) = (WallTime::from_seconds(1), WallTime::from_seconds(2));
        assert_eq!(check_span(Some(early), Some(late)), Ok(()));
        assert_eq!(check_span(None, Some(late)), Ok(()));
        assert_eq!(check_span(Some(late), None), Ok(()));
        assert!(check_span(Some(late), Some(late)).is_err());
        let fault = check_span(Some(late), Some(early)).unwrap_err().to_string();
        assert!(
            fault.starts_with("1970-01-01T00:00:02.000000Z is not before"),
            "{fault}"
        );
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_text_is_read_or_refused(text: String, number: u64, now: u64) {
            let now = WallTime::from_micros(now);
            let _ = parse(&text, now);
            let _ = parse(&format!("{number}"), now);
            let _ = parse(&format!("{number}d"), now);
            let _ = parse(&format!("{number}months"), now);
            let _ = parse(&format!("2026-01-02{text}"), now);
            let _ = parse(&format!("2026-01-02T03:04{text}"), now);
        }

        #[test]
        fn a_written_time_reads_back(micros in 0_u64..253_402_207_200_000_000) {
            let time = WallTime::from_micros(micros);
            prop_assert_eq!(parse(&time.to_rfc3339(), WallTime::default()), Ok(time));
        }
    }
}
