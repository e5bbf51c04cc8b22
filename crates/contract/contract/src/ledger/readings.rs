//! Readings, found in the log again: what charts and lists of sensors need.

use fieldledger_contract_derive::Wire;

use crate::base::WallTime;

/// A reading as the log holds it.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(into = "json::Reading", from = "json::Reading")
)]
pub struct Reading {
    /// Entry of the log.
    pub index: u64,
    /// UUID of the sensor.
    pub sensor: String,
    /// `SUCCESS`, `VALUE_ERROR` or `COMM_ERROR`.
    pub status: String,
    /// OPC UA status code name.
    pub quality: String,
    /// Engineering value in decimal, with the digits that the log has; none where the quality is
    /// Bad.
    pub value: Option<String>,
    /// UCUM code, or empty.
    pub unit: String,
    /// When the device was polled.
    pub polled_at: WallTime,
    /// The device's own time of it; none where it gave none.
    pub device_at: Option<WallTime>,
    /// When the log received it.
    pub received_at: WallTime,
}

impl Reading {
    /// The nearest number that a double can hold; none where there is no value.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        self.value.as_deref().and_then(number)
    }
}

/// Readings of a span of time in one unit, summed up. Those whose quality is Bad are counted and
/// otherwise left out.
#[derive(Debug, Clone, PartialEq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "json::Bucket", from = "json::Bucket"))]
pub struct Bucket {
    /// Start of the span: a multiple of its width since 1970.
    pub start: WallTime,
    /// End of the span, itself not included.
    pub end: WallTime,
    /// The unit of all values in it.
    pub unit: String,
    /// Readings in it.
    pub count: u32,
    /// Those whose quality is Good.
    pub good: u32,
    /// Those whose quality is Uncertain; their values count.
    pub uncertain: u32,
    /// Those whose quality is Bad, which have no value.
    pub bad: u32,
    /// Smallest value, with the digits that the log has.
    pub min: Option<String>,
    /// Largest value.
    pub max: Option<String>,
    /// Mean of the values.
    pub mean: Option<f64>,
    /// Last value.
    pub last: Option<String>,
}

/// Readings of one sensor.
#[derive(Debug, Clone, PartialEq, Wire)]
pub enum Series {
    /// Each of them, oldest first.
    Raw(Vec<Reading>),
    /// Summed up in equally long spans, oldest first.
    Buckets(Vec<Bucket>),
}

fn number(digits: &str) -> Option<f64> {
    let number: Option<f64> = digits.parse().ok();
    number.filter(|number| number.is_finite())
}

/// The JSON forms. A value is there twice: as a number with all its digits, and as a text for
/// programs whose numbers do not hold them.
#[cfg(feature = "serde")]
mod json {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;

    use super::WallTime;

    /// A reading as the log holds it.
    #[derive(Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub(super) struct Reading {
        /// Entry of the log.
        index: u64,
        /// UUID of the sensor.
        sensor: String,
        /// `SUCCESS`, `VALUE_ERROR` or `COMM_ERROR`.
        status: String,
        /// OPC UA status code name.
        #[cfg_attr(feature = "schema", schema(example = "Good"))]
        quality: String,
        /// Engineering value, with all digits that the log has; null where the quality is Bad. Many
        /// programs read a number as a double, which holds 15 digits: `digits` has all.
        #[cfg_attr(feature = "schema", schema(value_type = Option<f64>, example = 21.5))]
        value: Option<Number>,
        /// The same as a text, exactly as the log has it.
        #[cfg_attr(feature = "schema", schema(example = "21.50"))]
        #[serde(default)]
        digits: Option<String>,
        /// UCUM code, or empty.
        unit: String,
        /// When the device was polled.
        polled_at: WallTime,
        /// The device's own time of it; null where it gave none.
        #[serde(default)]
        device_at: Option<WallTime>,
        /// When the log received it.
        received_at: WallTime,
    }

    impl From<super::Reading> for Reading {
        fn from(reading: super::Reading) -> Self {
            Self {
                index: reading.index,
                sensor: reading.sensor,
                status: reading.status,
                quality: reading.quality,
                value: Number::of(reading.value.as_deref()),
                digits: reading.value,
                unit: reading.unit,
                polled_at: reading.polled_at,
                device_at: reading.device_at,
                received_at: reading.received_at,
            }
        }
    }

    impl From<Reading> for super::Reading {
        fn from(reading: Reading) -> Self {
            Self {
                index: reading.index,
                sensor: reading.sensor,
                status: reading.status,
                quality: reading.quality,
                value: reading.digits.or(reading.value.map(|value| value.0)),
                unit: reading.unit,
                polled_at: reading.polled_at,
                device_at: reading.device_at,
                received_at: reading.received_at,
            }
        }
    }

    /// Readings of a span of time in one unit, summed up. Those whose quality is Bad are counted and
    /// otherwise left out.
    #[derive(Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub(super) struct Bucket {
        /// Start of the span: a multiple of its width since 1970, whatever was asked for.
        start: WallTime,
        /// End of the span, itself not included.
        end: WallTime,
        /// The unit of all values in it, a UCUM code, or empty. A span in which the unit changed has
        /// a bucket for each.
        unit: String,
        /// Readings in it.
        count: u32,
        /// Those whose quality is Good.
        good: u32,
        /// Those whose quality is Uncertain, such as out of range; their values count.
        uncertain: u32,
        /// Those whose quality is Bad; they have no value and are left out.
        bad: u32,
        /// Smallest value.
        #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
        min: Option<Number>,
        /// Largest value.
        #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
        max: Option<Number>,
        /// Mean of the values.
        mean: Option<f64>,
        /// Last value.
        #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
        last: Option<Number>,
        /// Smallest, largest and last value as texts, exactly as the log has them.
        digits: Digits,
    }

    /// Values of a bucket with the digits that the log has.
    #[derive(Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub(super) struct Digits {
        /// Smallest value.
        min: Option<String>,
        /// Largest value.
        max: Option<String>,
        /// Last value.
        last: Option<String>,
    }

    impl From<super::Bucket> for Bucket {
        fn from(bucket: super::Bucket) -> Self {
            Self {
                start: bucket.start,
                end: bucket.end,
                unit: bucket.unit,
                count: bucket.count,
                good: bucket.good,
                uncertain: bucket.uncertain,
                bad: bucket.bad,
                min: Number::of(bucket.min.as_deref()),
                max: Number::of(bucket.max.as_deref()),
                mean: bucket.mean,
                last: Number::of(bucket.last.as_deref()),
                digits: Digits {
                    min: bucket.min,
                    max: bucket.max,
                    last: bucket.last,
                },
            }
        }
    }

    impl From<Bucket> for super::Bucket {
        fn from(bucket: Bucket) -> Self {
            Self {
                start: bucket.start,
                end: bucket.end,
                unit: bucket.unit,
                count: bucket.count,
                good: bucket.good,
                uncertain: bucket.uncertain,
                bad: bucket.bad,
                min: bucket.digits.min,
                max: bucket.digits.max,
                mean: bucket.mean,
                last: bucket.digits.last,
            }
        }
    }

    /// A number of JSON that keeps its digits.
    pub(super) struct Number(String);

    impl Number {
        /// None too for what is not a finite number, which JSON does not have.
        fn of(digits: Option<&str>) -> Option<Self> {
            let digits = digits?;
            let number = super::number(digits)?;
            Some(Self(match is_json_number(digits) {
                true => digits.to_owned(),
                false => number.to_string(),
            }))
        }
    }

    impl Serialize for Number {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let raw = RawValue::from_string(self.0.clone());
            raw.map_err(serde::ser::Error::custom)?
                .serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Number {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            f64::deserialize(deserializer).map(|number| Self(number.to_string()))
        }
    }

    /// Whether the text is a number as RFC 8259 writes them: no plus sign before it, no leading
    /// zeros, digits on both sides of a point.
    fn is_json_number(text: &str) -> bool {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let starts_right = match unsigned.as_bytes() {
            [b'0', next, ..] => !next.is_ascii_digit(),
            [first, ..] => first.is_ascii_digit(),
            [] => false,
        };
        let point_has_digits = unsigned.split_once('.').is_none_or(|(_, fraction)| {
            fraction.starts_with(|letter: char| letter.is_ascii_digit())
        });
        // What else is wrong with it, the caller's parse has found.
        starts_right && point_has_digits
    }

    #[cfg(feature = "schema")]
    mod schema {
        use utoipa::openapi::{RefOr, Schema};
        use utoipa::{PartialSchema, ToSchema};

        type Schemas = Vec<(String, RefOr<Schema>)>;

        impl PartialSchema for super::super::Reading {
            fn schema() -> RefOr<Schema> {
                super::Reading::schema()
            }
        }

        impl ToSchema for super::super::Reading {
            fn schemas(schemas: &mut Schemas) {
                super::Reading::schemas(schemas);
            }
        }

        impl PartialSchema for super::super::Bucket {
            fn schema() -> RefOr<Schema> {
                super::Bucket::schema()
            }
        }

        impl ToSchema for super::super::Bucket {
            fn schemas(schemas: &mut Schemas) {
                super::Bucket::schemas(schemas);
            }
        }
    }
}

#[cfg(all(test, feature = "serde"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reading(value: Option<&str>) -> Reading {
        Reading {
            index: 1,
            sensor: "s".to_owned(),
            status: "SUCCESS".to_owned(),
            quality: "Good".to_owned(),
            value: value.map(str::to_owned),
            unit: "Cel".to_owned(),
            polled_at: WallTime::from_seconds(1),
            device_at: Some(WallTime::from_seconds(2)),
            received_at: WallTime::from_seconds(3),
        }
    }

    #[test]
    fn json_has_every_digit() {
        for (digits, number) in [
            ("12345678", "12345678"),
            ("9007199254740993", "9007199254740993"),
            ("21.50", "21.50"),
            ("-0.0", "-0.0"),
            ("1e3", "1e3"),
            ("-4.7E-2", "-4.7E-2"),
            // What JSON does not write so is the same number otherwise.
            ("+5", "5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("007", "7"),
            ("1.e3", "1000"),
        ] {
            let json = serde_json::to_string(&reading(Some(digits))).unwrap();
            assert!(json.contains(&format!(r#""value":{number},"#)), "{json}");
            assert!(json.contains(&format!(r#""digits":"{digits}""#)), "{json}");
            let again: Reading = serde_json::from_str(&json).unwrap();
            assert_eq!(again, reading(Some(digits)));
        }
        for none in [None, Some("NaN"), Some("inf"), Some("x")] {
            let json = serde_json::to_string(&reading(none)).unwrap();
            assert!(json.contains(r#""value":null,"#), "{json}");
        }
    }
}
