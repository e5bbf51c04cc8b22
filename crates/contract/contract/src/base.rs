//! Time, and what is wrong: `fieldledger:base/types`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use fieldledger_contract_derive::Wire;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

use crate::packed::PackedError;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

const MICROS_PER_SECOND: u64 = 1_000_000;

/// A point in time, microseconds since the Unix epoch; in JSON RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Wire)]
#[repr(C)]
pub struct WallTime {
    /// Microseconds since the Unix epoch.
    pub micros: u64,
}

impl WallTime {
    /// The time so many microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self { micros }
    }

    /// The time so many seconds after the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self::from_micros(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.micros / MICROS_PER_SECOND
    }

    /// What the system's clock says.
    #[must_use]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = since_epoch.map_or(0, |elapsed| elapsed.as_micros());
        Self::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// RFC 3339 with six fractional digits and `Z`. A time after the year 9999 is written as the
    /// last moment of it.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let timestamp = i64::try_from(self.micros)
            .ok()
            .and_then(|micros| Timestamp::from_microsecond(micros).ok())
            .unwrap_or(Timestamp::MAX);
        PRINTER.timestamp_to_string(&timestamp)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_rfc3339())
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for WallTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for WallTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let micros = text
            .parse::<Timestamp>()
            .ok()
            .and_then(|timestamp| u64::try_from(timestamp.as_microsecond()).ok());
        micros.map(Self::from_micros).ok_or_else(|| {
            let problem = format!("{text:?} is not an RFC 3339 time since 1970");
            serde::de::Error::custom(problem)
        })
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for WallTime {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A point in time, RFC 3339 in UTC."))
            .examples(["2026-01-02T03:04:05.000006Z"])
            .into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for WallTime {}

/// A time that may be missing, in JSON as whole seconds since the Unix epoch, 0 for none: for
/// `#[serde(with)]`.
#[cfg(feature = "serde")]
pub(crate) mod unix_seconds {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::WallTime;

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<WallTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(time.map_or(0, WallTime::seconds))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<WallTime>, D::Error> {
        let seconds = u64::deserialize(deserializer)?;
        Ok((seconds > 0).then(|| WallTime::from_seconds(seconds)))
    }
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct InvalidField {
    /// Position of the event in the call, or of the parameter's item.
    pub item: u32,
    /// Name of the field.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl InvalidField {
    /// A problem with a parameter that is not a list.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            item: 0,
            field: field.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for InvalidField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            0 => write!(formatter, "{} {}", self.field, self.problem),
            item => write!(formatter, "{}[{item}] {}", self.field, self.problem),
        }
    }
}

/// Why a part did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Wire)]
pub enum Error {
    /// The caller's fault; nothing was changed. Asking again changes nothing.
    #[error("the request is invalid: {}", listed(.0))]
    Invalid(Vec<InvalidField>),
    /// No such entry, result, tree size or sensor.
    #[error("not found: {0}")]
    NotFound(String),
    /// The result set is gone; search again.
    #[error("expired: {0}")]
    Expired(String),
    /// Not in this state, not for this entry or sensor, or not by this sink. Asking again changes
    /// nothing until the state does.
    #[error("refused: {0}")]
    Refused(String),
    /// The log takes nothing more, for the reason given: it was frozen, or restored read-only.
    /// Asking again never changes that.
    #[error("the log has ended: {0}")]
    Ended(String),
    /// This cannot be done now. Ask again later.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl Error {
    /// One parameter is wrong.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![InvalidField::new(field, problem)])
    }

    /// The caller's fault: the events that it sent cannot be unpacked.
    #[must_use]
    pub fn unreadable_events(error: PackedError) -> Self {
        Self::invalid("", format!("the events cannot be unpacked: {error}"))
    }
}

fn listed(fields: &[InvalidField]) -> String {
    let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
    fields.join("; ")
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_has_six_fractional_digits() {
        let text = |micros| WallTime::from_micros(micros).to_rfc3339();
        assert_eq!(text(1_767_323_045_000_006), "2026-01-02T03:04:05.000006Z");
        assert_eq!(text(0), "1970-01-01T00:00:00.000000Z");
        assert!(text(u64::MAX).starts_with("9999-12-"));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for json in ["\"\"", "\"7d\"", "\"1969-12-31T00:00:00Z\"", "5", "null"] {
            assert!(serde_json::from_str::<WallTime>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_error_names_each_field() {
        let mut listed = InvalidField::new("events", "is empty; it must not be");
        listed.item = 2;
        let error = Error::Invalid(vec![
            InvalidField::new("limit", "is 0; it must be 1 to 1000"),
            listed,
        ]);
        assert_eq!(
            error.to_string(),
            "the request is invalid: limit is 0; it must be 1 to 1000; events[2] is empty; it must not be"
        );
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn a_time_comes_back_from_json(micros in 0_u64..253_402_207_200_000_000) {
            let time = WallTime::from_micros(micros);
            let json = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<WallTime>(&json).unwrap(), time);
        }
    }
}
