//! Points in time: how the API writes them and the three ways it reads them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use crate::problem::{FieldProblem, excerpt};

/// A time, held as microseconds since the Unix epoch, written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-02T03:04:05.000006Z")]
pub struct Moment(pub u64);

impl Moment {
    /// RFC 3339 with six fractional digits and `Z`. A time after the year 9999 is written as the
    /// last moment of it.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let timestamp = i64::try_from(self.0)
            .ok()
            .and_then(|micros| Timestamp::from_microsecond(micros).ok())
            .unwrap_or(Timestamp::MAX);
        format_timestamp(timestamp)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

fn format_timestamp(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

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
                Ok(format_timestamp(timestamp_of_milliseconds(*milliseconds)?))
            }
            Self::Text(text) => Ok(text.clone()),
        }
    }

    /// The moment meant, given the present one. Times before 1970 become 1970.
    ///
    /// # Errors
    ///
    /// A sentence that says what was given and what would be right.
    pub fn resolve(&self, now: Moment) -> Result<Moment, String> {
        match self {
            Self::Milliseconds(milliseconds) => {
                Ok(moment_of(timestamp_of_milliseconds(*milliseconds)?))
            }
            Self::Text(text) => {
                if let Ok(timestamp) = text.parse::<Timestamp>() {
                    return Ok(moment_of(timestamp));
                }
                let span = parse_span(text).ok_or_else(|| {
                    format!("{:?} is not a time; give {ACCEPTED_TIMES}", excerpt(text))
                })?;
                Ok(Moment(now.0.saturating_sub(span)))
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
    now: Moment,
    problems: &mut Vec<FieldProblem>,
) -> Option<Moment> {
    match TimeInput::from_text(text?).resolve(now) {
        Ok(moment) => Some(moment),
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

fn moment_of(timestamp: Timestamp) -> Moment {
    Moment(u64::try_from(timestamp.as_microsecond()).unwrap_or(0))
}

/// Microseconds of a span such as `90s`, `15m`, `15min`, `2h`, `7d` or `1w`.
fn parse_span(text: &str) -> Option<u64> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_at);
    let count: i64 = count.parse().ok()?;
    let seconds_per_unit = match unit {
        "s" | "sec" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let seconds = count.checked_mul(seconds_per_unit)?;
    u64::try_from(SignedDuration::from_secs(seconds).as_micros()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment(1_767_323_045_000_006);

    #[test]
    fn a_moment_has_six_fractional_digits() {
        assert_eq!(NOW.to_rfc3339(), "2026-01-02T03:04:05.000006Z");
        assert_eq!(Moment(0).to_rfc3339(), "1970-01-01T00:00:00.000000Z");
        assert!(Moment(u64::MAX).to_rfc3339().starts_with("9999-12-"));
    }

    #[test]
    fn the_three_ways_to_write_a_time() {
        let resolve = |text: &str| TimeInput::from_text(text).resolve(NOW);
        assert_eq!(resolve("2026-01-02T03:04:05.000006Z"), Ok(NOW));
        assert_eq!(resolve("2026-01-02T04:04:05.000006+01:00"), Ok(NOW));
        assert_eq!(resolve("1767323045000"), Ok(Moment(1_767_323_045_000_000)));
        assert_eq!(resolve("15m"), Ok(Moment(NOW.0 - 900_000_000)));
        assert_eq!(resolve("15min"), resolve("900s"));
        assert_eq!(resolve("7d"), resolve("1w"));
        assert_eq!(resolve("-5"), Ok(Moment(0)));
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
        fn a_written_moment_reads_back(micros in 0u64..253_402_207_200_000_000) {
            let text = Moment(micros).to_rfc3339();
            prop_assert_eq!(TimeInput::from_text(&text).resolve(NOW), Ok(Moment(micros)));
        }
    }
}
