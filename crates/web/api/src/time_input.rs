//! Times as clients write them, in JSON and in query strings. What is understood is
//! [`fieldledger_audit::times`]' business.

use fieldledger_audit::times;
use fieldledger_contract::WallTime;
use serde::{Deserialize, Deserializer, de};

use crate::problem::FieldProblem;

/// A time as a client gave it; a number stands for its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeInput(String);

impl TimeInput {
    /// A time that is given as text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The time meant, given the present one. Times before 1970 become 1970.
    ///
    /// # Errors
    ///
    /// A sentence that says what was given and what would be right.
    pub fn resolve(&self, now: WallTime) -> Result<WallTime, String> {
        times::parse(&self.0, now).map_err(|fault| fault.to_string())
    }
}

impl<'de> Deserialize<'de> for TimeInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

/// Reads the bounds of a span of time, each with its name; bad ones, and a span that has nothing in
/// it, go to `problems`.
pub(crate) fn resolve_span(
    (start_name, start): (&str, Option<&TimeInput>),
    (end_name, end): (&str, Option<&TimeInput>),
    now: WallTime,
    problems: &mut Vec<FieldProblem>,
) -> (Option<WallTime>, Option<WallTime>) {
    let mut resolve = |name: &str, time: Option<&TimeInput>| match time?.resolve(now) {
        Ok(time) => Some(time),
        Err(problem) => {
            problems.push(FieldProblem::new(name, problem));
            None
        }
    };
    let (start, end) = (resolve(start_name, start), resolve(end_name, end));
    if let Err(fault) = times::check_span(start, end) {
        problems.push(FieldProblem::new(start_name, fault.to_string()));
    }
    (start, end)
}

struct TimeVisitor;

impl de::Visitor<'_> for TimeVisitor {
    type Value = TimeInput;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(times::ACCEPTED)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<TimeInput, E> {
        Ok(TimeInput(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<TimeInput, E> {
        Ok(TimeInput(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<TimeInput, E> {
        Ok(TimeInput(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<TimeInput, E> {
        Ok(TimeInput::from_text(value))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NOW: WallTime = WallTime::from_micros(1_767_323_045_000_006);

    #[test]
    fn json_numbers_and_strings_are_times() {
        let parse = |json: &str| serde_json::from_str::<TimeInput>(json);
        let seconds = WallTime::from_seconds(1_767_323_045);
        for json in ["1767323045000", "\"1767323045000\"", "1767323045000.0"] {
            assert_eq!(parse(json).unwrap().resolve(NOW), Ok(seconds), "{json}");
        }
        assert_eq!(
            parse("\"15m\"").unwrap().resolve(NOW),
            Ok(WallTime::from_micros(NOW.micros - 900_000_000))
        );
        for hostile in ["true", "[]", "1e400", "null"] {
            assert!(parse(hostile).is_err(), "{hostile}");
        }
        for refused in [
            "0",
            "-5",
            "1767323045",
            "18446744073709551615",
            "1.5",
            "1e300",
        ] {
            assert!(parse(refused).unwrap().resolve(NOW).is_err(), "{refused}");
        }
    }

    #[test]
    fn every_bound_and_their_order_are_checked() {
        let resolve = |start: &str, end: &str| {
            let mut problems = Vec::new();
            let (start, end) = (TimeInput::from_text(start), TimeInput::from_text(end));
            resolve_span(
                ("from", Some(&start)),
                ("to", Some(&end)),
                NOW,
                &mut problems,
            );
            let fields = problems.into_iter().map(|problem| problem.field);
            fields.collect::<Vec<String>>()
        };
        assert_eq!(resolve("2h", "1h"), Vec::<String>::new());
        assert_eq!(resolve("1h", "2h"), ["from"]);
        assert_eq!(resolve("1h", "60m"), ["from"]);
        assert_eq!(resolve("x", "y"), ["from", "to"]);
    }
}
