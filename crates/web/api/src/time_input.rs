//! Times as clients write them, in three ways.

use fieldledger_contract::WallTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Deserializer, de};

use crate::problem::{FieldProblem, excerpt};

/// A time as a client gave it: RFC 3339, a span before now, or milliseconds since the Unix epoch as
/// a number or as its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeInput {
    /// Milliseconds since the Unix epoch.
    Milliseconds(i64),
    /// Anything else, as it was written.
    Text(String),
}

/// What the API accepts as a time, for error messages.
pub(crate) const ACCEPTED_TIMES: &str = "an RFC 3339 time such as 2026-01-02T03:04:05Z, \
     a span before now such as 15m, or milliseconds since 1970";

impl TimeInput {
    /// Reads a text, which may be the digits of a number of milliseconds.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text.parse() {
            Ok(milliseconds) => Self::Milliseconds(milliseconds),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    /// The text that the audit interface understands: milliseconds become RFC 3339, and any other
    /// text stays, because its checks are the audit interface's own.
    ///
    /// # Errors
    ///
    /// A sentence, where the number of milliseconds is outside the years -9999 to 9999.
    pub fn to_query_text(&self) -> Result<String, String> {
        match self {
            Self::Milliseconds(milliseconds) => {
                Ok(format!("{:.6}", timestamp_of_milliseconds(*milliseconds)?))
            }
            Self::Text(text) => Ok(text.clone()),
        }
    }

    /// The time meant, given the present one. Times before 1970 become 1970.
    ///
    /// # Errors
    ///
    /// A sentence that says what was given and what would be right.
    pub fn resolve(&self, now: WallTime) -> Result<WallTime, String> {
        match self {
            Self::Milliseconds(milliseconds) => {
                Ok(wall_time(timestamp_of_milliseconds(*milliseconds)?))
            }
            Self::Text(text) => {
                if let Ok(timestamp) = text.parse::<Timestamp>() {
                    return Ok(wall_time(timestamp));
                }
                let span = parse_span(text).ok_or_else(|| {
                    format!("{:?} is not a time; give {ACCEPTED_TIMES}", excerpt(text))
                })?;
                let now = i64::try_from(now.micros).unwrap_or(i64::MAX);
                let now = Timestamp::from_microsecond(now).unwrap_or(Timestamp::MAX);
                let then = now.to_zoned(TimeZone::UTC).saturating_sub(span);
                Ok(wall_time(then.timestamp()))
            }
        }
    }
}

impl<'de> Deserialize<'de> for TimeInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

/// Reads a time from a query parameter; a bad one goes to `problems`.
pub(crate) fn resolve(
    field: &str,
    text: Option<&str>,
    now: WallTime,
    problems: &mut Vec<FieldProblem>,
) -> Option<WallTime> {
    match TimeInput::from_text(text?).resolve(now) {
        Ok(time) => Some(time),
        Err(problem) => {
            problems.push(FieldProblem::new(field, problem));
            None
        }
    }
}

struct TimeVisitor;

impl de::Visitor<'_> for TimeVisitor {
    type Value = TimeInput;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(ACCEPTED_TIMES)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<TimeInput, E> {
        Ok(TimeInput::Milliseconds(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<TimeInput, E> {
        i64::try_from(value)
            .map(TimeInput::Milliseconds)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<TimeInput, E> {
        Ok(TimeInput::from_text(value))
    }
}

fn timestamp_of_milliseconds(milliseconds: i64) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| {
        format!("{milliseconds} ms since 1970 lies outside the calendar; give {ACCEPTED_TIMES}")
    })
}

fn wall_time(timestamp: Timestamp) -> WallTime {
    WallTime::from_micros(u64::try_from(timestamp.as_microsecond()).unwrap_or(0))
}

/// A span before now, such as `90s`, `15m`, `15min`, `2h`, `7d`, `1w` or `2months`: digits and units
/// only, although `jiff` reads spaces, signs and points as well.
fn parse_span(text: &str) -> Option<Span> {
    let starts_with_digit = text.starts_with(|character: char| character.is_ascii_digit());
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let span: Span = text.parse().ok()?;
    (starts_with_digit && is_plain && !span.is_negative()).then_some(span)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    const NOW: WallTime = WallTime::from_micros(1_767_323_045_000_006);

    #[test]
    fn the_three_ways_to_write_a_time() {
        let resolve = |text: &str| TimeInput::from_text(text).resolve(NOW);
        assert_eq!(resolve("2026-01-02T03:04:05.000006Z"), Ok(NOW));
        assert_eq!(resolve("2026-01-02T04:04:05.000006+01:00"), Ok(NOW));
        assert_eq!(
            resolve("1767323045000"),
            Ok(WallTime::from_micros(1_767_323_045_000_000))
        );
        assert_eq!(
            resolve("15m"),
            Ok(WallTime::from_micros(NOW.micros - 900_000_000))
        );
        assert_eq!(resolve("15min"), resolve("900s"));
        assert_eq!(resolve("90sec"), resolve("90s"));
        assert_eq!(resolve("7d"), resolve("1w"));
        assert_eq!(resolve("168h"), resolve("1w"));
        assert_eq!(resolve("2months"), resolve("2025-11-02T03:04:05.000006Z"));
        assert_eq!(resolve("9999w"), Ok(WallTime::from_micros(0)));
        assert_eq!(resolve("-5"), Ok(WallTime::from_micros(0)));
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_would_be() {
        for text in [
            "",
            "now",
            "15 m",
            "m",
            "-15m",
            "15x",
            "+15m",
            "1.5h",
            "PT15M",
            "15m ago",
            "9223372036854775807w",
        ] {
            let problem = TimeInput::from_text(text).resolve(NOW).unwrap_err();
            assert!(problem.contains("RFC 3339"), "{text}: {problem}");
        }
        assert!(TimeInput::Milliseconds(i64::MAX).resolve(NOW).is_err());
        assert!(TimeInput::Milliseconds(i64::MAX).to_query_text().is_err());
    }

    #[test]
    fn json_numbers_and_strings_are_times() {
        let parse = |json: &str| serde_json::from_str::<TimeInput>(json);
        assert_eq!(
            parse("1767323045000").unwrap(),
            TimeInput::Milliseconds(1_767_323_045_000)
        );
        assert_eq!(
            parse("\"1767323045000\"").unwrap().to_query_text().unwrap(),
            "2026-01-02T03:04:05.000000Z"
        );
        assert_eq!(parse("\"7d\"").unwrap().to_query_text().unwrap(), "7d");
        for hostile in ["18446744073709551615", "true", "[]", "1e400", "1.5"] {
            assert!(parse(hostile).is_err(), "{hostile}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            let input = TimeInput::from_text(&text);
            let _ = input.resolve(NOW);
            let _ = input.to_query_text();
        }

        #[test]
        fn a_written_time_reads_back(micros in 0u64..253_402_207_200_000_000) {
            let text = WallTime::from_micros(micros).to_rfc3339();
            prop_assert_eq!(TimeInput::from_text(&text).resolve(NOW), Ok(WallTime::from_micros(micros)));
        }
    }
}
