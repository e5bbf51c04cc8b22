//! A reading parsed back out of the `message` of its audit event.

use std::borrow::Cow;
use std::collections::BTreeMap;

use fieldledger_wire::batch::Attestation;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::quality::{Quality, Severity};

/// `action` of every event that holds a reading.
pub const ACTION: &str = "SENSOR_READING";

/// `status` where the device answered with a usable value.
pub const STATUS_SUCCESS: &str = "SUCCESS";

/// `status` where the device answered, but without a usable value.
pub const STATUS_VALUE_ERROR: &str = "VALUE_ERROR";

/// `status` where the device did not answer.
pub const STATUS_COMM_ERROR: &str = "COMM_ERROR";

/// The reading that the `message` of a [`ACTION`] event tells of.
///
/// What else belongs to a reading stands in the event itself: the sensor's id in `source`, its alias
/// in `actor`, its location in `target`, the outcome in `status`. Parsed texts borrow from the
/// message unless they hold an escape. The fields stand in the order of their names, because the
/// message is what serde makes of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded<'a> {
    /// What the signature says; absent where no device said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
    /// The device's boot id.
    #[serde(
        borrow,
        default,
        deserialize_with = "borrowed",
        skip_serializing_if = "Option::is_none"
    )]
    pub boot: Option<Cow<'a, str>>,
    /// The device's own time, microseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_at: Option<u64>,
    /// The unit as the device spelled it, or empty: with `evidence`, which covers it, and where that is
    /// not `unit`.
    #[serde(
        borrow,
        default,
        deserialize_with = "borrowed",
        skip_serializing_if = "Option::is_none"
    )]
    pub device_unit: Option<Cow<'a, str>>,
    /// The device's time since its boot in microseconds, where it does not know the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_up: Option<u64>,
    /// The device's signature with what it takes to verify it; `fieldledger_attest::evidence`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceText<'a>>,
    /// True where the device kept it while it could not deliver it, and no poll asked for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub historical: bool,
    /// True where the answer came after its poll had been given up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub late: bool,
    /// Name of the poll, `<epoch>/<number>`.
    #[serde(borrow)]
    pub poll: Cow<'a, str>,
    /// When the poll was sent, microseconds since the Unix epoch.
    pub polled_at: u64,
    /// OPC UA quality.
    pub quality: Quality,
    /// The text as the device sent it; none where it did not answer.
    #[serde(
        borrow,
        default,
        deserialize_with = "borrowed",
        skip_serializing_if = "Option::is_none"
    )]
    pub raw: Option<Cow<'a, str>>,
    /// Why the quality is not Good.
    #[serde(
        borrow,
        default,
        deserialize_with = "borrowed",
        skip_serializing_if = "Option::is_none"
    )]
    pub reason: Option<Cow<'a, str>>,
    /// When the answer arrived or the poll was given up, microseconds since the Unix epoch.
    pub received_at: u64,
    /// The device's sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// UCUM code of `value`, or the unit as it was sent where that is not known; none where there is none.
    #[serde(
        borrow,
        default,
        deserialize_with = "borrowed",
        skip_serializing_if = "Option::is_none"
    )]
    pub unit: Option<Cow<'a, str>>,
    /// Engineering value in decimal; none where the quality is Bad.
    #[serde(
        borrow,
        default,
        deserialize_with = "borrowed",
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<Cow<'a, str>>,
}

/// The JSON of evidence, not looked into: to read a log is not to verify it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvidenceText<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> EvidenceText<'a> {
    /// Checks that the text is a JSON object.
    ///
    /// # Errors
    ///
    /// What the JSON reader says of it.
    pub fn new(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<BTreeMap<&str, IgnoredAny>>(text)?;
        Ok(Self(serde_json::from_str(text)?))
    }

    /// The JSON.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.0.get()
    }
}

impl PartialEq for EvidenceText<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// A message that is not that of a reading.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// Not the JSON object that a reading's message is.
    #[error("message of a reading cannot be read")]
    Json(#[from] serde_json::Error),
    /// `value` is there without being a finite number, or although the quality is Bad.
    #[error(
        "value {value:?} of a reading does not fit its quality {quality}; it must be a finite number, and absent where the quality is Bad"
    )]
    Value {
        /// The text found, at most 64 characters of it.
        value: String,
        /// The quality beside it.
        quality: Quality,
    },
}

impl<'a> Recorded<'a> {
    /// Reads the message of a [`ACTION`] event. Unknown keys are skipped.
    ///
    /// # Errors
    ///
    /// Where the text is no such message, or contradicts itself on the value.
    pub fn parse(message: &'a str) -> Result<Self, RecordedError> {
        let recorded: Recorded<'a> = serde_json::from_str(message)?;
        if let Some(value) = &recorded.value
            && (recorded.quality.severity() == Severity::Bad || recorded.number().is_none())
        {
            return Err(RecordedError::Value {
                value: value.chars().take(64).collect(),
                quality: recorded.quality,
            });
        }
        Ok(recorded)
    }

    /// The message that tells of this reading.
    #[must_use]
    pub fn to_message(&self) -> String {
        serde_json::to_string(self).expect("strings and integers are JSON")
    }

    /// The engineering value as a finite number; none where there is no value.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        let number: f64 = self.value.as_ref()?.parse().ok()?;
        number.is_finite().then_some(number)
    }
}

// serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// serde borrows a bare `Cow` but not one inside an `Option`; this wrapper makes it.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

fn borrowed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    let text = Option::<Borrowed<'de>>::deserialize(deserializer)?;
    Ok(text.map(|text| text.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MINIMAL: &str =
        r#"{"poll":"e/7","polled_at":1,"quality":"BadNoCommunication","received_at":2}"#;

    #[test]
    fn minimal_message_parses() {
        let recorded = Recorded::parse(MINIMAL).unwrap();
        assert_eq!(recorded.quality, Quality::BadNoCommunication);
        assert_eq!(recorded.poll, "e/7");
        assert_eq!(recorded.number(), None);
        assert!(!recorded.late);
    }

    #[test]
    fn texts_borrow_from_the_message() {
        let message = r#"{"poll":"e/7","polled_at":1,"quality":"Good","raw":"2.50","received_at":2,"value":"2.50"}"#;
        let recorded = Recorded::parse(message).unwrap();
        assert!(matches!(recorded.poll, Cow::Borrowed("e/7")));
        assert!(matches!(recorded.raw, Some(Cow::Borrowed("2.50"))));
        assert_eq!(recorded.number(), Some(2.5));
    }

    #[test]
    fn escaped_text_parses() {
        let message = r#"{"poll":"e/7","polled_at":1,"quality":"BadDecodingError","raw":"a\"b","received_at":2}"#;
        assert_eq!(Recorded::parse(message).unwrap().raw.unwrap(), "a\"b");
    }

    #[test]
    fn contradicting_value_is_refused() {
        for (quality, value) in [("BadDecodingError", "1"), ("Good", "x"), ("Good", "inf")] {
            let message = format!(
                r#"{{"poll":"e/7","polled_at":1,"quality":"{quality}","received_at":2,"value":"{value}"}}"#
            );
            let refusal = Recorded::parse(&message);
            assert!(
                matches!(refusal, Err(RecordedError::Value { .. })),
                "{message}"
            );
        }
    }

    #[test]
    fn hostile_messages_are_refused() {
        for message in [
            "",
            "[]",
            "{}",
            "null",
            "{\"quality\":\"Fine\"}",
            "\u{0}",
            "[[[[",
        ] {
            assert!(Recorded::parse(message).is_err(), "{message:?}");
        }
    }
}
