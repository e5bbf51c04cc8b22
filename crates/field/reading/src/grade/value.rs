//! From the text of an answer to an engineering value.

use std::borrow::Cow;

use fieldledger_wire::batch::{Calibration, Outcome, SensorProfile};

use super::findings::Findings;
use crate::quality::Quality;

/// A finite engineering value, as a number and as it is recorded.
pub(super) struct EngineeringValue<'a> {
    pub(super) number: f64,
    pub(super) text: Cow<'a, str>,
}

pub(super) fn engineering_value<'a>(
    outcome: Outcome,
    text: &'a str,
    flaw: &str,
    sensor: &SensorProfile,
    findings: &mut Findings,
) -> Option<EngineeringValue<'a>> {
    match outcome {
        Outcome::NoReply => {
            findings.add(Quality::BadNoCommunication, || {
                "no answer within the poll's timeout".to_owned()
            });
            return None;
        }
        Outcome::Unparsable => {
            findings.add(Quality::BadDecodingError, || match flaw {
                "" => "the answer is no number".to_owned(),
                why => why.to_owned(),
            });
            return None;
        }
        Outcome::Value | Outcome::Late | Outcome::Historical => {}
    }
    let Some(raw) = text.parse().ok().filter(|raw: &f64| raw.is_finite()) else {
        findings.add(Quality::BadDecodingError, || {
            "the answer is no finite number".to_owned()
        });
        return None;
    };
    let Some(calibration) = &sensor.calibration else {
        return Some(EngineeringValue {
            number: raw,
            text: Cow::Borrowed(text),
        });
    };
    let number = calibrated(raw, calibration);
    if !number.is_finite() {
        findings.add(Quality::BadConfigurationError, || {
            "the calibration makes no finite number of the raw value".to_owned()
        });
        return None;
    }
    // The fewest digits that name this float, and never an exponent.
    Some(EngineeringValue {
        number,
        text: Cow::Owned(number.to_string()),
    })
}

fn calibrated(raw: f64, calibration: &Calibration) -> f64 {
    (raw - calibration.base) * calibration.scale + calibration.offset
}
