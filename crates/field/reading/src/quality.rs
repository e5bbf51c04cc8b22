//! How good a reading is, as an OPC UA status code.

use std::fmt;

use serde::{Deserialize, Serialize};

/// OPC UA status codes that a reading can have, worst first.
///
/// Names and numbers are those of OPC 10000-4 and 10000-6 (`StatusCode.csv`), the choice of codes
/// follows OPC 10000-8 (Data Access), section "StatusCodes". The order is the precedence where
/// several apply: a lower variant wins over a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Quality {
    /// The device did not answer in time.
    BadNoCommunication,
    /// The answer is not signed with the sensor's key, so it may be anybody's.
    BadSecurityChecksFailed,
    /// The device answered with something that is no finite number.
    ///
    /// Not `BadSensorFailure`: what failed is reading the answer, and nothing in an unreadable
    /// answer says whether the sensor or its software is broken.
    BadDecodingError,
    /// The reply and the heartbeat disagree on the unit, or the calibration yields no finite number.
    BadConfigurationError,
    /// The value lies outside the range that the sensor declared.
    UncertainEngineeringUnitsExceeded,
    /// Of the things that make up a reading, the value is good and another is not: the device repeated or
    /// turned back its sequence number, its time cannot be, or its unit is not known.
    UncertainSubNormal,
    /// The value came after its poll had been given up; it may be older than it looks.
    UncertainLastUsableValue,
    /// Nothing speaks against the value.
    Good,
}

/// The two top bits of a status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// There is no value to use.
    Bad,
    /// There is a value, with a reservation.
    Uncertain,
    /// The value can be used.
    Good,
}

impl Quality {
    /// Every quality, worst first.
    pub const ALL: [Quality; 8] = [
        Quality::BadNoCommunication,
        Quality::BadSecurityChecksFailed,
        Quality::BadDecodingError,
        Quality::BadConfigurationError,
        Quality::UncertainEngineeringUnitsExceeded,
        Quality::UncertainSubNormal,
        Quality::UncertainLastUsableValue,
        Quality::Good,
    ];

    /// The symbolic name, such as `BadNoCommunication`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Quality::BadNoCommunication => "BadNoCommunication",
            Quality::BadSecurityChecksFailed => "BadSecurityChecksFailed",
            Quality::BadDecodingError => "BadDecodingError",
            Quality::BadConfigurationError => "BadConfigurationError",
            Quality::UncertainEngineeringUnitsExceeded => "UncertainEngineeringUnitsExceeded",
            Quality::UncertainSubNormal => "UncertainSubNormal",
            Quality::UncertainLastUsableValue => "UncertainLastUsableValue",
            Quality::Good => "Good",
        }
    }

    /// The numeric status code.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Quality::BadNoCommunication => 0x8031_0000,
            Quality::BadSecurityChecksFailed => 0x8013_0000,
            Quality::BadDecodingError => 0x8007_0000,
            Quality::BadConfigurationError => 0x8089_0000,
            Quality::UncertainEngineeringUnitsExceeded => 0x4094_0000,
            Quality::UncertainSubNormal => 0x4095_0000,
            Quality::UncertainLastUsableValue => 0x4090_0000,
            Quality::Good => 0x0000_0000,
        }
    }

    /// Good, Uncertain or Bad.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self.code() >> 30 {
            0 => Severity::Good,
            1 => Severity::Uncertain,
            _ => Severity::Bad,
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn order_is_by_severity_first() {
        for pair in Quality::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].severity() <= pair[1].severity());
        }
    }

    #[test]
    fn severity_agrees_with_the_name() {
        for quality in Quality::ALL {
            let prefix = format!("{:?}", quality.severity());
            assert!(quality.name().starts_with(&prefix), "{quality}");
        }
    }

    #[test]
    fn json_form_is_the_name() {
        for quality in Quality::ALL {
            let json = serde_json::to_string(&quality).unwrap();
            assert_eq!(json, format!("\"{quality}\""));
            assert_eq!(serde_json::from_str::<Quality>(&json).unwrap(), quality);
        }
    }
}
